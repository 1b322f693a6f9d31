//! Leases: what an engine gives out for a time, how long that is, and what it gets back to end it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::duration::format_duration;
use super::{Error, Result, SystemView, Ttl};

/// Where a lease keeps its kind. Go's framework calls it so, and engines that take over its mounts find their leases by it.
const KIND: &str = "secret_type";

/// A lease that the host keeps for the caller, and gives back in renew and revoke requests.
///
/// An engine with several kinds of leases gives each a name, and asks for it when one comes back:
///
/// ```
/// # use std::time::Duration;
/// # use landfast_sdk::logical::{Lease, LeaseContext, Named};
/// # use serde_json::json;
/// let hour = Duration::from_secs(3600);
/// let lease = Lease::of("token", &json!({ "name": "ann" }))?.with_ttl(hour).with_max_ttl(8 * hour);
/// # let lease = LeaseContext { internal: lease.internal, ..LeaseContext::default() };
/// // Later, in `renew` or `revoke`:
/// match lease.kind() {
///     "token" => assert_eq!(lease.internal_as::<Named>()?.name, "ann"),
///     "user" => unreachable!("that is another one"),
///     other => panic!("a lease of kind {other:?}"),
/// }
/// # Ok::<_, landfast_sdk::logical::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Lease {
    /// Time to live; zero for the mount's default.
    pub ttl: Duration,
    /// Upper limit; zero for the mount's maximum.
    pub max_ttl: Duration,
    /// Whether the caller may renew it.
    pub renewable: bool,
    /// What the engine needs to revoke it. The host stores it, and shows it to nobody.
    pub internal: Map<String, Value>,
}

impl Lease {
    /// A renewable lease that carries `internal`, which [`LeaseContext::internal_as`] gives back.
    ///
    /// # Errors
    /// `internal` is not a JSON object.
    pub fn renewable(ttl: Duration, internal: &impl Serialize) -> Result<Self> {
        match super::secret::to_value(internal) {
            Ok(Value::Object(internal)) => Ok(Self {
                ttl,
                renewable: true,
                internal,
                ..Self::default()
            }),
            _ => Err(Error::internal(
                "could not encode the lease",
                "its internal data is not a JSON object",
            )),
        }
    }

    /// A renewable lease of a kind, which [`LeaseContext::kind`] gives back, with the times of the mount.
    ///
    /// # Errors
    /// `internal` is not a JSON object.
    pub fn of(kind: &str, internal: &impl Serialize) -> Result<Self> {
        let mut lease = Self::renewable(Duration::ZERO, internal)?;
        lease.internal.insert(KIND.to_owned(), kind.into());
        Ok(lease)
    }

    /// Sets the time to live.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Sets the upper limit, however often it is renewed.
    #[must_use]
    pub fn with_max_ttl(self, max_ttl: Duration) -> Self {
        Self { max_ttl, ..self }
    }

    /// Sets the times that were granted.
    #[must_use]
    pub fn with_times(self, granted: &Granted) -> Self {
        self.with_ttl(granted.ttl).with_max_ttl(granted.max_ttl)
    }

    /// The caller may not renew it.
    #[must_use]
    pub fn not_renewable(self) -> Self {
        Self {
            renewable: false,
            ..self
        }
    }
}

/// All but what the engine stores with it, which may be secret.
impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("ttl", &self.ttl)
            .field("max_ttl", &self.max_ttl)
            .field("renewable", &self.renewable)
            .finish_non_exhaustive()
    }
}

/// The lease that a request renews or revokes.
#[derive(Clone, Default, PartialEq)]
pub struct LeaseContext {
    /// The lease id; the host leaves it empty when renewing.
    pub id: String,
    /// Time to live at the last issue or renewal.
    pub ttl: Duration,
    /// Upper limit of the lease's life; zero for the mount's own.
    pub max_ttl: Duration,
    /// Whether it was issued as renewable.
    pub renewable: bool,
    /// The extension that the client asks for; zero for the default.
    pub increment: Duration,
    /// When the lease was issued, in seconds since 1970; `None` for the host's zero time.
    pub issued_at: Option<i64>,
    /// What the engine stored with the lease, see [`Lease::internal`].
    pub internal: Map<String, Value>,
}

