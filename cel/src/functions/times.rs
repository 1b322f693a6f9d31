//! Durations and times from texts, by Go's rules.

use cel::common::types::{CelDuration, CelInt, CelString, CelTimestamp};
use cel::{DeclarationError, Env, ExecutionError, add_overload};
use chrono::{DateTime, TimeDelta};
use jiff::Timestamp;
use landfast_pki::{FOREVER, validity};

use crate::fault::error;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    add_overload!(env, fn duration_of: (CelString<'_>) -> Result<CelDuration>, name = "@duration", id = "duration_of_string")?;
    add_overload!(env, fn same_duration: (CelDuration) -> CelDuration, name = "@duration", id = "duration_of_duration")?;
    add_overload!(env, fn duration_of_nanoseconds: (CelInt) -> CelDuration, name = "@duration", id = "duration_of_int")?;
    add_overload!(env, fn nanoseconds: (CelDuration) -> Result<CelInt>, name = "int", id = "duration_to_int64")?;
    add_overload!(env, fn timestamp_of: (CelString<'_>) -> Result<CelTimestamp>, name = "@timestamp", id = "timestamp_of_string")?;
    add_overload!(env, fn same_timestamp: (CelTimestamp) -> CelTimestamp, name = "@timestamp", id = "timestamp_of_timestamp")?;
    add_overload!(env, fn timestamp_of_seconds: (CelInt) -> Result<CelTimestamp>, name = "@timestamp", id = "timestamp_of_int")
}

fn duration_of(text: &CelString<'_>) -> Result<CelDuration, ExecutionError> {
    parse_duration(text.inner())
        .map(|nanoseconds| CelDuration::from(TimeDelta::nanoseconds(nanoseconds)))
        .ok_or_else(|| error("type conversion error from 'string' to 'google.protobuf.Duration'"))
}

fn same_duration(duration: &CelDuration) -> CelDuration {
    *duration
}

fn duration_of_nanoseconds(number: &CelInt) -> CelDuration {
    CelDuration::from(TimeDelta::nanoseconds(*number.inner()))
}

fn nanoseconds(duration: &CelDuration) -> Result<CelInt, ExecutionError> {
    let number = duration.inner().num_nanoseconds();
    number
        .map(CelInt::from)
        .ok_or_else(|| error("integer overflow"))
}

fn timestamp_of(text: &CelString<'_>) -> Result<CelTimestamp, ExecutionError> {
    let wrong = || error(format!("invalid RFC 3339 timestamp {:?}", text.inner()));
    // The other parser takes more, and keeps the offset, which shows in the text of the time.
    validity::parse_rfc3339(text.inner()).map_err(|_| wrong())?;
    let time = DateTime::parse_from_rfc3339(text.inner()).map_err(|_| wrong())?;
    Ok(CelTimestamp::from(time))
}

fn same_timestamp(time: &CelTimestamp) -> CelTimestamp {
    time.clone()
}

fn timestamp_of_seconds(seconds: &CelInt) -> Result<CelTimestamp, ExecutionError> {
    let time = DateTime::from_timestamp(*seconds.inner(), 0);
    let time = time.filter(|time| (MIN_SECONDS..=MAX_SECONDS).contains(&time.timestamp()));
    time.map(|time| CelTimestamp::from(time.fixed_offset()))
        .ok_or_else(|| error("range error converting to timestamp"))
}

/// The years 1 to 9999.
const MIN_SECONDS: i64 = -62_135_596_800;
const MAX_SECONDS: i64 = 253_402_300_799;

/// A time as the language's crate has it.
pub(crate) fn to_cel(time: Timestamp) -> Option<CelTimestamp> {
    if time >= FOREVER {
        let last = DateTime::from_timestamp(MAX_SECONDS, 0)?;
        return Some(CelTimestamp::from(last.fixed_offset()));
    }
    let nanoseconds = u32::try_from(time.subsec_nanosecond()).ok();
    // Before 1970 the fraction is negative.
    let (seconds, nanoseconds) = match nanoseconds {
        Some(nanoseconds) => (time.as_second(), nanoseconds),
        None => (
            time.as_second() - 1,
            u32::try_from(1_000_000_000 + time.subsec_nanosecond()).ok()?,
        ),
    };
    let time = DateTime::from_timestamp(seconds, nanoseconds)?;
    Some(CelTimestamp::from(time.fixed_offset()))
}

/// Go's `time.ParseDuration`, in nanoseconds: `1h30m`, `-1.5s`, `0`.
fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let unit: i128 = match &after[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        // More digits than a nanosecond of an hour has add nothing.
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
            total = total.checked_add(fraction.parse::<i128>().ok()? * unit / scale)?;
        }
        rest = &after[end..];
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s() {
        const HOUR: i64 = 3_600_000_000_000;
        for (text, expected) in [
            ("1h", Some(HOUR)),
            ("1h30m", Some(HOUR + HOUR / 2)),
            ("-1.5h", Some(-HOUR - HOUR / 2)),
            ("+.5s", Some(500_000_000)),
            ("0", Some(0)),
            ("1µs", Some(1000)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("2562047h47m16.854775808s", None),
            ("1h rest", None),
            ("1hx", None),
            ("1e3s", None),
            ("infs", None),
            ("1d", None),
            ("5", None),
            ("-", None),
            (".s", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }
}
