//! Why a request for a certificate is turned down, in the words clients already match on.

use std::fmt;

use thiserror::Error;

use crate::node_name::NotANodeName;

mod rule;

pub use rule::Rule;

/// Most names in one certificate, user ids included. Readers have their own limits: webpki takes no certificate above 64 KiB.
pub const MAX_NAMES: usize = 1000;

/// How a refusal reaches the caller (OpenBao pki: trap of the two error channels).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// An error *response*: HTTP 400 with the bare text.
    Response,
    /// An error *value*: HTTP 500; the host wraps the text when the request carried a token.
    Value,
}

/// A request that the rules of a role, an issuer or a mount do not allow.
///
/// `Display` is the exact text for the caller; it names values of the request only where the
/// built-in engine does, and never anything that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No common name although the role requires one.
    #[error(
        "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, unless \"require_cn\" is set to false"
    )]
    CommonNameMissing,
    /// The role does not admit this common name.
    #[error("common name {0} not allowed by this role")]
    CommonName(String),
    /// A common name that the role admits and EKS could not use.
    #[error("common name {name} not allowed by this role: {why}")]
    NodeName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: NotANodeName,
    },
    /// The role does not admit this DNS name.
    #[error("subject alternate name {0} not allowed by this role")]
    DnsName(String),
    /// The role does not admit this mail address.
    #[error("email address {0} not allowed by this role")]
    Email(String),
    /// An element of `alt_names` that is neither a host name nor a mail address.
    #[error(
        "subject alternate name {} not allowed by this role: it is neither a host name nor a mail address", Quoted(.0)
    )]
    NoName(String),
    /// More names than one certificate may have.
    #[error(
        "the request asks for {0} names, and a certificate has at most {max}: ask for several certificates", max = MAX_NAMES
    )]
    TooManyNames(usize),
    /// A name that nobody could use.
    #[error("a value of {what} is longer than {most} octets")]
    NameTooLong {
        /// The field or the kind of name.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// More work than a request may cause.
    #[error(
        "the request asks for {names} names under a role with {patterns} patterns, which is more than can be compared at once: ask for fewer names in one certificate, or split the role"
    )]
    TooManyPatterns {
        /// How many names of one kind.
        names: usize,
        /// How many patterns the role has for them.
        patterns: usize,
    },
    /// A label that is empty, too long, or not valid Punycode (RFC 5891).
    #[error("idna: invalid label {}", Quoted(.0))]
    Idna(String),

    /// Not the text of an IP address.
    #[error("the value {} is not a valid IP address", Quoted(.0))]
    NotAnIp(String),
    /// The role has `allow_ip_sans` off.
    #[error("IP Subject Alternative Names are not allowed in this role, but was provided via {0}")]
    IpForbidden(Source),
    /// Outside every range of `allowed_ip_sans_cidr`.
    #[error("the IP address {} is not allowed in this role", Quoted(.0))]
    Ip(String),
    /// The role lists no URI at all.
    #[error(
        "URI Subject Alternative Names are not allowed in this role, but were provided via {0}"
    )]
    UriForbidden(Source),
    /// No pattern of `allowed_uri_sans` fits.
    #[error(
        "URI Subject Alternative Names were provided via {0} which are not valid for this role"
    )]
    Uri(Source),
    /// Not the text of a URI (RFC 3986).
    #[error("the provided URI Subject Alternative Name {} is not a valid URI", Quoted(.0))]
    NotAUri(String),
    /// The role lists no value for this object identifier.
    #[error("other SAN OID {0} not allowed by this role")]
    OtherNameOid(String),
    /// No pattern listed for this object identifier fits the value.
    #[error("other SAN {value} not allowed for OID {oid} by this role")]
    OtherName {
        /// The requested type, dotted decimal.
        oid: String,
        /// The requested value.
        value: String,
    },
    /// An `other_sans` element that is not `OID;UTF8:value`.
    #[error("could not parse requested other SAN: {0}")]
    OtherNameSyntax(String),
    /// The type of an other name cannot be encoded as an object identifier.
    #[error("error marshaling other SANs: invalid OID: {0}")]
    OtherNameEncoding(String),
    /// Not in `allowed_serial_numbers`. This is the subject's serial number, not the certificate's.
    #[error("serial_number {0} not allowed by this role")]
    SubjectSerial(String),
    /// Not in `allowed_user_ids`.
    #[error("user_id {0} is not allowed by this role")]
    UserId(String),

    /// Both `ttl` and an end date.
    #[error(
        "Either ttl or not_after should be provided. Both should not be provided in the same request."
    )]
    TtlAndNotAfter,
    /// A time that is not RFC 3339, with the reason in the words of the built-in engine.
    #[error("{0}")]
    Time(String),
    /// `not_before_bound` is `forbid`.
    #[error("not_before_bound is set to forbid. not_before cannot be provided.")]
    NotBeforeForbidden,
    /// `not_after_bound` is `forbid`.
    #[error("not_after_bound is set to forbid. not_after cannot be provided.")]
    NotAfterForbidden,
    /// `not_before_bound` is `duration`, and the time lies before now minus that duration.
    #[error(
        "not_before_bound is set to duration. Cannot satisfy request as it would result in notBefore of {not_before} that is older than the allowed not_before_duration of {allowed}"
    )]
    NotBeforeTooOld {
        /// The requested start.
        not_before: String,
        /// The role's `not_before_duration`.
        allowed: String,
    },
    /// `not_after_bound` is `ttl-limited`.
    #[error(
        "not_after_bound is set to ttl-limited. Cannot satisfy request as that would result in notAfter of {not_after} that is beyond the TTL of {ttl}"
    )]
    NotAfterBeyondTtl {
        /// The requested end.
        not_after: String,
        /// The effective ttl.
        ttl: String,
    },
    /// `not_after_bound` is a point in time. (The spelling is the contract.)
    #[error(
        "not_after_bound is set to {bound}. Cannot statisfy request as that would result in notAfter of {not_after} that is beyond the maximum timestamp of {maximum}"
    )]
    NotAfterBeyondBound {
        /// The bound as the role has it.
        bound: String,
        /// The resulting end.
        not_after: String,
        /// The bound, normalised to UTC.
        maximum: String,
    },
    /// The certificate would outlive its issuer.
    #[error(
        "cannot satisfy request, as TTL would result in notAfter of {not_after} that is beyond the expiration of the CA certificate at {issuer_end}"
    )]
    BeyondIssuer {
        /// The resulting end.
        not_after: String,
        /// The issuer's end.
        issuer_end: String,
    },
    /// Ends before it starts.
    #[error(
        "The certificate's Not Before ({not_before}) is later than the certificate's Not After ({not_after})"
    )]
    Inverted {
        /// The resulting start.
        not_before: String,
        /// The resulting end.
        not_after: String,
    },
    /// Ends as it starts.
    #[error(
        "The certificate's Not Before ({not_before}) is equal to the certificate's Not After ({not_after})"
    )]
    ZeroLength {
        /// The resulting start.
        not_before: String,
        /// The resulting end.
        not_after: String,
    },

    /// The `csr` field is empty.
    #[error("\"csr\" is empty")]
    CsrEmpty,
    /// The `csr` field holds no PEM block.
    #[error("csr contains no data")]
    CsrNoPem,
    /// Not a certification request (RFC 2986).
    #[error("certificate request could not be parsed: {0}")]
    CsrSyntax(String),
    /// The key in the CSR is of another type than the role's.
    #[error("role requires keys of type {0}")]
    CsrKeyType(String),
    /// The key in the CSR is shorter than the role's.
    #[error("role requires a minimum of a {required}-bit key, but CSR's key is {actual} bits")]
    CsrKeyBits {
        /// The role's `key_bits`.
        required: u32,
        /// The size of the key in the CSR.
        actual: u32,
    },
    /// An RSA key in a CSR that is longer than the cryptography library takes.
    #[error("RSA keys of more than 8192 bits are not supported: the CSR's key has {0}")]
    CsrKeyTooLong(u32),
    /// A CSR signed by an algorithm that cannot be verified.
    #[error(
        "the request is signed by an algorithm that is not supported here ({0}); sign it with RSA and SHA-256, SHA-384, SHA-512 or SHA-1 (with PSS: not SHA-1), with ECDSA and SHA-256, SHA-384 or SHA-512, or with Ed25519"
    )]
    CsrAlgorithm(String),
    /// An RSA key below 2048 bits, whatever the role says.
    #[error("RSA keys < 2048 bits are unsafe and not supported")]
    WeakRsa,
    /// The CSR is not signed by its own key.
    #[error("request signature invalid")]
    CsrSignature,

    /// A role of key type `any` cannot generate a key without being told which.
    #[error(
        "role key type \"any\" not allowed for issuing certificates without providing key_type and/or key_bits request parameters"
    )]
    KeyTypeAny,
    /// The key named in the request is not one that can be made.
    #[error("failed to validate role: {0}")]
    IssueKey(String),

    /// A role whose `ttl` exceeds its `max_ttl`.
    #[error("\"ttl\" value must be less than \"max_ttl\" value")]
    RoleTtl,
    /// Key type, key size or signature size that cannot be had.
    #[error("{0}")]
    Key(String),
    /// An element of `allowed_ip_sans_cidr`.
    #[error("error parsing allowed_ip_sans_cidr: invalid CIDR address: {0}")]
    Cidr(String),
    /// An element of `allowed_other_sans`.
    #[error("error parsing allowed_other_sans: {0}")]
    AllowedOtherSans(String),
    /// An element of `ext_key_usage_oids`.
    #[error("{} could not be parsed as a valid oid for an extended key usage", Quoted(.0))]
    ExtKeyUsageOid(String),
    /// An element of `policy_identifiers`.
    #[error(
        "policy identifier {} is neither a valid OID: {oid_error}, Nor JSON Policy Identifier: {json_error}", Quoted(.element)
    )]
    PolicyIdentifier {
        /// The element.
        element: String,
        /// Why it is no object identifier.
        oid_error: String,
        /// Why it is no JSON policy.
        json_error: String,
    },
    /// An element of `cn_validations`, or a combination of them.
    #[error("cn_validations value incorrect: {0}")]
    CnValidations(String),
    /// A `not_after_bound` that is neither a word nor a time.
    #[error(
        "Unknown value for field `not_after_bound`. Possible values are `permit`, `ttl-limited`, `forbid`, or an explicit timestamp."
    )]
    NotAfterBound,
    /// A `not_before_bound` that is not one of the words.
    #[error(
        "Unknown value for field `not_before_bound`. Possible values are `permit` `duration` or `forbid`"
    )]
    NotBeforeBound,

    /// AIA templates need `config/cluster`.
    #[error(
        "unable to fetch AIA URL information: unable to template AIA URLs as we lack local cluster address information ({0})"
    )]
    AiaCluster(&'static str),
    /// AIA templates name an issuer that does not exist yet.
    #[error(
        "unable to fetch AIA URL information: unable to template AIA URLs as we lack an issuer id"
    )]
    AiaIssuer,
    /// A template of AIA does not become a URL.
    #[error("unable to fetch AIA URL information: {0}")]
    AiaUrl(String),

    /// An element of `permitted_dns_domains` that no reader takes for a domain.
    #[error(
        "permitted_dns_domains: {} is not a domain: labels of 1 to 63 ASCII characters between dots, at most 253 in all, perhaps with a dot in front", Quoted(.0)
    )]
    PermittedDomain(String),
    /// The issuer's path length is used up.
    #[error(
        "signing certificate has a max path length of zero, and cannot issue further CA certificates"
    )]
    PathLength,
    /// A `max_path_length` below -1, which stands for none.
    #[error(
        "unable to create certificate: x509: invalid MaxPathLen, must be greater or equal to -1"
    )]
    MaxPathLength,
    /// The `skid` field is not hexadecimal.
    #[error("cannot parse requested SKID value as hex: {0}")]
    Skid(String),
    /// The `certificate` field holds no PEM block.
    #[error("certificate could not be PEM-decoded")]
    NoPem,
    /// The certificate to cross-sign is not a CA's.
    #[error("given certificate is not a CA certificate")]
    NotCa,
    /// The certificate to cross-sign was issued by another name.
    #[error("given certificate is not self-issued")]
    NotSelfIssued,
    /// The certificate to cross-sign has a key of another type than the issuer's.
    #[error(
        "signing certificate's public key algorithm ({signer}) does not match submitted certificate's ({given}), and require_matching_certificate_algorithms is true"
    )]
    AlgorithmMismatch {
        /// Key type of the certificate handed in.
        given: &'static str,
        /// Key type of the issuer.
        signer: &'static str,
    },

    /// A program that says what only a CA certificate has.
    #[error(
        "a CEL role makes no CA certificates and none with constraints on names: leave IsCA, the constraints, and such an extension out of the template, and sign a CA at issuer/:issuer_ref/sign-intermediate"
    )]
    ProgramCa,
    /// A program that says what is the issuer's to say.
    #[error("the {0} is the issuer's: leave it out of ExtraExtensions")]
    ProgramExtension(&'static str),

    /// The finished certificate breaks a rule; `rule` names it. See [`crate::lint`].
    #[error("the certificate would break the rule {rule}: {text}")]
    Lint {
        /// The rule's identifier.
        rule: &'static str,
        /// What is wrong.
        text: String,
    },
    /// A value that DER cannot carry.
    #[error("unable to create certificate: {0}")]
    Encoding(String),
}

