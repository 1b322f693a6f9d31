//! Functions on texts whose work or result grows by more than the sum of their arguments.

use cel::common::types::{CelInt, CelList, CelString, LIST_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError, add_member_overload};

use crate::budget::charge;
use crate::fault::error;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    add_member_overload!(env, fn replace: (CelString<'_>, CelString<'_>, CelString<'_>) -> Result<CelString<'static>>, name = "@replace", id = "replace")?;
    add_member_overload!(env, fn replace_some: (CelString<'_>, CelString<'_>, CelString<'_>, CelInt) -> Result<CelString<'static>>, name = "@replace", id = "replace_some")?;
    add_member_overload!(env, fn index_of: (CelString<'_>, CelString<'_>) -> Result<CelInt>, name = "@indexOf", id = "index_of")?;
    add_member_overload!(env, fn index_of_from: (CelString<'_>, CelString<'_>, CelInt) -> Result<CelInt>, name = "@indexOf", id = "index_of_from")?;
    add_member_overload!(env, fn last_index_of: (CelString<'_>, CelString<'_>) -> Result<CelInt>, name = "@lastIndexOf", id = "last_index_of")?;
    add_member_overload!(env, fn last_index_of_from: (CelString<'_>, CelString<'_>, CelInt) -> Result<CelInt>, name = "@lastIndexOf", id = "last_index_of_from")?;
    env.add_member_overload("@join", "join", LIST_TYPE, vec![], join)?;
    env.add_member_overload("@join", "join_with", LIST_TYPE, vec![STRING_TYPE], join)
}

fn replace(
    text: &CelString<'_>,
    from: &CelString<'_>,
    to: &CelString<'_>,
) -> Result<CelString<'static>, ExecutionError> {
    replace_some(text, from, to, &CelInt::from(-1))
}

/// The first so many of them; all for a negative number.
fn replace_some(
    text: &CelString<'_>,
    from: &CelString<'_>,
    to: &CelString<'_>,
    count: &CelInt,
) -> Result<CelString<'static>, ExecutionError> {
    let (text, from, to) = (text.inner(), from.inner(), to.inner());
    let most = usize::try_from(*count.inner()).unwrap_or(usize::MAX);
    let found = text.matches(from).take(most).count();
    charge(text.len() + found.saturating_mul(to.len()))?;
    Ok(text.replacen(from, to, most).into())
}

fn join<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut arguments = arguments.iter();
    let list = arguments
        .next()
        .and_then(|list| list.downcast_ref::<CelList<'_>>())
        .ok_or_else(no_overload)?;
    let between = match arguments.next() {
        Some(text) => text
            .downcast_ref::<CelString<'_>>()
            .ok_or_else(no_overload)?
            .inner(),
        None => "",
    };
    let texts = list
        .inner()
        .iter()
        .map(|item| item.downcast_ref::<CelString<'_>>().map(CelString::inner));
    let texts: Vec<&str> = texts.collect::<Option<_>>().ok_or_else(no_overload)?;
    charge(texts.len().saturating_mul(between.len()))?;
    Ok(CowVal::owned(CelString::from(texts.join(between))))
}

/// Go's `strconv.FormatFloat(number, 'g', -1, 64)`.
pub(crate) fn go_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    number.to_string()
}

fn index_of(text: &CelString<'_>, wanted: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    index_of_from(text, wanted, &CelInt::from(0))
}

fn index_of_from(
    text: &CelString<'_>,
    wanted: &CelString<'_>,
    from: &CelInt,
) -> Result<CelInt, ExecutionError> {
    found_from(
        text.inner(),
        wanted.inner(),
        *from.inner(),
        |text, wanted, start| text[start..].find(wanted).map(|at| start + at),
    )
}

fn last_index_of(text: &CelString<'_>, wanted: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    let (text, wanted) = (text.inner(), wanted.inner());
    Ok(text
        .rfind(wanted)
        .map_or(-1, |at| length(&text[..at]))
        .into())
}

/// The last one that begins there or before.
fn last_index_of_from(
    text: &CelString<'_>,
    wanted: &CelString<'_>,
    from: &CelInt,
) -> Result<CelInt, ExecutionError> {
    found_from(
        text.inner(),
        wanted.inner(),
        *from.inner(),
        |text, wanted, start| {
            let end = text.len().min(start + wanted.len());
            text[..text.floor_char_boundary(end)].rfind(wanted)
        },
    )
}

/// Which code point `find` finds, that is given octets; the empty text is anywhere.
fn found_from(
    text: &str,
    wanted: &str,
    from: i64,
    find: impl FnOnce(&str, &str, usize) -> Option<usize>,
) -> Result<CelInt, ExecutionError> {
    if wanted.is_empty() && from >= 0 {
        return Ok(from.min(length(text)).into());
    }
    let found = octet(text, from)?.and_then(|start| find(text, wanted, start));
    Ok(found.map_or(-1, |at| length(&text[..at])).into())
}

/// Where the code point of this number begins; nothing behind the last.
fn octet(text: &str, at: i64) -> Result<Option<usize>, ExecutionError> {
    let place = usize::try_from(at).map_err(|_| error(format!("index out of range: {at}")))?;
    Ok(text.char_indices().nth(place).map(|(octet, _)| octet))
}

fn length(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

pub(crate) fn no_overload() -> ExecutionError {
    error("no such overload")
}
