//! Durations as Vault clients write them: seconds, or Go's notation, or days.

use std::time::Duration;

/// Why a text is no duration, in the words that Vault uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DurationError(String);

/// Reads a duration: `60` and `"60"` are seconds, `"1h30m"` is Go's notation, `"1d"` is a day, nothing is zero.
///
/// # Errors
/// On junk, and on a negative duration.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let nanos = parse_duration_nanos(text)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| {
        DurationError(format!(
            "cannot provide negative value '{}'",
            nanos / SECOND
        ))
    })
}

/// As [`parse_duration`], in nanoseconds and with a sign.
///
/// # Errors
/// On junk, and on what does not fit.
pub fn parse_duration_nanos(text: &str) -> Result<i64, DurationError> {
    if text.is_empty() {
        return Ok(0);
    }
    if let Some(seconds) = decimal(text) {
        return seconds.checked_mul(SECOND).ok_or_else(overflow);
    }
    if let Some(days) = text.strip_suffix('d') {
        let days = decimal(days).ok_or_else(|| not_a_number(days))?;
        return days
            .checked_mul(24 * 3600)
            .and_then(|s| s.checked_mul(SECOND))
            .ok_or_else(overflow);
    }
    parse_go(text)
}

/// Writes a duration as Go does: `768h0m0s`, `1.5s`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    format_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// As [`format_duration`], for nanoseconds with a sign.
#[must_use]
pub fn format_nanos(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    let (second, nano) = (SECOND.unsigned_abs(), total);
    if total < second {
        let (unit, name) = match total {
            0 => return "0s".to_owned(),
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", with_fraction(nano, unit));
    }
    let (hours, rest) = (total / (3600 * second), total % (3600 * second));
    let (minutes, rest) = (rest / (60 * second), rest % (60 * second));
    let seconds = with_fraction(rest, second);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

const SECOND: i64 = 1_000_000_000;

/// Go's `time.ParseDuration`: a sign, then numbers with fractions, each with a unit.
fn parse_go(text: &str) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid(text));
    }
    // One more than the largest positive value fits, because -2^63 is a duration too.
    let limit = 1u64 << 63;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid(text));
        }
        let value = match whole {
            "" => 0,
            digits => digits
                .parse::<u64>()
                .ok()
                .filter(|v| *v <= limit)
                .ok_or_else(|| invalid(text))?,
        };
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let unit = match &after[..end] {
            "" => {
                return Err(DurationError(format!(
                    "time: missing unit in duration {}",
                    quote(text)
                )));
            }
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000u64,
            other => {
                return Err(DurationError(format!(
                    "time: unknown unit {} in duration {}",
                    quote(other),
                    quote(text)
                )));
            }
        };
        let part = value
            .checked_mul(unit)
            .filter(|v| *v <= limit)
            .ok_or_else(|| invalid(text))?;
        total = total
            .checked_add(part)
            .and_then(|t| t.checked_add(fraction_of(fraction, unit)))
            .filter(|t| *t <= limit)
            .ok_or_else(|| invalid(text))?;
        rest = &after[end..];
    }
    match (negative, i64::try_from(total)) {
        (false, value) => value.map_err(|_| invalid(text)),
        (true, Ok(value)) => Ok(-value),
        (true, Err(_)) => Ok(i64::MIN),
    }
}

/// Digits behind the point, as a share of the unit. In floating point, as Go does it: 0.3333333333333333333h is 20 minutes.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes() {
        // Digits that no longer fit make no difference.
        let Some(next) = value.checked_mul(10).filter(|next| *next < 1 << 63) else {
            break;
        };
        value = next + u64::from(digit - b'0');
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// Go's `strconv.ParseInt(text, 10, 64)`.
fn decimal(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn with_fraction(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!(
        "{whole}.{}",
        format!("{rest:0width$}").trim_end_matches('0')
    )
}

fn invalid(text: &str) -> DurationError {
    DurationError(format!("time: invalid duration {}", quote(text)))
}

fn overflow() -> DurationError {
    DurationError(
        "multiplication of durations resulted in overflow, one operand may be too large".to_owned(),
    )
}

fn not_a_number(text: &str) -> DurationError {
    DurationError(format!(
        "strconv.ParseInt: parsing {}: invalid syntax",
        quote(text)
    ))
}

/// Go's quoting, shortened: what a client sent is repeated only as far as a duration could be meant.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes().take(64) {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (2_764_800_000_000_000, "768h0m0s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (-3_600_000_000_000, "-1h0m0s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format_nanos(nanos), text);
            assert_eq!(parse_duration_nanos(text), Ok(nanos), "{text}");
        }
        assert_eq!(format_duration(Duration::from_secs(720 * 3600)), "720h0m0s");
    }

    #[test]
    fn fractions_and_units_add_up() {
        for (text, nanos) in [
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+5s", 5_000_000_000),
            ("-0", 0),
            ("1us1µs1μs", 3_000),
            ("1h1h", 7_200_000_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("9223372036854775.807us", i64::MAX),
        ] {
            assert_eq!(parse_duration_nanos(text), Ok(nanos), "{text}");
        }
        for text in ["", "."] {
            assert_eq!(parse_duration_nanos(text).is_ok(), text.is_empty());
        }
        for text in [
            "-",
            "+",
            "s",
            ".s",
            "3000000h",
            "9223372036854775808ns",
            "1 s",
            "-.s",
            "١s",
        ] {
            assert!(parse_duration_nanos(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in any::<i64>()) {
            prop_assert_eq!(parse_duration_nanos(&format_nanos(nanos)), Ok(nanos));
        }

        #[test]
        fn seconds_and_days_mean_what_they_say(count in 0u64..100_000) {
            prop_assert_eq!(parse_duration(&count.to_string()), Ok(Duration::from_secs(count)));
            prop_assert_eq!(parse_duration(&format!("{count}d")), Ok(Duration::from_secs(count * 86_400)));
        }

        #[test]
        fn no_text_panics(text in r"[-+]?[0-9.dhmsnuµ\PC]{0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