impl Refusal {
    /// The channel on which clients expect this refusal.
    ///
    /// Only faults that clients know as 500 are values. Faults of the caller that the built-in
    /// engine also answers with 500 (policy identifiers, `cn_validations`, other-name types) are
    /// responses here: nobody depends on the status, and a caller's mistake is not a server's.
    pub fn channel(&self) -> Channel {
        match self {
            Self::AiaCluster(_)
            | Self::AiaIssuer
            | Self::AiaUrl(_)
            | Self::AlgorithmMismatch { .. }
            | Self::Encoding(_) => Channel::Value,
            _ => Channel::Response,
        }
    }
}

/// Where a name came from; part of several texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A field of the request.
    Api,
    /// The certification request.
    Csr,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "the API",
            Self::Csr => "CSR",
        })
    }
}

/// Text in double quotes, escaped as Go's `%q` does, because the texts above are a contract.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{b}' => f.write_str("\\v")?,
                '\u{c}' => f.write_str("\\f")?,
                c if (c as u32) < 0x20 || c == '\u{7f}' => write!(f, "\\x{:02x}", c as u32)?,
                c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl From<crate::Error> for Refusal {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::RequestSignature => Self::CsrSignature,
            crate::Error::RequestAlgorithm(oid) => Self::CsrAlgorithm(oid),
            other => Self::Encoding(other.to_string()),
        }
    }
}

