//! Leaves for ACME (RFC 8555 section 7.4): a certificate for names whose control was shown, and for nothing else.
//!
//! Names come from the order. Of the certification request only its key is used, and its common name where that is one of the names: whatever else it
//! says nobody has shown (RFC 8555 section 7.4: other parts of the subject may be left out).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::issue::{self, Holder, Issuer, Leaf, LeafRequest};
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::validity::{IssuerEnd, LeafNotAfter, MountTtl, parse_rfc3339};
use crate::{Certificate, Csr, SerialNumber, Unsigned};

/// The longest life of a certificate by ACME, whatever role and mount say, as OpenBao's engine has it.
pub const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// The longest common name (RFC 5280 appendix A.1, ub-common-name).
const COMMON_NAME: usize = 64;

/// What is certified.
#[derive(Debug, Clone, Copy)]
pub struct AcmeRequest<'a> {
    /// The certification request; [`check_names`] holds it against the names.
    pub csr: &'a Csr,
    /// DNS names whose control was shown, in lower case; wildcards begin with `*.`.
    pub dns: &'a [String],
    /// IP addresses whose control was shown.
    pub ips: &'a [IpAddr],
    /// Lease durations of the mount.
    pub mount: MountTtl,
}

/// The rules by which ACME issues: those of a role, or those of no role, by which every name goes.
///
/// Certificates are for servers (serverAuth) unless `purposes` says that the role's purposes count. Names are the order's, the subject's serial number
/// of a request is let pass (and then left out), and no fixed end is more than [`LONGEST`] after `now`.
///
/// # Errors
/// The role has a part that cannot be used.
pub fn profile(
    role: Option<&Settings>,
    purposes: bool,
    now: Timestamp,
) -> Result<Profile, Refusal> {
    let mut settings = role.cloned().unwrap_or_else(Settings::open);
    if !purposes {
        settings.ext_key_usage = vec!["serverauth".to_owned()];
        settings.ext_key_usage_oids = Vec::new();
        settings.server_flag = true;
        settings.client_flag = false;
        settings.code_signing_flag = false;
        settings.email_protection_flag = false;
    }
    settings.use_csr_sans = false;
    settings.use_csr_common_name = false;
    settings.allowed_serial_numbers = vec!["*".to_owned()];
    let latest = now + SignedDuration::from_secs(LONGEST.as_secs().cast_signed());
    if parse_rfc3339(&settings.not_after).is_ok_and(|end| end > latest) {
        settings.not_after = String::new();
    }
    Profile::new(settings)
}

/// Why a certification request does not fit an order; the texts are those of OpenBao's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit(String);

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Holds the names of a certification request against those of the order: they must be the same (RFC 8555 section 7.4). The common name counts as one.
///
/// # Errors
/// What does not fit.
pub fn check_names(csr: &Csr, dns: &[String], ips: &[IpAddr]) -> Result<(), Misfit> {
    let asked = csr.subject_alt_names();
    if !(asked.emails.is_empty()
        && asked.uris.is_empty()
        && asked.other.is_empty()
        && asked.rest.is_empty())
    {
        return Err(Misfit("CSR included unsupported SAN types".to_owned()));
    }
    let constraints = csr.basic_constraints().map_err(|cause| {
        Misfit(format!(
            "refusing to accept CSR with Basic Constraints extension: {cause}"
        ))
    })?;
    if constraints.is_some_and(|constraints| constraints.ca) {
        return Err(Misfit(
            "refusing to accept CSR with Basic Constraints extension with CA set to true"
                .to_owned(),
        ));
    }
    let mut csr_dns: BTreeSet<String> = asked
        .dns
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let mut csr_ips: BTreeSet<IpAddr> = asked.ips.iter().copied().collect();
    if let Some(name) = csr.subject().common_name().filter(|name| !name.is_empty()) {
        match name.parse() {
            Ok(ip) => csr_ips.insert(ip),
            Err(_) => csr_dns.insert(name.to_ascii_lowercase()),
        };
    }
    same("DNS", dns.iter().cloned().collect(), &csr_dns)?;
    same("IP", ips.iter().copied().collect(), &csr_ips)
}