/// All but what the engine stored with it, which may be secret.
impl std::fmt::Debug for LeaseContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseContext")
            .field("id", &self.id)
            .field("ttl", &self.ttl)
            .field("max_ttl", &self.max_ttl)
            .field("renewable", &self.renewable)
            .field("increment", &self.increment)
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
}

impl LeaseContext {
    /// What the engine stored with the lease, as a type of its own.
    ///
    /// # Errors
    /// The lease was made with something else.
    pub fn internal_as<T: DeserializeOwned>(&self) -> Result<T> {
        let internal = Value::Object(self.internal.clone());
        super::secret::from_value(internal)
            .map_err(|error| Error::internal("the lease could not be read", error))
    }

    /// The kind that [`Lease::of`] gave it; empty for one without.
    #[must_use]
    pub fn kind(&self) -> &str {
        let kind = self.internal.get(KIND).and_then(Value::as_str);
        kind.unwrap_or_default()
    }

    /// The times that it was issued with, or renewed with last: for a renewal by an engine whose roles do not say others now.
    #[must_use]
    pub fn times(&self) -> LeaseTimes {
        LeaseTimes {
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            ..LeaseTimes::default()
        }
    }

    /// The lease as it is, to answer a renewal with: mostly with the times that [`LeaseTimes::renew`] grants.
    #[must_use]
    pub fn renewed(&self) -> Lease {
        Lease {
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            renewable: self.renewable,
            internal: self.internal.clone(),
        }
    }
}

impl From<Lease> for LeaseContext {
    /// The lease as a host would give it back, but for its id and the time of its issue.
    fn from(lease: Lease) -> Self {
        Self {
            ttl: lease.ttl,
            max_ttl: lease.max_ttl,
            renewable: lease.renewable,
            internal: lease.internal,
            ..Self::default()
        }
    }
}

/// The times that a role says for what it gives out. Zero is "says nothing" for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Time to live, and by how much a renewal extends that does not ask for a time.
    pub ttl: Duration,
    /// Upper limit, counted from the issue. One that is longer than the mount's is without effect.
    pub max_ttl: Duration,
    /// The lease can be renewed for ever, for this time each.
    pub period: Duration,
    /// As `max_ttl`, and also of a lease with a period.
    pub explicit_max_ttl: Duration,
}

/// The fields that roles of secrets engines have for their leases. Take it beside a role's own fields, flattened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LeaseParams {
    /// Time to live of a lease, and by how much a renewal extends it; 0 for the default of the mount.
    pub ttl: Ttl,
    /// How long a lease can be renewed to live; 0 for the maximum of the mount.
    pub max_ttl: Ttl,
}

impl LeaseParams {
    /// The times that they say.
    #[must_use]
    pub fn times(&self) -> LeaseTimes {
        LeaseTimes {
            ttl: self.ttl.0,
            max_ttl: self.max_ttl.0,
            ..LeaseTimes::default()
        }
    }
}

/// The times that a mount is tuned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountTimes {
    /// Of what nobody says a time for.
    pub default: Duration,
    /// The longest that anything lives.
    pub max: Duration,
}

/// What of a lease is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Time to live from now.
    pub ttl: Duration,
    /// The limit that holds, from the issue: never zero. A lease with a period has none, and this is how long it lives at a time.
    pub max_ttl: Duration,
    /// What was cut, for the client; see [`Response::warn_all`](super::Response::warn_all).
    pub warnings: Vec<String>,
}

