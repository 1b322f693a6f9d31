//! Functions that programs may call besides those of the language's crate: what that crate lacks, and what it has without a bound or by
//! other rules than the built-in engine. The latter have names that a source cannot spell; `meter` puts them in place.

mod json;
mod lists;
mod mail;
mod regular;
mod sets;
mod strings;
pub(crate) mod times;

use cel::common::types::DYN_TYPE;
use cel::{DeclarationError, Env};

use crate::budget;

pub(crate) use self::strings::{go_double, no_overload};

/// Puts a count around an expression.
pub(crate) const COUNT: &str = "@count";

/// Makes a text of a value. It calls what the language's crate has for that, so it is declared where that is.
pub(crate) const STRING: &str = "@string";

/// Functions that are called by another name than they are written.
pub(crate) const REPLACED: &[(&str, &str)] = &[
    ("replace", "@replace"),
    ("join", "@join"),
    ("indexOf", "@indexOf"),
    ("lastIndexOf", "@lastIndexOf"),
    ("distinct", "@distinct"),
    ("duration", "@duration"),
    ("timestamp", "@timestamp"),
    ("string", STRING),
];

/// Declares all of them.
pub(crate) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(COUNT, "count", vec![DYN_TYPE], budget::count)?;
    json::register(env)?;
    lists::register(env)?;
    mail::register(env)?;
    regular::register(env)?;
    sets::register(env)?;
    strings::register(env)?;
    times::register(env)
}
