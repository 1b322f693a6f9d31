//! ML-DSA keys in AWS KMS: they sign the representative of a message, and nothing else.

use std::sync::Arc;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use landfast_base::ml_dsa_representative;
use landfast_unseal::keys::aws::{AwsSigner, Session};
use landfast_unseal::{Digest, KmsSigner, Limits, SigningScheme};

use super::config;
use super::fake_aws::FakeAws;

#[tokio::test]
async fn keys_of_each_size_sign_representatives_and_nothing_else() {
    let fake = FakeAws::start().await;
    // The stand-in's code for ML-DSA is slow where nothing is optimised.
    let session = Session::open(config(&fake, &[]), Limits::default()).await;
    let session = Arc::new(session.expect("opens"));
    // More than AWS KMS takes as a message.
    let message = vec![b'x'; 10_000];
    let cases: [(u32, usize, &'static dyn VerificationAlgorithm); 3] = [
        (44, 1312, &signature::ML_DSA_44),
        (65, 1952, &signature::ML_DSA_65),
        (87, 2592, &signature::ML_DSA_87),
    ];
    for (set, octets, verifier) in cases {
        let alias = format!("alias/ca-mldsa-{set}");
        let key = config(&fake, &[("kms_key_id", &alias)]).key.expect("a key");
        let signer = AwsSigner::open(session.clone(), &key).await.expect("opens");
        assert_eq!(signer.schemes(), [SigningScheme::MlDsa]);
        // The key is the end of its SubjectPublicKeyInfo (RFC 9881 section 4).
        let public = signer.public_key_der();
        let public = &public[public.len() - octets..];
        fake.take_operations();
        let mu = ml_dsa_representative(public, &message);
        let made = signer.sign_digest(SigningScheme::MlDsa, &mu).await;
        let made = made.expect("signs");
        UnparsedPublicKey::new(verifier, public)
            .verify(&message, &made)
            .expect("a signature of the message");
        let call = fake.calls().pop().expect("a call");
        assert_eq!(call.parameters["MessageType"], "EXTERNAL_MU");
        assert_eq!(call.parameters["SigningAlgorithm"], "ML_DSA_SHAKE_256");
        for (scheme, octets) in [
            (SigningScheme::MlDsa, 63),
            (SigningScheme::MlDsa, 32),
            (SigningScheme::RsaPss(Digest::Sha512), 64),
        ] {
            let refused = signer.sign_digest(scheme, &vec![7; octets]).await;
            assert!(refused.is_err(), "{scheme:?} {octets}");
        }
        assert_eq!(fake.take_operations(), ["Sign"]);
    }
}