impl LeaseTimes {
    /// The times of a lease that is issued now, with one question to the host, or two where `ttl` and `period` are zero.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use landfast_sdk::{logical::{Error, LeaseTimes}, testing::FixedSystem};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let hours = |hours: u64| Duration::from_secs(hours * 3600);
    /// # let system = FixedSystem::new().lease_ttls(hours(1), hours(8));
    /// let role = LeaseTimes { max_ttl: hours(24), ..LeaseTimes::default() };
    /// let granted = role.grant(&system).await?;
    /// assert_eq!((granted.ttl, granted.max_ttl), (hours(1), hours(8)));
    /// # Ok::<_, Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn grant(&self, system: &dyn SystemView) -> Result<Granted> {
        let mount = self.mount(system, Duration::ZERO).await?;
        let now = system.now();
        calculate_ttl(self, mount, Duration::ZERO, now, now)
    }

    /// The times of a lease that is renewed now, by what its client asks for.
    ///
    /// # Errors
    /// Its last moment is over. The host does not answer.
    pub async fn renew(&self, system: &dyn SystemView, lease: &LeaseContext) -> Result<Granted> {
        let mount = self.mount(system, lease.increment).await?;
        let now = system.now();
        let issued = lease.issued_at.and_then(|at| u64::try_from(at).ok());
        let issued = issued.map_or(now, |at| UNIX_EPOCH + Duration::from_secs(at));
        calculate_ttl(self, mount, lease.increment, issued, now)
    }

    /// Asks only for what can matter.
    async fn mount(&self, system: &dyn SystemView, asked: Duration) -> Result<MountTimes> {
        let unsaid = self.ttl.is_zero() && self.period.is_zero() && asked.is_zero();
        let default = match unsaid {
            true => system.default_lease_ttl().await?,
            false => Duration::ZERO,
        };
        let max = system.max_lease_ttl().await?;
        Ok(MountTimes { default, max })
    }
}

/// How long a lease lives from `now`, by the rules of the server's own framework, which the server applies once more to what an engine answers:
///
/// - The limit is the least of the mount's maximum, `max_ttl` and `explicit_max_ttl`, and counts from the issue, however often it is renewed.
/// - The time is `period`, else what the client asked for, else `ttl`, else the mount's default, and is cut at the limit, which gives a warning.
/// - With a period only `explicit_max_ttl` counts from the issue.
///
/// Times are whole seconds, and parts of one are left out. A test, and whoever knows the mount's times, calls this; [`LeaseTimes::grant`] and
/// [`LeaseTimes::renew`] ask for them.
///
/// Source: OpenBao `sdk/framework/lease.go`.
///
/// # Errors
/// The limit is over.
pub fn calculate_ttl(
    role: &LeaseTimes,
    mount: MountTimes,
    asked: Duration,
    issued: SystemTime,
    now: SystemTime,
) -> Result<Granted> {
    let limits = [mount.max, role.max_ttl, role.explicit_max_ttl];
    let said = limits.into_iter().filter(|limit| !limit.is_zero());
    let max_ttl = seconds(said.min().unwrap_or_default());
    if max_ttl.is_zero() {
        return Err(Error::internal(
            "could not make the lease",
            "the mount's maximum is zero",
        ));
    }
    let mut warnings = Vec::new();
    let mut cut = |what: &str, time: Duration, limit: Duration| {
        if time <= limit {
            return time;
        }
        let (long, short) = (format_duration(time), format_duration(limit));
        warnings.push(format!(
            "the {what} of {long} is longer than what is left of the limit, and was cut to {short}"
        ));
        limit
    };
    let age = seconds(now.duration_since(issued).unwrap_or_default());
    let left = |limit: Duration| {
        let over = || Error::bad_request("the lease has reached its limit: it cannot be renewed");
        limit.checked_sub(age).ok_or_else(over)
    };
    let ttl = if role.period.is_zero() {
        let times = [asked, role.ttl, mount.default];
        let time = times.into_iter().find(|time| !time.is_zero());
        cut("TTL", seconds(time.unwrap_or(max_ttl)), left(max_ttl)?)
    } else {
        let period = cut("period", seconds(role.period), max_ttl);
        match seconds(role.explicit_max_ttl) {
            Duration::ZERO => period,
            limit => cut("period", period, left(limit)?),
        }
    };
    Ok(Granted {
        ttl,
        max_ttl,
        warnings,
    })
}

fn seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

#[cfg(test)]
mod tests;
