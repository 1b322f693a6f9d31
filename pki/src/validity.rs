//! When a certificate starts and ends (OpenBao pki: B5 of the roles; RFC 5280 section 4.1.2.5).

mod rfc3339;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::refusal::Refusal;

pub use rfc3339::parse as parse_rfc3339;

/// Backdating where nobody asked for another: clocks of relying parties lag a little.
pub const NOT_BEFORE_DURATION: Duration = Duration::from_secs(30);

/// What a request may say about its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NotBeforeBound {
    /// Any time.
    #[default]
    Permit,
    /// Not before now minus the role's `not_before_duration`.
    Duration,
    /// Nothing.
    Forbid,
}

impl NotBeforeBound {
    /// Reads a role's `not_before_bound`.
    ///
    /// # Errors
    /// [`Refusal::NotBeforeBound`] for any other word.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "permit" => Ok(Self::Permit),
            "duration" => Ok(Self::Duration),
            "forbid" => Ok(Self::Forbid),
            _ => Err(Refusal::NotBeforeBound),
        }
    }
}

/// What a request may say about its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NotAfterBound {
    /// Any time.
    #[default]
    Permit,
    /// Not after now plus the effective ttl.
    TtlLimited,
    /// Nothing.
    Forbid,
    /// No certificate of the role ends later, however its end was found.
    Until {
        /// The bound as written in the role.
        text: String,
        /// The same as a time.
        at: Timestamp,
    },
}

impl NotAfterBound {
    /// Reads a role's `not_after_bound`.
    ///
    /// # Errors
    /// [`Refusal::NotAfterBound`] for anything but the three words and RFC 3339 times.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "permit" => Ok(Self::Permit),
            "ttl-limited" => Ok(Self::TtlLimited),
            "forbid" => Ok(Self::Forbid),
            _ => match parse_rfc3339(text) {
                Ok(at) => Ok(Self::Until {
                    text: text.to_owned(),
                    at,
                }),
                Err(_) => Err(Refusal::NotAfterBound),
            },
        }
    }
}

/// What happens to a leaf that would outlive its issuer (`leaf_not_after_behavior`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LeafNotAfter {
    /// Refuse.
    #[default]
    Err,
    /// End with the issuer.
    Truncate,
    /// Let it.
    Permit,
    /// Refuse, also for intermediates (Vault's `always_enforce_err`).
    AlwaysErr,
}

/// What a role (or a path without one) says about time.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Used when the request names none; zero: none.
    pub ttl: Duration,
    /// Longest ttl; zero: the mount's.
    pub max_ttl: Duration,
    /// Backdating; zero: [`NOT_BEFORE_DURATION`].
    pub not_before_duration: Duration,
    /// Fixed start, RFC 3339; empty: none.
    pub not_before: String,
    /// Fixed end, RFC 3339; empty: none. Beats the request's.
    pub not_after: String,
    /// Limit on the request's start.
    pub not_before_bound: NotBeforeBound,
    /// Limit on the end.
    pub not_after_bound: NotAfterBound,
}

/// What a request says about time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// Zero: none.
    pub ttl: Duration,
    /// RFC 3339, if sent.
    pub not_before: Option<&'a str>,
    /// RFC 3339, if sent. Not limited by any `max_ttl`.
    pub not_after: Option<&'a str>,
}

/// Lease durations of the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountTtl {
    /// Used when neither request nor role names a ttl.
    pub default: Duration,
    /// Longest ttl where the role sets none.
    pub max: Duration,
}

