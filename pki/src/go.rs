//! What programs in Go can read.
//!
//! The built-in engines of OpenBao and Vault are such programs, and so are most clients. One certificate among the issuers of a mount that they
//! cannot read stops the built-in engine for the whole mount: no revocation, no new key, no new root. So a certificate is held against Go's rules
//! before it is stored as an issuer. The rules are those of `crypto/x509` and `net/url` of Go 1.27, as OpenBao 2.7.2 applies them.

use std::collections::HashSet;
use std::net::IpAddr;

use der::{Reader, SliceReader};

use crate::asn1;
use crate::ext::{self, Subtrees};
use crate::key::{KeyType, PublicKey};
use crate::name::Name;
use crate::{Certificate, Error, Oid};

mod url;

/// Whether `host` may be the host of a URI name: labels of printable ASCII between dots, no empty one, at most 253 octets.
pub use url::is_host;
/// Whether Go reads `uri` as the URI of a subject alternative name.
pub use url::is_uri;

/// Checks that Go programs can read a certificate and use it as a CA.
///
/// # Errors
/// What they would say.
pub fn check_ca(certificate: &Certificate) -> Result<(), Error> {
    check(certificate)?;
    if !certificate.is_ca() {
        return refused("Refusing to import non-CA certificate");
    }
    let key = certificate.public_key();
    if key.key_type() != KeyType::Other {
        return Ok(());
    }
    match key.algorithm_oid() {
        // Go reads these keys, but the built-in engine makes no key and no issuer any more once it has such an issuer.
        Some(DSA | X25519) => refused("x509: keys of this kind cannot sign for a CA"),
        _ => refused(
            "Refusing to import CA certificate with empty PublicKey. This usually means the SubjectPublicKeyInfo field has an OID not recognized by Go.",
        ),
    }
}

/// Checks that Go programs can read a certificate.
///
/// # Errors
/// What they would say.
pub fn check(certificate: &Certificate) -> Result<(), Error> {
    key(certificate.public_key())?;
    for name in [certificate.issuer(), certificate.subject()] {
        attributes(name)?;
    }
    for extension in certificate.extensions() {
        if !has_small_arcs(&extension.oid) {
            return refused("x509: malformed extension OID field");
        }
        let critical = |what: &str| {
            if extension.critical {
                refused(format!("x509: {what} incorrectly marked critical"))
            } else {
                Ok(())
            }
        };
        match extension.oid {
            ext::id::AUTHORITY_KEY_ID => critical("authority key identifier")?,
            ext::id::SUBJECT_KEY_ID => critical("subject key identifier")?,
            ext::id::AUTHORITY_INFO_ACCESS => {
                critical("authority info access")?;
                if ext::access_uris(extension.value).is_err() {
                    return refused("x509: invalid authority info access");
                }
            }
            ext::id::CRL_DISTRIBUTION_POINTS if distribution_points(extension.value).is_err() => {
                return refused("x509: invalid CRL distribution point");
            }
            ext::id::CERTIFICATE_POLICIES if !policies(extension.value).unwrap_or(false) => {
                return refused("x509: invalid certificate policies");
            }
            ext::id::NAME_CONSTRAINTS if extension.value == [asn1::SEQUENCE, 0] => {
                return refused("x509: empty name constraints extension");
            }
            _ => {}
        }
    }
    if !certificate.ext_key_usage().iter().all(has_small_arcs) {
        return refused("x509: invalid extended key usages");
    }
    if let Some(constraints) = certificate.name_constraints()? {
        subtrees(&constraints.permitted)?;
        subtrees(&constraints.excluded)?;
    }
    let names = certificate.subject_alt_names();
    if let Some(uri) = names.uris.iter().find(|uri| !is_uri(uri)) {
        return refused(format!("x509: cannot parse URI {uri:?}"));
    }
    let mapped = |ip: &IpAddr| matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    if names.ips.iter().any(mapped) {
        return refused("x509: SAN iPAddress contains IPv4-mapped IPv6 address");
    }
    Ok(())
}

fn key(key: &PublicKey) -> Result<(), Error> {
    let algorithm = key.algorithm_identifier();
    match key.key_type() {
        KeyType::Rsa if !algorithm.ends_with(&[asn1::NULL, 0]) => {
            refused("x509: RSA key missing NULL parameters")
        }
        KeyType::Ed25519 if algorithm.len() != ED25519_IDENTIFIER => {
            refused("x509: Ed25519 key encoded with illegal parameters")
        }
        KeyType::Other if key.algorithm_oid() == Some(EC_PUBLIC_KEY) => {
            refused("x509: unsupported elliptic curve or invalid ECDSA parameters")
        }
        _ => Ok(()),
    }
}

