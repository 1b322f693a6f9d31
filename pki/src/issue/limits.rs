//! How much one request may ask for. What is beyond is refused by its count, before any name is looked at, so that no request
//! holds up others.

use crate::ext::GeneralNames;
use crate::issue::LeafRequest;
use crate::policy::Names;
use crate::profile::Profile;
use crate::refusal::Refusal;

/// Most names in one certificate, user ids included. Readers have their own limits: webpki takes no certificate above 64 KiB.
pub const MAX_NAMES: usize = 1000;

/// Most octets in a name that has no limit of its own: a URI, an other name.
const MAX_OCTETS: usize = 4096;

/// Most octets in a mail address: 64 before the `@`, and a domain (RFC 5321 section 4.5.3.1).
const MAX_MAIL: usize = 64 + 1 + 255;

/// Most work in holding names against patterns, in octets of names times patterns: some ten milliseconds.
const MAX_WORK: usize = 10_000_000;

/// Refuses a request for too many names, for too long ones, or for more than can be held against the role's patterns.
pub(crate) fn check(
    profile: &Profile,
    rules: &Names<'_>,
    request: &LeafRequest<'_>,
    csr_names: Option<&GeneralNames>,
) -> Result<(), Refusal> {
    let lists = [
        request.ip_sans,
        request.uri_sans,
        request.other_sans,
        request.user_ids,
    ];
    let sent: usize = lists.iter().map(|list| list.len()).sum();
    let alt_names = if request.alt_names.is_empty() {
        0
    } else {
        request.alt_names.matches(',').count() + 1
    };
    count(sent + alt_names)?;
    length("uri_sans", request.uri_sans, MAX_OCTETS)?;
    length("other_sans", request.other_sans, MAX_OCTETS)?;
    length("user_ids", request.user_ids, MAX_OCTETS)?;
    let octets = |list: &[String]| list.iter().map(String::len).sum::<usize>();
    let mut hosts = request.alt_names.len();
    let mut uris = octets(request.uri_sans);
    let mut others = octets(request.other_sans);
    let mut addresses = request.ip_sans.len();
    if let Some(names) = csr_names {
        within(names)?;
        hosts += octets(&names.dns) + octets(&names.emails);
        uris += octets(&names.uris);
        others += names.other.iter().map(|one| one.value.len()).sum::<usize>();
        addresses += names.ips.len();
    }
    for (octets, patterns) in [
        (hosts, rules.patterns()),
        (uris, rules.uris.patterns()),
        (others, profile.other_names.patterns()),
        (addresses * 16, profile.ranges.len()),
        (octets(request.user_ids), profile.user_ids.len()),
    ] {
        if octets.saturating_mul(patterns) > MAX_WORK {
            return Err(Refusal::TooManyPatterns { octets, patterns });
        }
    }
    Ok(())
}

/// Refuses names that are too many or too long, wherever they come from.
pub(crate) fn within(names: &GeneralNames) -> Result<(), Refusal> {
    let lists = [&names.dns, &names.emails, &names.uris];
    let listed: usize = lists.iter().map(|list| list.len()).sum();
    count(listed + names.ips.len() + names.other.len() + names.rest.len())?;
    length("DNS name", &names.dns, MAX_OCTETS)?;
    length("mail address", &names.emails, MAX_MAIL)?;
    length("URI", &names.uris, MAX_OCTETS)?;
    match names.other.iter().any(|one| one.value.len() > MAX_OCTETS) {
        true => Err(too_long("other name", MAX_OCTETS)),
        false => Ok(()),
    }
}

/// Refuses more than [`MAX_NAMES`].
pub(crate) fn count(names: usize) -> Result<(), Refusal> {
    if names > MAX_NAMES {
        return Err(Refusal::TooManyNames(names));
    }
    Ok(())
}

fn length(what: &'static str, list: &[String], most: usize) -> Result<(), Refusal> {
    match list.iter().any(|one| one.len() > most) {
        true => Err(too_long(what, most)),
        false => Ok(()),
    }
}

fn too_long(what: &'static str, most: usize) -> Refusal {
    Refusal::NameTooLong { what, most }
}