/// The issuer's part in the decision.
#[derive(Debug, Clone, Copy)]
pub struct IssuerEnd {
    /// notAfter of the issuer's certificate.
    pub not_after: Timestamp,
    /// What to do beyond it.
    pub behavior: LeafNotAfter,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// notBefore.
    pub not_before: Timestamp,
    /// notAfter.
    pub not_after: Timestamp,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Decides when a certificate starts and ends.
///
/// `issuer` is `None` for a self-signed root. `fixed_start` is false on paths that sign a CSR:
/// they check `not_before` against the bound but start from backdating all the same.
///
/// # Errors
/// One of the time variants of [`Refusal`].
pub fn decide(
    rules: &Rules,
    asked: Asked<'_>,
    mount: MountTtl,
    issuer: Option<IssuerEnd>,
    fixed_start: bool,
    now: Timestamp,
) -> Result<Validity, Refusal> {
    let start = start(rules, asked.not_before, now)?;
    let mut warnings = Vec::new();
    let not_after = end(rules, asked, mount, issuer, now, &mut warnings)?;
    let not_before = match start {
        Some(at) if fixed_start => at,
        _ => {
            let backdating = match rules.not_before_duration {
                Duration::ZERO => NOT_BEFORE_DURATION,
                set => set,
            };
            shift(now, backdating, false)?
        }
    };
    if not_before >= not_after {
        let (start, end) = (rfc3339(not_before), rfc3339(not_after));
        return Err(if not_before == not_after {
            Refusal::ZeroLength {
                not_before: start,
                not_after: end,
            }
        } else {
            Refusal::Inverted {
                not_before: start,
                not_after: end,
            }
        });
    }
    if not_after <= now {
        return Err(past(not_after));
    }
    Ok(Validity {
        not_before,
        not_after,
        warnings,
    })
}

/// What is said of an end that is not after now.
pub(crate) fn past(not_after: Timestamp) -> Refusal {
    Refusal::Time(format!(
        "cannot satisfy request, as NotAfter date {} is in the past",
        rfc3339(not_after)
    ))
}

/// A fixed start, if the role has one or the request may and does name one.
fn start(rules: &Rules, asked: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    if !rules.not_before.is_empty() {
        return parse_rfc3339(&rules.not_before).map(Some);
    }
    let Some(text) = asked else { return Ok(None) };
    match rules.not_before_bound {
        NotBeforeBound::Forbid => Err(Refusal::NotBeforeForbidden),
        NotBeforeBound::Permit if text.is_empty() => Ok(None),
        NotBeforeBound::Permit => parse_rfc3339(text).map(Some),
        NotBeforeBound::Duration => {
            let at = parse_rfc3339(text)?;
            if at < shift(now, rules.not_before_duration, false)? {
                return Err(Refusal::NotBeforeTooOld {
                    not_before: rfc3339(at),
                    allowed: GoDuration(rules.not_before_duration).to_string(),
                });
            }
            Ok(Some(at))
        }
    }
}

fn end(
    rules: &Rules,
    asked: Asked<'_>,
    mount: MountTtl,
    issuer: Option<IssuerEnd>,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<Timestamp, Refusal> {
    let requested = match asked.not_after {
        _ if !rules.not_after.is_empty() => None,
        Some(_) if rules.not_after_bound == NotAfterBound::Forbid => {
            return Err(Refusal::NotAfterForbidden);
        }
        Some(text) => Some(parse_rfc3339(text)?),
        None => None,
    };
    let fixed = !rules.not_after.is_empty() || requested.is_some();
    if !asked.ttl.is_zero() && fixed {
        return Err(Refusal::TtlAndNotAfter);
    }

    let first = |choices: [Duration; 3]| choices.into_iter().find(|d| !d.is_zero());
    let mut ttl = first([asked.ttl, rules.ttl, mount.default]).unwrap_or_default();
    let max = first([rules.max_ttl, mount.max, Duration::ZERO]).unwrap_or_default();
    if ttl > max {
        warnings.push(format!(
            "TTL \"{}\" is longer than permitted maxTTL \"{}\", so maxTTL is being used",
            GoDuration(ttl),
            GoDuration(max)
        ));
        ttl = max;
    }
    if let (NotAfterBound::TtlLimited, Some(at)) = (&rules.not_after_bound, requested)
        && at > shift(now, ttl, true)?
    {
        return Err(Refusal::NotAfterBeyondTtl {
            not_after: rfc3339(at),
            ttl: GoDuration(ttl).to_string(),
        });
    }

    let mut not_after = match requested {
        Some(at) => at,
        None if fixed => parse_rfc3339(&rules.not_after)?,
        None => shift(now, ttl, true)?,
    };
    if let Some(issuer) = issuer
        && not_after > issuer.not_after
    {
        match issuer.behavior {
            LeafNotAfter::Permit => {}
            LeafNotAfter::Truncate if not_after < now => return Err(past(not_after)),
            LeafNotAfter::Truncate => not_after = issuer.not_after,
            LeafNotAfter::Err | LeafNotAfter::AlwaysErr => {
                return Err(Refusal::BeyondIssuer {
                    not_after: rfc3339(not_after),
                    issuer_end: rfc3339(issuer.not_after),
                });
            }
        }
    }
    if let NotAfterBound::Until { text, at } = &rules.not_after_bound
        && not_after > *at
    {
        return Err(Refusal::NotAfterBeyondBound {
            bound: text.clone(),
            not_after: rfc3339(not_after),
            maximum: rfc3339(*at),
        });
    }
    Ok(not_after)
}

fn shift(now: Timestamp, by: Duration, forward: bool) -> Result<Timestamp, Refusal> {
    let out_of_range =
        || Refusal::Time("the resulting time lies outside the years that X.509 can carry".into());
    let by = SignedDuration::try_from(by).map_err(|_| out_of_range())?;
    let moved = if forward {
        now.checked_add(by)
    } else {
        now.checked_sub(by)
    };
    moved.map_err(|_| out_of_range())
}

/// A time in UTC with as many digits of the second as it has.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    if at == crate::FOREVER {
        return "9999-12-31T23:59:59Z".to_owned();
    }
    at.to_string()
}

/// A duration as Go prints it: `768h0m0s`, `1m30s`, `30s`. Fractions of a second are dropped.
#[derive(Debug, Clone, Copy)]
pub struct GoDuration(pub Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_secs();
        let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
        if hours > 0 {
            write!(f, "{hours}h{minutes}m{seconds}s")
        } else if minutes > 0 {
            write!(f, "{minutes}m{seconds}s")
        } else {
            write!(f, "{seconds}s")
        }
    }
}