impl Refusal {
    pub(crate) fn policy_identifier(element: &str, oid: &str, json: &str) -> Self {
        Self::PolicyIdentifier {
            element: element.to_owned(),
            oid_error: format!("{} is no number", Quoted(oid)),
            json_error: json.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        for (input, want) in [
            ("abc", r#""abc""#),
            ("a\"b", r#""a\"b""#),
            ("a\\b\n", r#""a\\b\n""#),
            ("\u{1}", r#""\x01""#),
            ("\u{85}", r#""\u0085""#),
            ("ü", "\"ü\""),
        ] {
            assert_eq!(Quoted(input).to_string(), want);
        }
    }

    #[test]
    fn faults_that_clients_know_as_500_are_values() {
        // A caller's mistake: clients in Go repeat what is answered with 500.
        assert_eq!(Refusal::IssueKey("x".into()).channel(), Channel::Response);
        assert_eq!(Refusal::AiaCluster("path").channel(), Channel::Value);
        assert_eq!(Refusal::CommonNameMissing.channel(), Channel::Response);
        assert_eq!(
            Refusal::CnValidations("x".into()).channel(),
            Channel::Response
        );
    }

    #[test]
    fn templates_of_urls_need_an_address() {
        assert_eq!(
            Refusal::AiaCluster("path").to_string(),
            "unable to fetch AIA URL information: unable to template AIA URLs as we lack local cluster address information (path)"
        );
    }
}