fn same<T: Ord + std::fmt::Display>(
    kind: &str,
    order: BTreeSet<T>,
    csr: &BTreeSet<T>,
) -> Result<(), Misfit> {
    if order.len() != csr.len() {
        return Err(Misfit(format!(
            "Order ({}) and CSR ({}) mismatch on number of {kind} identifiers",
            order.len(),
            csr.len()
        )));
    }
    match order.iter().find(|name| !csr.contains(name)) {
        Some(missing) => Err(Misfit(format!(
            "CSR is missing order {kind} identifier {missing}"
        ))),
        None => Ok(()),
    }
}

/// Decides on a certificate by the rules of [`profile`], and builds the bytes to sign. An end beyond that of the issuer is cut, never refused.
///
/// # Errors
/// The role, the issuer or RFC 5280 does not allow it.
pub fn prepare(
    rules: &Profile,
    issuer: &Issuer,
    request: &AcmeRequest<'_>,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<Unsigned<Certificate>, Refusal> {
    let csr = request.csr;
    issue::check_csr_key(rules, csr.public_key())?;
    let common_name = common_name(rules, request);
    let ips: Vec<String> = request.ips.iter().map(ToString::to_string).collect();
    let asked = LeafRequest {
        common_name: &common_name,
        alt_names: &request.dns.join(","),
        ip_sans: &ips,
        ttl: lifetime(rules, request.mount),
        ..LeafRequest::new(Holder::Csr(csr), request.mount)
    };
    let names = rules.names(None, "");
    let mut decided = issue::decide(rules, &names, Some(end(issuer)), &asked, now)?;
    decided.subject.serial_number = String::new();
    let (algorithm, _) = issue::algorithm(rules, issuer, asked.holder)?;
    // Last, because it costs more than all the rest.
    csr.verify()?;

    Leaf {
        profile: rules,
        issuer,
        rules: &names,
        key: csr.public_key(),
        algorithm,
        serial,
    }
    .build(&decided, now)
    .map(|(prepared, _)| prepared)
}

/// The lifetime to ask for: nothing, so that the role or the mount says, unless that is too long.
fn lifetime(profile: &Profile, mount: MountTtl) -> Duration {
    let settings = profile.settings();
    let usual = if settings.ttl.is_zero() {
        mount.default
    } else {
        settings.ttl
    };
    let most = if settings.max_ttl.is_zero() {
        mount.max
    } else {
        settings.max_ttl
    };
    let cut = LONGEST.min(if most.is_zero() { LONGEST } else { most });
    if usual > cut || usual.is_zero() {
        cut
    } else {
        Duration::ZERO
    }
}

fn end(issuer: &Issuer) -> IssuerEnd {
    let behavior = match issuer.leaf_not_after() {
        LeafNotAfter::Permit => LeafNotAfter::Permit,
        LeafNotAfter::Err | LeafNotAfter::Truncate | LeafNotAfter::AlwaysErr => {
            LeafNotAfter::Truncate
        }
    };
    IssuerEnd {
        behavior,
        ..issuer.end()
    }
}

/// The common name: that of the request, which is one of the names; else one of them where the role wants one, a wildcard before other names before
/// addresses.
fn common_name(profile: &Profile, request: &AcmeRequest<'_>) -> String {
    let fits = |name: &&String| name.len() <= COMMON_NAME;
    let asked = request
        .csr
        .subject()
        .common_name()
        .filter(|name| !name.is_empty());
    if let Some(name) = asked {
        return name.to_ascii_lowercase();
    }
    if !profile.settings().require_cn {
        return String::new();
    }
    let dns = || request.dns.iter().filter(fits);
    let wildcard = dns().find(|name| name.starts_with("*."));
    let name = wildcard.or_else(|| dns().next()).cloned();
    name.or_else(|| request.ips.first().map(ToString::to_string))
        .unwrap_or_default()
}
