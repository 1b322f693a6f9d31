//! Faults that the lab plays on purpose.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest delay in seconds.
pub(crate) const LONGEST: u64 = 600;

/// One way for an answer to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before an answer.
    Drop,
    /// A success with no credentials in it.
    Empty,
    /// Half of an answer's JSON.
    Truncate,
    /// 429, too many requests.
    Throttle,
    /// 503 with `retryAfterSeconds`.
    Unavailable,
    /// The answer comes late.
    Slow(Duration),
}

impl fmt::Display for Fault {
    /// The name that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Empty => f.write_str("empty"),
            Self::Truncate => f.write_str("truncate"),
            Self::Throttle => f.write_str("throttle"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Slow(pause) => write!(f, "slow:{}", pause.as_secs()),
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    /// Reads `drop`, `empty`, `truncate`, `throttle`, `unavailable` or `slow:SECONDS`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("slow", seconds)) => seconds
                .parse()
                .ok()
                .filter(|seconds| *seconds <= LONGEST)
                .map(|seconds| Self::Slow(Duration::from_secs(seconds)))
                .ok_or_else(|| "slow takes up to 600 seconds, as in slow:5".to_owned()),
            None if text == "drop" => Ok(Self::Drop),
            None if text == "empty" => Ok(Self::Empty),
            None if text == "truncate" => Ok(Self::Truncate),
            None if text == "throttle" => Ok(Self::Throttle),
            None if text == "unavailable" => Ok(Self::Unavailable),
            _ => Err(
                "no such fault: drop, empty, truncate, throttle, unavailable, slow:SECONDS"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_by_name() {
        for (name, fault) in [
            ("slow:5", Fault::Slow(Duration::from_secs(5))),
            ("drop", Fault::Drop),
            ("empty", Fault::Empty),
            ("truncate", Fault::Truncate),
            ("throttle", Fault::Throttle),
            ("unavailable", Fault::Unavailable),
        ] {
            assert_eq!(name.parse(), Ok(fault));
            assert_eq!(fault.to_string(), name);
        }
        for bad in ["slow", "slow:x", "slow:601", "crash"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
