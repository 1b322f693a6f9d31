//! How much one request may ask for. What is beyond is refused by its count, before any name is looked at, so that no request
//! holds up others.

use crate::ext::GeneralNames;
use crate::glob::Glob;
use crate::issue::LeafRequest;
use crate::policy::Names;
use crate::profile::Profile;
use crate::refusal::{MAX_NAMES, Refusal};

/// Most octets in a name that has no limit of its own: a URI, an other name.
const MAX_OCTETS: usize = 4096;

/// Most octets in a mail address: 64 before the `@`, and a domain (RFC 5321 section 4.5.3.1).
const MAX_MAIL: usize = 64 + 1 + 255;

/// Most steps in holding names against patterns (see `Glob::work`): some hundred milliseconds. As many names as a certificate may have can be held
/// against ten thousand patterns.
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
    let mut hosts = Amount {
        names: alt_names,
        octets: request.alt_names.len(),
    };
    let mut uris = Amount::of(request.uri_sans);
    let mut others = Amount::of(request.other_sans);
    let mut addresses = request.ip_sans.len();
    if let Some(names) = csr_names {
        within(names)?;
        hosts = hosts + Amount::of(&names.dns) + Amount::of(&names.emails);
        uris = uris + Amount::of(&names.uris);
        others = others + Amount::of(names.other.iter().map(|one| &one.value));
        addresses += names.ips.len();
    }
    hosts.within(rules.globs())?;
    uris.within(rules.uris.globs())?;
    others.within(profile.other_names.globs())?;
    Amount::of(request.user_ids).within(profile.user_id_globs())?;
    let ranges = profile.ranges.len();
    refuse_if(
        addresses.saturating_mul(ranges) > MAX_WORK,
        addresses,
        ranges,
    )
}

/// Names of one kind.
#[derive(Debug, Clone, Copy)]
struct Amount {
    names: usize,
    octets: usize,
}

impl Amount {
    fn of<T: AsRef<[u8]>>(list: impl IntoIterator<Item = T>) -> Self {
        let lengths = list.into_iter().map(|one| one.as_ref().len());
        let add = |sum: Self, length| Self {
            names: sum.names + 1,
            octets: sum.octets + length,
        };
        lengths.fold(
            Self {
                names: 0,
                octets: 0,
            },
            add,
        )
    }

    /// Refuses names that are too many for these patterns.
    fn within<'a>(self, globs: impl Iterator<Item = &'a Glob>) -> Result<(), Refusal> {
        let Self { names, octets } = self;
        if names == 0 {
            return Ok(());
        }
        let (mut work, mut patterns) = (0_usize, 0);
        for glob in globs {
            work = work.saturating_add(glob.work(names, octets));
            patterns += 1;
        }
        refuse_if(work > MAX_WORK, names, patterns)
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            names: self.names + other.names,
            octets: self.octets + other.octets,
        }
    }
}

fn refuse_if(too_much: bool, names: usize, patterns: usize) -> Result<(), Refusal> {
    if too_much {
        return Err(Refusal::TooManyPatterns { names, patterns });
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
