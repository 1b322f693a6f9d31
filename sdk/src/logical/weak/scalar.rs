//! Numbers and truth values written as text, by the rules of Go's `strconv`.

use super::refusal::Refusal;

/// A whole number of either sign.
pub(super) enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// Go's `strconv.ParseInt` with base 0: prefixes `0x`, `0o`, `0b` and `0`, and `_` between digits of such.
pub(super) fn integer(text: &str, wanted: &'static str) -> Result<Integer, Refusal> {
    if let Ok(value) = text.parse::<i64>()
        && !leading_zero(text)
    {
        return Ok(Integer::Signed(value));
    }
    if text.is_empty() {
        return Ok(Integer::Signed(0));
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let syntax = || Refusal::unparsable(wanted, "strconv.ParseInt: invalid syntax");
    let plain = digits.replace('_', "");
    // Underscores only between digits, or between the prefix and a digit.
    let misplaced = digits.ends_with('_') || digits.contains("__") || (lower.starts_with('_'));
    if plain.is_empty() || misplaced || !plain.chars().all(|c| c.is_digit(base)) {
        return Err(syntax());
    }
    let range = || Refusal::unparsable(wanted, "strconv.ParseInt: value out of range");
    let magnitude = u64::from_str_radix(&plain, base).map_err(|_| range())?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
            .map(Integer::Signed)
            .ok_or_else(range)
    } else {
        Ok(i64::try_from(magnitude).map_or(Integer::Unsigned(magnitude), Integer::Signed))
    }
}

fn leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0')
}

/// A truth value written as text, by the rules of Go's `strconv.ParseBool`; nothing is false. `None` for what is neither true nor false.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// As [`parse_bool`], for a field of a request.
pub(super) fn boolean(text: &str) -> Result<bool, Refusal> {
    parse_bool(text).ok_or_else(|| Refusal::unparsable("bool", "strconv.ParseBool: invalid syntax"))
}