/// The texts of a name, each by the rules of its type.
fn attributes(name: &Name) -> Result<(), Error> {
    let mut fault = None;
    name.each(|oid, tag, value| {
        let printable = |b: &u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(b);
        let fits = match tag {
            asn1::PRINTABLE_STRING => value.iter().all(printable),
            NUMERIC_STRING => value.iter().all(|b| b.is_ascii_digit() || *b == b' '),
            BMP_STRING => bmp(value),
            _ => true,
        };
        if !fits {
            fault.get_or_insert("invalid attribute value");
        }
        if !has_small_arcs(oid) {
            fault.get_or_insert("invalid attribute type");
        }
    });
    match fault {
        Some(why) => refused(format!("x509: invalid RDNSequence: {why}")),
        None => Ok(()),
    }
}

/// UCS-2: no surrogates and no noncharacters.
fn bmp(value: &[u8]) -> bool {
    value.len().is_multiple_of(2)
        && value.chunks_exact(2).all(|pair| {
            let unit = u16::from_be_bytes([pair[0], pair[1]]);
            !matches!(unit, 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe | 0xffff)
        })
}

fn subtrees(subtrees: &Subtrees) -> Result<(), Error> {
    let bad = |kind: &str, domain: &str| {
        refused(format!(
            "x509: failed to parse {kind} constraint {domain:?}"
        ))
    };
    let domain = |text: &str| url::is_domain(text, true);
    if let Some(name) = subtrees.dns.iter().find(|name| !domain(name)) {
        return bad("dnsName", name);
    }
    let mail = |name: &&String| !name.contains('@') && !domain(name);
    if let Some(name) = subtrees.emails.iter().find(mail) {
        return bad("rfc822Name", name);
    }
    let uri = |name: &&String| !domain(name) || name.parse::<IpAddr>().is_ok();
    if let Some(name) = subtrees.uris.iter().find(uri) {
        return bad("URI", name);
    }
    Ok(())
}

/// Reads the points as Go does: a name, where there is one, must be a full name.
fn distribution_points(der: &[u8]) -> der::Result<()> {
    let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE))?;
    let mut points = SliceReader::new(body)?;
    while !points.is_finished() {
        let mut point = SliceReader::new(asn1::value(&mut points, asn1::SEQUENCE)?)?;
        let Some(name) = asn1::optional(&mut point, asn1::context_constructed(0))? else {
            continue;
        };
        let full = asn1::value(&mut SliceReader::new(name)?, asn1::context_constructed(0))?;
        let mut names = SliceReader::new(full)?;
        while asn1::peek(&names) == Some(asn1::context(6)) {
            asn1::value(&mut names, asn1::context(6))?;
        }
    }
    Ok(())
}

/// Whether each policy is there once.
fn policies(der: &[u8]) -> der::Result<bool> {
    let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE))?;
    let mut list = SliceReader::new(body)?;
    let mut seen = HashSet::new();
    while !list.is_finished() {
        let mut one = SliceReader::new(asn1::value(&mut list, asn1::SEQUENCE)?)?;
        if !seen.insert(asn1::value(&mut one, asn1::OBJECT_IDENTIFIER)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Go reads arcs of at most 31 bits.
fn has_small_arcs(oid: &Oid) -> bool {
    oid.arcs().all(|arc| arc <= i32::MAX.cast_unsigned())
}

fn refused(why: impl Into<String>) -> Result<(), Error> {
    Err(Error::NotForGo(why.into()))
}

const NUMERIC_STRING: u8 = 0x12;
const BMP_STRING: u8 = 0x1e;
/// Octets of the AlgorithmIdentifier of an Ed25519 key without parameters (RFC 8410 section 3).
const ED25519_IDENTIFIER: usize = 7;
const EC_PUBLIC_KEY: Oid = Oid::new_unwrap("1.2.840.10045.2.1");
const DSA: Oid = Oid::new_unwrap("1.2.840.10040.4.1");
const X25519: Oid = Oid::new_unwrap("1.3.101.110");

#[cfg(test)]
mod tests;
