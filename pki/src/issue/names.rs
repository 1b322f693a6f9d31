//! The names of a certificate: gathered from the request or the CSR, each held against the role.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::ext::{GeneralNames, OtherName};
use crate::host::{is_dns_name, is_mail_name};
use crate::issue::{LeafRequest, limits, uri};
use crate::name::attribute;
use crate::node_name::node_name;
use crate::policy::Names;
use crate::profile::{self, Profile};
use crate::refusal::{Refusal, Source};
use crate::settings::Settings;
use crate::{Csr, Oid, host, usage};

/// The names that a certificate will carry.
pub(crate) struct Collected {
    pub(crate) common_name: String,
    pub(crate) subject_serial: String,
    pub(crate) names: GeneralNames,
    pub(crate) warnings: Vec<String>,
}

/// Gathers and checks. The first name that is not allowed refuses the request.
pub(crate) fn collect(
    profile: &Profile,
    rules: &Names<'_>,
    request: &LeafRequest<'_>,
) -> Result<Collected, Refusal> {
    let settings = profile.settings();
    let mut warnings = Vec::new();
    let csr = request.holder.csr();
    let csr_names = csr
        .filter(|_| settings.use_csr_sans)
        .map(Csr::subject_alt_names);
    limits::check(profile, rules, request, csr_names)?;

    let common_name = common_name(profile, request)?;
    let mut names = GeneralNames::default();
    if let Some(from_csr) = csr_names {
        names.dns.clone_from(&from_csr.dns);
        names.emails.clone_from(&from_csr.emails);
        if !from_csr.rest.is_empty() && from_csr.rest.iter().any(|name| !is_other_name(name)) {
            warnings.push(
                "names in the CSR that are not DNS, mail, IP, URI or other names were left out"
                    .into(),
            );
        }
    }
    if !common_name.is_empty() && !request.exclude_cn_from_sans {
        // What is no host name stays in the subject alone, as in the built-in engine.
        add_host_or_mail(&mut names, &common_name)?;
    }
    if csr_names.is_none() {
        for name in request
            .alt_names
            .trim()
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if !add_host_or_mail(&mut names, name)? && !add_loosely(&mut names, settings, name) {
                return Err(Refusal::NoName(name.to_owned()));
            }
        }
        limits::within(&names)?;
    }

    if !common_name.is_empty() {
        if !rules.allow_common_name(&common_name) {
            return Err(Refusal::CommonName(common_name));
        }
        if profile.settings().node_names
            && let Err(why) = node_name(&common_name)
        {
            return Err(Refusal::NodeName {
                name: common_name,
                why,
            });
        }
    }
    let subject_serial = subject_serial(profile, request)?;
    if let Some(bad) = names
        .dns
        .iter()
        .find(|name| !is_dns_name(name) || !rules.allow(name))
    {
        return Err(Refusal::DnsName(bad.clone()));
    }
    tidy(&mut names);
    if let Some(bad) = names
        .emails
        .iter()
        .find(|name| !is_mail_name(name) || !rules.allow(name))
    {
        return Err(Refusal::Email(bad.clone()));
    }

    names.other = other_names(profile, request, csr_names)?;
    names.ips = addresses(profile, request, csr_names)?;
    names.uris = uris(profile, rules, request, csr_names)?;
    Ok(Collected {
        common_name,
        subject_serial,
        names,
        warnings,
    })
}

/// User ids of the request, else of the CSR.
pub(crate) fn user_ids(
    profile: &Profile,
    request: &LeafRequest<'_>,
) -> Result<Vec<String>, Refusal> {
    let ids = match request.holder.csr() {
        Some(csr) if request.user_ids.is_empty() => csr.subject().values(&attribute::USER_ID),
        _ => request.user_ids.to_vec(),
    };
    limits::count(ids.len())?;
    match ids.iter().find(|id| !profile.allows_user_id(id)) {
        Some(bad) => Err(Refusal::UserId(bad.clone())),
        None => Ok(ids),
    }
}

fn common_name(profile: &Profile, request: &LeafRequest<'_>) -> Result<String, Refusal> {
    let settings = profile.settings();
    let from_csr = request
        .holder
        .csr()
        .filter(|_| settings.use_csr_common_name)
        .and_then(|csr| csr.subject().common_name())
        .filter(|name| !name.is_empty());
    match from_csr {
        Some(name) => Ok(name),
        None if request.common_name.is_empty() && settings.require_cn => {
            Err(Refusal::CommonNameMissing)
        }
        None => Ok(request.common_name.to_owned()),
    }
}

/// The subject's serial number of the request, else of the CSR.
fn subject_serial(profile: &Profile, request: &LeafRequest<'_>) -> Result<String, Refusal> {
    let serial = match request.holder.csr() {
        Some(csr) if request.serial_number.is_empty() => csr
            .subject()
            .values(&attribute::SERIAL_NUMBER)
            .pop()
            .unwrap_or_default(),
        _ => request.serial_number.to_owned(),
    };
    if serial.is_empty() || profile.allows_subject_serial(&serial) {
        Ok(serial)
    } else {
        Err(Refusal::SubjectSerial(serial))
    }
}

