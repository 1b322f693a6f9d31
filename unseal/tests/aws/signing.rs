//! Keys that sign with a digest.

use std::sync::Arc;

use aws_lc_rs::{digest, signature};
use landfast_unseal::keys::aws::{AwsSigner, Session};
use landfast_unseal::{Digest, KmsSigner, SigningScheme};

use super::fake_aws::FakeAws;
use super::{config, quick};

#[tokio::test]
async fn signatures_of_every_kind_verify() {
    let fake = FakeAws::start().await;
    let session = Arc::new(
        Session::open(config(&fake, &[]), quick())
            .await
            .expect("opens"),
    );
    let message = vec![b'x'; 10_000];
    use signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    };
    let cases: [(
        &str,
        SigningScheme,
        &'static dyn signature::VerificationAlgorithm,
    ); 5] = [
        (
            "alias/ca-p256",
            SigningScheme::Ecdsa(Digest::Sha256),
            &ECDSA_P256_SHA256_ASN1,
        ),
        (
            "alias/ca-p384",
            SigningScheme::Ecdsa(Digest::Sha384),
            &ECDSA_P384_SHA384_ASN1,
        ),
        (
            "alias/ca-p521",
            SigningScheme::Ecdsa(Digest::Sha512),
            &ECDSA_P521_SHA512_ASN1,
        ),
        (
            "alias/ca-rsa",
            SigningScheme::RsaPkcs1(Digest::Sha256),
            &RSA_PKCS1_2048_8192_SHA256,
        ),
        (
            "alias/ca-rsa",
            SigningScheme::RsaPss(Digest::Sha384),
            &RSA_PSS_2048_8192_SHA384,
        ),
    ];
    for (alias, scheme, verifier) in cases {
        let key = config(&fake, &[("kms_key_id", alias)]).key.expect("a key");
        let signer = AwsSigner::open(session.clone(), &key).await.expect(alias);
        fake.take_operations();
        let hash = match scheme.digest().expect("a digest") {
            Digest::Sha256 => &digest::SHA256,
            Digest::Sha384 => &digest::SHA384,
            Digest::Sha512 => &digest::SHA512,
        };
        let digest = digest::digest(hash, &message);
        let made = signer
            .sign_digest(scheme, digest.as_ref())
            .await
            .expect(alias);
        assert_eq!(fake.take_operations(), ["Sign"]);
        let public = signature::ParsedPublicKey::new(verifier, signer.public_key_der())
            .expect("a public key");
        public.verify_sig(&message, &made).expect("verifies");
        assert!(
            signer
                .sign_digest(scheme, &digest.as_ref()[1..])
                .await
                .is_err()
        );
    }
    let p256 = config(&fake, &[("kms_key_id", "alias/ca-p256")])
        .key
        .expect("a key");
    let p256 = AwsSigner::open(session.clone(), &p256)
        .await
        .expect("opens");
    assert!(
        p256.sign_digest(SigningScheme::Ecdsa(Digest::Sha384), &[0; 48])
            .await
            .is_err()
    );
    let symmetric = config(&fake, &[]).key.expect("a key");
    assert!(AwsSigner::open(session, &symmetric).await.is_err());
}
