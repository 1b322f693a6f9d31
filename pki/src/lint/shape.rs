//! What readers refuse: shapes that DER can carry and that Go, OpenSSL or webpki does not take. A certificate that one of them
//! cannot read is worth nothing to whoever uses it, and where the issuer's own tools cannot read it, it cannot even be revoked.

use std::net::IpAddr;

use der::{Reader, SliceReader};

use crate::ext::{self, NameConstraints, Subtrees, id};
use crate::finding::Finding;
use crate::host::{MAX_LABEL, MAX_NAME};
use crate::issue::normalise_uri;
use crate::{Certificate, Oid, SignatureAlgorithm, asn1, usage};

/// Whatever some reader refuses in a certificate that is about to be signed.
pub fn shape(certificate: &Certificate) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |rule, text: &str| found.push(Finding::error(rule, text.to_owned()));

    // RFC 6125 and Go's crypto/x509 want what a resolver would take; underscores and stars are in use.
    let san = certificate.subject_alt_names();
    if !san.dns.iter().all(|name| is_host(name)) {
        refuse(
            "readers-dns-names",
            "a DNS name has labels of 1 to 63 printable characters between dots, at most 253 in all",
        );
    }
    if !san.uris.iter().all(|uri| normalise_uri(uri).is_some()) {
        refuse(
            "readers-uris",
            "a URI is none that Go reads: no escapes and no empty labels in its host",
        );
    }
    let mapped = |ip: &IpAddr| ip.to_canonical() != *ip;
    if san.ips.iter().any(mapped) {
        refuse(
            "readers-ip-addresses",
            "an IPv4 address in the form of IPv6, which Go refuses",
        );
    }
    if !san.rest.iter().all(|name| is_general_name(name)) {
        refuse(
            "readers-other-names",
            "an alternative name of a kind that RFC 5280 does not know, which webpki refuses",
        );
    }
    if !certificate.subject().is_portable() {
        refuse(
            "readers-subject",
            "the subject holds a value or a type that Go does not read",
        );
    }
    if !certificate.public_key().is_portable() {
        refuse(
            "readers-public-key",
            "the public key is not encoded as its algorithm asks: NULL parameters for RSA and an exponent of at most 31 bits, the curve alone for EC, none for Ed25519 and ML-DSA",
        );
    }
    let serial = certificate.serial().as_bytes();
    if serial.iter().all(|octet| *octet == 0)
        || serial.len() > 20
        || serial[0] >= 0x80 && serial.len() == 20
    {
        refuse(
            "rfc5280-4.1.2.2",
            "a serial number is positive and has at most 20 octets",
        );
    }
    if certificate
        .path_len()
        .is_some_and(|length| length > u8::MAX.into())
    {
        refuse(
            "readers-path-length",
            "a path length above 255 is refused by webpki; send -1 for no limit",
        );
    }
    if certificate.tbs().len() > MAX_OCTETS - signature_room(certificate) {
        refuse(
            "readers-size",
            "the certificate would be longer than 64 KiB, which webpki and others do not take",
        );
    }
    for extension in certificate.extensions() {
        if !usage::is_portable(&extension.oid) {
            refuse(
                "readers-extensions",
                "the type of an extension has a number of more than 31 bits, which Go refuses",
            );
        }
        if extension.critical && NEVER_CRITICAL.contains(&extension.oid) {
            refuse(
                "readers-critical",
                "a key identifier or the authority's information access is marked critical, which Go refuses",
            );
        }
        if !is_readable(&extension.oid, extension.value) {
            found.push(Finding::error(
                "readers-extensions",
                format!(
                    "the extension {} is not encoded as it should be",
                    extension.oid
                ),
            ));
            break;
        }
    }
    if certificate.not_before().as_second() < 0 {
        found.push(Finding::warning(
            "readers-times",
            "the certificate starts before 1970, which webpki does not read".to_owned(),
        ));
    }
    found
}

/// Whether readers take a text for the domain of a name constraint; with a dot in front it stands for what is below it.
pub(crate) fn is_domain(text: &str) -> bool {
    is_host(text.strip_prefix('.').unwrap_or(text))
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_graphic())
    };
    name.len() <= MAX_NAME && name.split('.').all(label)
}

/// The tags of RFC 5280 section 4.2.1.6 that are not read as names of their own.
fn is_general_name(encoded: &[u8]) -> bool {
    matches!(encoded.first(), Some(0xa0 | 0xa3 | 0xa4 | 0xa5 | 0x88))
}

