//! Certificates alone in a CMS message: "certs-only", the form `.p7c` (RFC 5652 section 5.1, RFC 8551 section 3.8).

/// The content type of such a message (RFC 5280 section 4.2.2.1, RFC 8551 section 3.2).
pub const KIND: &str = "application/pkcs7-mime; smime-type=certs-only";

/// id-signedData and id-data (RFC 5652 sections 5.1 and 4), with tag and length.
const SIGNED_DATA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];
const DATA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01,
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// The message with these certificates, each in DER, in this order.
pub fn certs_only<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let certificates: Vec<u8> = certificates.into_iter().flatten().copied().collect();
    // Version 1: there are certificates of X.509 only, no signer, and the content is data (RFC 5652 section 5.1).
    let version = [0x02, 1, 1];
    let none = value(SET, &[&[]]);
    let content = value(SEQUENCE, &[DATA]);
    let certificates = value(CONTEXT_0, &[&certificates]);
    let signed = value(SEQUENCE, &[&version, &none, &content, &certificates, &none]);
    value(SEQUENCE, &[SIGNED_DATA, &value(CONTEXT_0, &[&signed])])
}

/// A value in DER (X.690 section 10.1: the shortest form of a length).
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        out.push(short);
    } else {
        let octets = length.to_be_bytes();
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        // At most eight octets, so the sum fits.
        out.push(0x80 | (octets.len() - zeros) as u8);
        out.extend_from_slice(&octets[zeros..]);
    }
    out.extend(parts.iter().copied().flatten());
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn certificate(name: &str) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn openssl_finds_the_certificates_in_their_order() {
        let all: Vec<_> = ["one.test", "two.test", "three.test"]
            .map(certificate)
            .to_vec();
        let message = certs_only(all.iter().map(Vec::as_slice));
        let mut openssl = Command::new("openssl")
            .args(["pkcs7", "-inform", "DER", "-print_certs"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        let mut input = openssl.stdin.take().expect("piped");
        input.write_all(&message).expect("openssl reads");
        drop(input);
        let output = openssl.wait_with_output().expect("openssl ends");
        assert!(output.status.success());
        let found = landfast_pki::Certificate::all_from_pem(&output.stdout).expect("certificates");
        let found: Vec<_> = found.iter().map(|one| one.der().to_vec()).collect();
        assert_eq!(found, all);
    }

    #[test]
    fn no_certificate_is_a_message_too() {
        let message = certs_only([]);
        assert_eq!(usize::from(message[1]), message.len() - 2);
    }
}
