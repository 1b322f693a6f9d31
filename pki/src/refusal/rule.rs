//! Which kind of rule turned a request down: few and fixed words, for counting.

use super::Refusal;

/// A kind of rule. Refusals repeat what was asked for; this does not, so there are never more of it than stand here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Whether there is a common name, and which.
    CommonName,
    /// Common names that EKS takes for a node's.
    NodeName,
    /// DNS names.
    DnsName,
    /// Mail addresses.
    Email,
    /// IP addresses.
    IpAddress,
    /// URIs.
    Uri,
    /// Names of other types.
    OtherName,
    /// Serial numbers of subjects.
    SubjectSerial,
    /// User ids.
    UserId,
    /// How many names there may be, and how long.
    Limits,
    /// Begin, end and lifetime.
    Validity,
    /// No certificate outlives its issuer.
    IssuerEnd,
    /// What a request to sign may look like.
    Csr,
    /// A request to sign is signed by its own key.
    CsrSignature,
    /// Type and size of the key of a request to sign.
    CsrKey,
    /// Type and size of a key to be made.
    Key,
    /// Fields of roles that contradict each other or mean nothing.
    Role,
    /// URLs of issuer, CRL and OCSP.
    Urls,
    /// What holds for CA certificates only.
    Authority,
    /// The lint of the finished certificate.
    Lint,
    /// What DER can carry.
    Encoding,
}

impl Rule {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::CommonName,
        Self::NodeName,
        Self::DnsName,
        Self::Email,
        Self::IpAddress,
        Self::Uri,
        Self::OtherName,
        Self::SubjectSerial,
        Self::UserId,
        Self::Limits,
        Self::Validity,
        Self::IssuerEnd,
        Self::Csr,
        Self::CsrSignature,
        Self::CsrKey,
        Self::Key,
        Self::Role,
        Self::Urls,
        Self::Authority,
        Self::Lint,
        Self::Encoding,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommonName => "common-name",
            Self::NodeName => "node-name",
            Self::DnsName => "dns-name",
            Self::Email => "email",
            Self::IpAddress => "ip-address",
            Self::Uri => "uri",
            Self::OtherName => "other-name",
            Self::SubjectSerial => "subject-serial",
            Self::UserId => "user-id",
            Self::Limits => "limits",
            Self::Validity => "validity",
            Self::IssuerEnd => "issuer-end",
            Self::Csr => "csr",
            Self::CsrSignature => "csr-signature",
            Self::CsrKey => "csr-key",
            Self::Key => "key",
            Self::Role => "role",
            Self::Urls => "urls",
            Self::Authority => "authority",
            Self::Lint => "lint",
            Self::Encoding => "encoding",
        }
    }
}

impl Refusal {
    /// The kind of rule behind it.
    pub const fn rule(&self) -> Rule {
        match self {
            Self::CommonNameMissing | Self::CommonName(_) => Rule::CommonName,
            Self::NodeName { .. } => Rule::NodeName,
            Self::DnsName(_) | Self::NoName(_) | Self::Idna(_) => Rule::DnsName,
            Self::Email(_) => Rule::Email,
            Self::NotAnIp(_) | Self::IpForbidden(_) | Self::Ip(_) => Rule::IpAddress,
            Self::UriForbidden(_) | Self::Uri(_) | Self::NotAUri(_) => Rule::Uri,
            Self::OtherNameOid(_)
            | Self::OtherName { .. }
            | Self::OtherNameSyntax(_)
            | Self::OtherNameEncoding(_) => Rule::OtherName,
            Self::SubjectSerial(_) => Rule::SubjectSerial,
            Self::UserId(_) => Rule::UserId,
            Self::TooManyNames(_) | Self::NameTooLong { .. } | Self::TooManyPatterns { .. } => {
                Rule::Limits
            }
            Self::TtlAndNotAfter
            | Self::Time(_)
            | Self::NotBeforeForbidden
            | Self::NotAfterForbidden
            | Self::NotBeforeTooOld { .. }
            | Self::NotAfterBeyondTtl { .. }
            | Self::NotAfterBeyondBound { .. }
            | Self::Inverted { .. }
            | Self::ZeroLength { .. } => Rule::Validity,
            Self::BeyondIssuer { .. } => Rule::IssuerEnd,
            Self::CsrEmpty | Self::CsrNoPem | Self::CsrSyntax(_) | Self::CsrAlgorithm(_) => {
                Rule::Csr
            }
            Self::CsrSignature => Rule::CsrSignature,
            Self::CsrKeyType(_)
            | Self::CsrKeyBits { .. }
            | Self::CsrKeyTooLong(_)
            | Self::WeakRsa => Rule::CsrKey,
            Self::KeyTypeAny | Self::IssueKey(_) | Self::Key(_) => Rule::Key,
            Self::RoleTtl
            | Self::Cidr(_)
            | Self::AllowedOtherSans(_)
            | Self::ExtKeyUsageOid(_)
            | Self::PolicyIdentifier { .. }
            | Self::CnValidations(_)
            | Self::NotAfterBound
            | Self::NotBeforeBound => Rule::Role,
            Self::AiaCluster(_) | Self::AiaIssuer | Self::AiaUrl(_) => Rule::Urls,
            Self::PermittedDomain(_)
            | Self::PathLength
            | Self::MaxPathLength
            | Self::Skid(_)
            | Self::NoPem
            | Self::NotCa
            | Self::NotSelfIssued
            | Self::ProgramCa
            | Self::ProgramExtension(_)
            | Self::AlgorithmMismatch { .. } => Rule::Authority,
            Self::Lint { .. } => Rule::Lint,
            Self::Encoding(_) => Rule::Encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbered_in_their_order_and_named_apart() {
        let mut names = Vec::new();
        for (number, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, number, "{rule:?}");
            assert!(
                rule.name()
                    .bytes()
                    .all(|b| b == b'-' || b.is_ascii_lowercase()),
                "{rule:?}"
            );
            names.push(rule.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }

    #[test]
    fn a_refusal_knows_its_kind() {
        let dns = Refusal::DnsName("a.example.com".to_owned());
        assert_eq!(dns.rule(), Rule::DnsName);
        let lint = Refusal::Lint {
            rule: "rfc5280-4.2.1.3",
            text: String::new(),
        };
        assert_eq!(lint.rule(), Rule::Lint);
        assert_eq!(Refusal::WeakRsa.rule(), Rule::CsrKey);
    }
}
