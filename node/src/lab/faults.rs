//! Faults that the lab plays on purpose.

use std::str::FromStr;
use std::time::Duration;

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

impl FromStr for Fault {
    type Err = String;

    /// Reads `drop`, `empty`, `truncate`, `throttle`, `unavailable` or `slow:SECONDS`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("slow", seconds)) => seconds
                .parse()
                .ok()
                .filter(|seconds| *seconds <= 600)
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
        assert_eq!("slow:5".parse(), Ok(Fault::Slow(Duration::from_secs(5))));
        assert_eq!("drop".parse(), Ok(Fault::Drop));
        for bad in ["slow", "slow:x", "slow:601", "crash"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
