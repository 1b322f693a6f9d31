//! Files in another form than PEM, which is the one that is read: what they are, and the
//! command that converts them.

use std::path::Path;

use landfast_pki::{Certificate, pem};

/// What is looked for in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Certificates.
    Certificates,
    /// A private key.
    PrivateKey,
    /// A public key.
    PublicKey,
}

/// The content type of certificates without a signature's content (PKCS#7, RFC 2315
/// section 14: 1.2.840.113549.1.7.2), as it stands in DER.
const SIGNED_DATA: [u8; 11] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];

/// What a file is in place of PEM, and how PEM is made of it; nothing where that is not known.
pub fn other(path: &Path, octets: &[u8], wanted: Wanted) -> Option<String> {
    let path = path.display();
    if is_pkcs12(octets) {
        return Some(format!(
            "a PKCS#12 file, which is not read here; take it apart once, and name the two: `openssl pkcs12 -in {path} -nokeys -clcerts -out server.pem`, and `openssl pkcs12 -in {path} -nocerts -nodes -out server.key` with `umask 077` before it"
        ));
    }
    if pem::blocks(octets)
        .iter()
        .any(|block| block.label == "PKCS7")
    {
        return Some(format!(
            "certificates in PKCS#7; take them out of it: `openssl pkcs7 -print_certs -in {path} -out FILE`"
        ));
    }
    let content = sequence(octets)?;
    if content.starts_with(&SIGNED_DATA) {
        return Some(format!(
            "certificates in PKCS#7; take them out of it: `openssl pkcs7 -inform DER -print_certs -in {path} -out FILE`"
        ));
    }
    // It is converted as what it is, whatever was looked for.
    let (command, before) = match wanted {
        _ if Certificate::from_der(octets).is_ok() => ("x509", ""),
        Wanted::Certificates => return None,
        Wanted::PrivateKey => ("pkey", " with `umask 077` before it"),
        Wanted::PublicKey => ("pkey -pubin", ""),
    };
    Some(format!(
        "DER, and PEM is read here: `openssl {command} -inform DER -in {path} -out FILE`{before}"
    ))
}

/// Whether octets begin as a PFX does: a sequence that starts with version 3, which
/// neither a certificate nor a key has there.
///
/// Source: RFC 7292 section 4.
pub(crate) fn is_pkcs12(octets: &[u8]) -> bool {
    sequence(octets).is_some_and(|content| content.starts_with(&[2, 1, 3]))
}

/// What follows tag and length of a sequence (X.690).
fn sequence(octets: &[u8]) -> Option<&[u8]> {
    match octets {
        [0x30, length, rest @ ..] if *length > 0x80 => rest.get(usize::from(length & 0x7f)..),
        [0x30, _, rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn data(name: &str) -> Vec<u8> {
        std::fs::read(Path::new("tests/data/pki").join(name)).unwrap()
    }

    /// What openssl makes of a file, and whether it makes the file again of that by the
    /// command that we name.
    #[test]
    fn the_commands_that_are_named_make_pem_of_each_form() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let made = |script: &str| {
            let status = Command::new("sh")
                .args(["-ec", script])
                .current_dir(directory.path())
                .status()
                .expect("a shell runs");
            assert!(status.success(), "{script}");
        };
        for (name, file) in [
            ("leaf.crt", "ec-leaf.crt"),
            ("leaf.key", "ec-leaf.key"),
            ("ca.crt", "rsa-int.crt"),
        ] {
            std::fs::write(path(name), data(file)).unwrap();
        }
        made(
            "openssl x509 -in leaf.crt -outform DER -out leaf.der
             openssl pkey -in leaf.key -outform DER -out key.der
             openssl pkey -in leaf.key -pubout -outform DER -out public.der
             openssl crl2pkcs7 -nocrl -certfile ca.crt -out ca.p7b
             openssl crl2pkcs7 -nocrl -certfile ca.crt -outform DER -out ca.p7c
             openssl pkcs12 -export -passout pass: -in leaf.crt -inkey leaf.key -out leaf.p12",
        );
        for (file, wanted, label) in [
            ("leaf.der", Wanted::Certificates, "CERTIFICATE"),
            ("leaf.der", Wanted::PrivateKey, "CERTIFICATE"),
            ("key.der", Wanted::PrivateKey, "PRIVATE KEY"),
            ("public.der", Wanted::PublicKey, "PUBLIC KEY"),
            ("ca.p7b", Wanted::Certificates, "CERTIFICATE"),
            ("ca.p7c", Wanted::Certificates, "CERTIFICATE"),
        ] {
            let octets = std::fs::read(path(file)).unwrap();
            let text = other(&path(file), &octets, wanted).unwrap();
            let command = text.split('`').nth(1).expect("a command");
            made(&command.replace("FILE", "converted.pem"));
            let converted = std::fs::read(path("converted.pem")).unwrap();
            let blocks = pem::blocks(&converted);
            assert_eq!(blocks.len(), 1, "{text}");
            assert_eq!(blocks[0].label, label, "{text}");
        }
        let octets = std::fs::read(path("leaf.p12")).unwrap();
        for wanted in [Wanted::Certificates, Wanted::PrivateKey, Wanted::PublicKey] {
            let text = other(&path("leaf.p12"), &octets, wanted).unwrap();
            assert!(text.contains("openssl pkcs12 -in"), "{text}");
        }
    }

    #[test]
    fn what_is_pem_or_nothing_known_is_not_converted() {
        for octets in [
            &data("ec-leaf.crt")[..],
            &data("ec-leaf.key"),
            b"",
            b"junk",
            &[0x30],
            &[0x30, 0xff],
            &[0x30, 0x03, 1, 2, 3],
        ] {
            let text = other(Path::new("x"), octets, Wanted::Certificates);
            assert_eq!(text, None);
        }
        // Version 3 is that of a PFX only.
        for name in ["ec-leaf.crt", "ec-leaf.key", "rsa-leaf.key"] {
            let blocks = pem::blocks(&data(name));
            assert!(!is_pkcs12(&blocks[0].contents), "{name}");
        }
    }
}