/// Whether a well-known extension has the structure that Go asks for. What no reader looks into is not looked into here.
fn is_readable(oid: &Oid, value: &[u8]) -> bool {
    match *oid {
        id::EXT_KEY_USAGE => {
            oids(value).is_some_and(|all| !all.is_empty() && all.iter().all(usage::is_portable))
        }
        id::CERTIFICATE_POLICIES => sequence(value, |r| {
            let mut policy = SliceReader::new(asn1::value(r, asn1::SEQUENCE)?)?;
            asn1::oid(&mut policy).map(drop)
        }),
        id::NAME_CONSTRAINTS => NameConstraints::from_der(value).is_ok_and(|constraints| {
            let NameConstraints {
                permitted,
                excluded,
            } = &constraints;
            !constraints.is_empty() && [permitted, excluded].into_iter().all(are_domains)
        }),
        id::CRL_DISTRIBUTION_POINTS => ext::distribution_point_uris(value).is_ok(),
        id::AUTHORITY_INFO_ACCESS => ext::access_uris(value).is_ok(),
        INHIBIT_ANY_POLICY => asn1::decode(value, asn1::number).is_ok(),
        POLICY_MAPPINGS => sequence(value, |r| {
            let pair = asn1::value(r, asn1::SEQUENCE)?;
            asn1::decode(pair, |r| asn1::oid(r).and_then(|_| asn1::oid(r))).map(drop)
        }),
        POLICY_CONSTRAINTS => {
            asn1::decode(value, |r| asn1::value(r, asn1::SEQUENCE)).is_ok_and(|body| {
                asn1::decode(body, |r| {
                    let explicit = asn1::optional(r, asn1::context(0))?;
                    let mapping = asn1::optional(r, asn1::context(1))?;
                    Ok(explicit.is_some() || mapping.is_some())
                })
                .unwrap_or_default()
            })
        }
        _ => true,
    }
}

fn are_domains(subtrees: &Subtrees) -> bool {
    let mail = |text: &String| match text.rsplit_once('@') {
        Some((user, host)) => !user.is_empty() && is_domain(host),
        None => text.is_empty() || is_domain(text),
    };
    let uri = |text: &String| text.is_empty() || is_domain(text) && text.parse::<IpAddr>().is_err();
    subtrees
        .dns
        .iter()
        .all(|text| text.is_empty() || is_domain(text))
        && subtrees.emails.iter().all(mail)
        && subtrees.uris.iter().all(uri)
}

fn oids(value: &[u8]) -> Option<Vec<Oid>> {
    let body = asn1::decode(value, |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
    let read = asn1::decode(body, |r| {
        let mut all = Vec::new();
        while !r.is_finished() {
            all.push(asn1::oid(r)?);
        }
        Ok(all)
    });
    read.ok()
}

/// Whether a value is a sequence of at least one element that `element` reads.
fn sequence(
    value: &[u8],
    mut element: impl FnMut(&mut SliceReader<'_>) -> der::Result<()>,
) -> bool {
    let Ok(body) = asn1::decode(value, |r| asn1::value(r, asn1::SEQUENCE)) else {
        return false;
    };
    let read = asn1::decode(body, |r| {
        while !r.is_finished() {
            element(r)?;
        }
        Ok(())
    });
    !body.is_empty() && read.is_ok()
}

/// Go refuses these where they are critical (RFC 5280 sections 4.2.1.1, 4.2.1.2 and 4.2.2.1).
const NEVER_CRITICAL: [Oid; 3] = [
    id::AUTHORITY_KEY_ID,
    id::SUBJECT_KEY_ID,
    id::AUTHORITY_INFO_ACCESS,
];
const POLICY_MAPPINGS: Oid = Oid::new_unwrap("2.5.29.33");
const POLICY_CONSTRAINTS: Oid = Oid::new_unwrap("2.5.29.36");
const INHIBIT_ANY_POLICY: Oid = Oid::new_unwrap("2.5.29.54");

/// Octets that the signature takes at most. The longest of the others is that of an RSA key of 8192 bits.
fn signature_room(certificate: &Certificate) -> usize {
    match certificate.signature_algorithm() {
        Ok(SignatureAlgorithm::MlDsa(set)) => set.signature_octets(),
        _ => 1024,
    }
}

/// The 65,535 octets of webpki without the frame around what is signed and the signature.
const MAX_OCTETS: usize = 65_535 - 76;