/// Puts a name where its shape belongs; `false` if it has neither shape.
fn add_host_or_mail(names: &mut GeneralNames, name: &str) -> Result<bool, Refusal> {
    if name.contains('@') {
        names.emails.push(name.to_owned());
        return Ok(true);
    }
    let ascii = host::to_ascii(name)?;
    let is_host = host::is_host_name(&ascii);
    if is_host {
        names.dns.push(ascii.into_owned());
    }
    Ok(is_host)
}

/// Without `enforce_hostnames`, labels may hold underscores and begin or end with a hyphen, as those of services do
/// (`_acme-challenge`, RFC 8552): `false` for any other shape.
fn add_loosely(names: &mut GeneralNames, settings: &Settings, name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let fits = !settings.enforce_hostnames
        && labels
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(plain));
    if fits {
        names.dns.push(name.to_owned());
    }
    fits
}

/// DNS names keep their order, mail addresses are sorted, neither repeats (OpenBao 2.7.2).
fn tidy(names: &mut GeneralNames) {
    let mut seen = HashSet::new();
    let dns = std::mem::take(&mut names.dns).into_iter();
    names.dns = dns.filter(|name| seen.insert(name.clone())).collect();
    for name in &mut names.emails {
        if name.trim().len() != name.len() {
            *name = name.trim().to_owned();
        }
    }
    names.emails.sort();
    names.emails.dedup();
}

fn other_names(
    profile: &Profile,
    request: &LeafRequest<'_>,
    csr_names: Option<&GeneralNames>,
) -> Result<Vec<OtherName>, Refusal> {
    let mut others = Vec::new();
    if csr_names.is_some_and(|names| names.rest.iter().any(|name| is_other_name(name))) {
        return Err(Refusal::OtherNameSyntax(
            "no UTF-8 string found in OtherName".into(),
        ));
    }
    let parsed = request
        .other_sans
        .iter()
        .map(|text| profile::OtherName::parse(text).map_err(Refusal::OtherNameSyntax))
        .collect::<Result<Vec<_>, _>>()?;
    for other in parsed {
        profile.other_names.check(other.oid, other.value)?;
        let oid = usage::looks_like_oid(other.oid)
            .then(|| Oid::new(other.oid).ok())
            .flatten();
        let Some(oid) = oid else {
            return Err(Refusal::OtherNameEncoding(other.oid.to_owned()));
        };
        others.push(OtherName {
            oid,
            value: other.value.to_owned(),
        });
    }
    for other in csr_names
        .map(|names| names.other.as_slice())
        .unwrap_or_default()
    {
        profile
            .other_names
            .check(&other.oid.to_string(), &other.value)?;
        others.push(other.clone());
    }
    Ok(others)
}

/// Addresses of the CSR are held against the role like those of the request (GHSA-g892-p242-8g86).
fn addresses(
    profile: &Profile,
    request: &LeafRequest<'_>,
    csr_names: Option<&GeneralNames>,
) -> Result<Vec<IpAddr>, Refusal> {
    let (addresses, source) = match csr_names {
        Some(names) => (names.ips.clone(), Source::Csr),
        None => {
            let parse = |text: &String| {
                let text = text.trim();
                text.parse::<IpAddr>()
                    .map_err(|_| Refusal::NotAnIp(text.to_owned()))
            };
            let parsed = request
                .ip_sans
                .iter()
                .map(parse)
                .collect::<Result<_, _>>()?;
            (parsed, Source::Api)
        }
    };
    if addresses.is_empty() {
        return Ok(addresses);
    }
    if !profile.settings().allow_ip_sans {
        return Err(Refusal::IpForbidden(source));
    }
    let mut checked = Vec::with_capacity(addresses.len());
    for ip in addresses {
        let canonical = ip.to_canonical();
        if source == Source::Csr && canonical != ip {
            return Err(Refusal::CsrSyntax(
                "x509: SAN iPAddress contains IPv4-mapped IPv6 address".into(),
            ));
        }
        if !profile.allows_ip(canonical) {
            return Err(Refusal::Ip(canonical.to_string()));
        }
        checked.push(canonical);
    }
    Ok(checked)
}

/// A URI is held against the role as sent and as it will stand in the certificate.
fn uris(
    profile: &Profile,
    rules: &Names<'_>,
    request: &LeafRequest<'_>,
    csr_names: Option<&GeneralNames>,
) -> Result<Vec<String>, Refusal> {
    let (requested, source) = match csr_names {
        Some(names) => (names.uris.as_slice(), Source::Csr),
        None => (request.uri_sans, Source::Api),
    };
    let requested = requested.iter().filter(|text| !text.is_empty());
    let mut checked = Vec::new();
    for text in requested {
        if !profile.lists_uris() {
            return Err(Refusal::UriForbidden(source));
        }
        if !rules.uris.allow(text) {
            return Err(Refusal::Uri(source));
        }
        let Some(uri) = uri::normalise(text) else {
            return Err(Refusal::NotAUri(text.clone()));
        };
        if uri != *text && !rules.uris.allow(&uri) {
            return Err(Refusal::Uri(source));
        }
        checked.push(uri);
    }
    Ok(checked)
}

/// Whether an encoded name that could not be read is an otherName, by its tag.
fn is_other_name(encoded: &[u8]) -> bool {
    encoded.first() == Some(&0xa0)
}
