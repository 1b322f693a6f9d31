//! The challenge tls-alpn-01 (RFC 8737, for addresses RFC 8738 section 6).

use std::net::IpAddr;

use landfast_pki::{Certificate, ext};
use rustls::pki_types::{CertificateDer, ServerName};

use super::connect::Host;
use super::{Attempt, Looking};
use crate::challenge::{ACME_IDENTIFIER, ALPN_PROTOCOL, ChallengeType, tls_alpn_value};
use crate::{Identifier, Kind, Problem, text};

impl Attempt<'_> {
    /// Whether the host shows the certificate that the challenge asks for.
    pub(super) async fn tls_alpn(&self) -> Result<(), Problem> {
        self.refuse_unless(!self.identifier.is_wildcard(), ChallengeType::TlsAlpn01)?;
        let host = self.host();
        let name = match host {
            Host::Name(name) => name.to_owned(),
            Host::Address(address) => reverse(address),
        };
        let port = self.validator.settings.tls_port;
        let stream = self.connect(host, port).await?;
        let failed = |why: &dyn std::fmt::Display| {
            let detail = format!(
                "tls-alpn-01: failed to perform handshake with {}: {}",
                self.identifier,
                text::shown(&why.to_string())
            );
            Problem::new(Kind::Tls, detail)
        };
        let name = ServerName::try_from(name).map_err(|why| failed(&why))?;
        let connector = self.validator.handshakes.connector(Looking::AtTheKey);
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|why| failed(&why))?;
        // Nothing is exchanged after the handshake (RFC 8737 section 4): the connection ends with this.
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN_PROTOCOL) {
            return Err(wrong("the server does not speak acme-tls/1 for this name"));
        }
        let value = tls_alpn_value(&self.authorization);
        check(
            session.peer_certificates().unwrap_or_default(),
            self.identifier,
            &value,
        )
    }
}

/// Checks what RFC 8737 section 3 asks of the certificate.
fn check(
    chain: &[CertificateDer<'_>],
    identifier: &Identifier,
    value: &[u8],
) -> Result<(), Problem> {
    let [certificate] = chain else {
        let detail = format!("the server shows {} certificates, not one", chain.len());
        return Err(wrong(detail));
    };
    let certificate = Certificate::from_der(certificate)
        .map_err(|why| wrong(format!("the certificate cannot be read: {why}")))?;
    if !certificate.is_self_issued()
        || certificate
            .verify_signed_by(certificate.public_key())
            .is_err()
    {
        return Err(wrong("the certificate is not signed by its own key"));
    }
    let names = certificate.extension(&ext::id::SUBJECT_ALT_NAME);
    if !names.is_some_and(|names| is_alone(names.value, identifier)) {
        let detail =
            format!("the certificate's subject alternative names are not {identifier} alone");
        return Err(wrong(detail));
    }
    let mut ours = certificate
        .extensions()
        .filter(|one| one.oid == ACME_IDENTIFIER);
    match (ours.next(), ours.next()) {
        (Some(one), None) if !one.critical => {
            return Err(wrong(
                "the extension acmeIdentifier of the certificate is not critical",
            ));
        }
        (Some(one), None) if one.value != value => {
            return Err(wrong(
                "the extension acmeIdentifier of the certificate has the digest of another key authorization",
            ));
        }
        (Some(_), None) => {}
        _ => {
            return Err(wrong(
                "the certificate has not one extension acmeIdentifier",
            ));
        }
    }
    let known = [
        ACME_IDENTIFIER,
        ext::id::SUBJECT_ALT_NAME,
        ext::id::KEY_USAGE,
        ext::id::EXT_KEY_USAGE,
        ext::id::BASIC_CONSTRAINTS,
    ];
    match certificate
        .extensions()
        .find(|one| one.critical && !known.contains(&one.oid))
    {
        Some(other) => Err(wrong(format!(
            "the certificate has the critical extension {}, which nobody asked for",
            other.oid
        ))),
        None => Ok(()),
    }
}

fn wrong(why: impl Into<String>) -> Problem {
    let detail = format!("tls-alpn-01: {}", why.into());
    Problem::new(Kind::IncorrectResponse, detail)
}

/// Whether this DER of subject alternative names has this one alone. Names are compared whatever their case (RFC 4343).
fn is_alone(names: &[u8], identifier: &Identifier) -> bool {
    let address = match identifier.ip() {
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().to_vec(),
        None => {
            let name = identifier.value().as_bytes();
            let whole = tlv(0x30, &tlv(0x82, name));
            let head = whole.len() - name.len();
            let parts = names.split_at_checked(head);
            return parts.is_some_and(|(before, shown)| {
                before == &whole[..head] && shown.eq_ignore_ascii_case(name)
            });
        }
    };
    names == tlv(0x30, &tlv(0x87, &address))
}

/// A value of at most 65,535 octets.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let [high, low] = (length as u16).to_be_bytes();
    let head = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, value.to_vec()].concat()
}

/// The name below `arpa` that stands for an address in SNI (RFC 8738 section 6, RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let digits = landfast_base::hex(&address.octets());
            let labels: Vec<String> = digits.chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_arpa_are_those_of_the_standards() {
        let of = |text: &str| reverse(text.parse().unwrap());
        assert_eq!(of("192.0.2.4"), "4.2.0.192.in-addr.arpa");
        // The example of RFC 3596 section 2.5.
        assert_eq!(
            of("4321:0:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"
        );
        assert!(ServerName::try_from(of("::1")).is_ok());
    }

    #[test]
    fn one_name_stands_alone() {
        let name = |text: &str| Identifier::new("dns", text).unwrap();
        let long = format!("{}.example", ["a"; 100].join("."));
        for text in ["a.example", &long] {
            let der = tlv(0x30, &tlv(0x82, text.to_uppercase().as_bytes()));
            assert!(is_alone(&der, &name(text)));
            assert!(!is_alone(&der, &name("b.example")));
            assert!(!is_alone(&[&der[..], b"a"].concat(), &name(text)));
        }
        let two = [tlv(0x82, b"a.example"), tlv(0x82, b"a.example")].concat();
        assert!(!is_alone(&tlv(0x30, &two), &name("a.example")));
        assert!(!is_alone(
            &tlv(0x30, &tlv(0x81, b"a.example")),
            &name("a.example")
        ));
        assert!(!is_alone(&[], &name("a.example")));

        // 97 and 65 are one letter in two cases, and two addresses.
        let address = |text: &str| Identifier::new("ip", text).unwrap();
        let der = tlv(0x30, &tlv(0x87, &[97, 0, 0, 1]));
        assert!(is_alone(&der, &address("97.0.0.1")));
        assert!(!is_alone(&der, &address("65.0.0.1")));
    }
}
