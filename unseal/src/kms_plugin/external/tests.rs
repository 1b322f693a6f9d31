use super::*;

const EC: [SigningScheme; 1] = [SigningScheme::Ecdsa(Digest::Sha384)];
const RSA: [SigningScheme; 6] = [
    SigningScheme::RsaPkcs1(Digest::Sha256),
    SigningScheme::RsaPkcs1(Digest::Sha384),
    SigningScheme::RsaPkcs1(Digest::Sha512),
    SigningScheme::RsaPss(Digest::Sha256),
    SigningScheme::RsaPss(Digest::Sha384),
    SigningScheme::RsaPss(Digest::Sha512),
];

fn input(
    data: &'static [u8],
    prehashed: bool,
    hash: Option<Hash>,
    options: SignOptions<'static>,
) -> SignInput<'static> {
    SignInput {
        data,
        prehashed,
        hash,
        options,
    }
}

fn scheme(schemes: &[SigningScheme], input: &SignInput<'_>) -> Option<(SigningScheme, usize)> {
    match plan("the service", schemes, input).ok()? {
        Signed::Digest(scheme, digest) => Some((scheme, digest.len())),
        Signed::Message(message) => Some((SigningScheme::MlDsa, message.len())),
    }
}

#[test]
fn what_the_servers_engines_ask_for_is_understood() {
    let message: &'static [u8] = &[0; 5000];
    let pss = SignOptions::Pss;
    // PKI hands over the whole certificate, with its hash and no options.
    assert_eq!(
        scheme(
            &RSA,
            &input(message, false, Some(Hash::Sha256), SignOptions::None)
        ),
        Some((SigningScheme::RsaPkcs1(Digest::Sha256), 32))
    );
    // Transit names no hash and gives PSS options even for an EC key.
    assert_eq!(
        scheme(&EC, &input(message, false, None, pss(SaltLength::Auto))),
        Some((EC[0], 48))
    );
    assert_eq!(
        scheme(&RSA, &input(message, false, None, pss(SaltLength::Auto))),
        Some((SigningScheme::RsaPss(Digest::Sha256), 32))
    );
    // OCSP and prehashed transit hand over digests.
    assert_eq!(
        scheme(&RSA, &input(&[0; 64], true, None, pss(SaltLength::Hash))),
        Some((SigningScheme::RsaPss(Digest::Sha512), 64))
    );
    assert_eq!(
        scheme(
            &EC,
            &input(&[0; 48], true, Some(Hash::Sha384), SignOptions::None)
        ),
        Some((EC[0], 48))
    );
}

#[test]
fn an_ml_dsa_key_gets_the_message_and_no_digest() {
    let of = |input| scheme(&[SigningScheme::MlDsa], &input);
    let (message, pss): (&'static [u8], _) = (&[0; 5000], SignOptions::Pss(SaltLength::Auto));
    let whole = Some((SigningScheme::MlDsa, 5000));
    assert_eq!(of(input(message, false, None, SignOptions::None)), whole);
    // Transit gives PSS options whatever the key.
    assert_eq!(of(input(message, false, None, pss)), whole);
    let hash = Some(Hash::Sha512);
    for refused in [
        input(&[0; 64], true, None, SignOptions::None),
        input(&[0; 64], true, hash, SignOptions::None),
        input(message, false, hash, pss),
        input(message, false, None, SignOptions::Ed25519 { context: "" }),
    ] {
        assert_eq!(of(refused), None, "{refused:?}");
    }
}

#[test]
fn what_aws_kms_cannot_do_is_refused() {
    let pss = |length| SignOptions::Pss(SaltLength::Bytes(length));
    for (schemes, input) in [
        (
            &EC[..],
            input(b"x", false, Some(Hash::Sha256), SignOptions::None),
        ),
        (
            &RSA,
            input(b"x", false, Some(Hash::Sha1), SignOptions::None),
        ),
        (&RSA, input(b"x", false, Some(Hash::Sha256), pss(20))),
        (
            &RSA,
            input(b"x", true, Some(Hash::Sha256), SignOptions::None),
        ),
        (&RSA, input(&[0; 20], true, None, SignOptions::None)),
        (
            &RSA,
            input(b"x", false, None, SignOptions::Ed25519 { context: "" }),
        ),
    ] {
        assert_eq!(scheme(schemes, &input), None, "{input:?}");
    }
    let exact = input(b"x", false, Some(Hash::Sha256), pss(32));
    assert_eq!(
        scheme(&RSA, &exact),
        Some((SigningScheme::RsaPss(Digest::Sha256), 32))
    );
}
