//! What a program may name: functions, messages, numbers, and the container that its names are looked up in.

use std::sync::{Arc, LazyLock};

use cel::common::types::{CelDouble, CelString, DYN_TYPE};
use cel::common::value::CowVal;
use cel::{Context, DeclarationError, Env, ExecutionError, extensions};

use crate::functions::{self, go_double, no_overload};
use crate::messages::{MESSAGES, Maker, NUMBERS};
use crate::names::CONTAINER;

static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(environment().expect("nothing is declared twice, see the tests")));

/// The environment that all programs share.
pub(crate) fn shared() -> Arc<Env> {
    Arc::clone(&ENVIRONMENT)
}

/// A context without variables but the numbers that have names.
pub(crate) fn context() -> Context<'static, 'static> {
    let mut context = Context::with_env(shared());
    for (name, value) in numbers() {
        context.add_variable_from_value(name, value);
    }
    context
}

/// Full names that stand for a number.
pub(crate) fn numbers() -> impl Iterator<Item = (String, i64)> {
    NUMBERS.iter().flat_map(|(group, names)| {
        let full = move |name: &&str| format!("{CONTAINER}.{group}.{name}");
        names.iter().map(full).zip(0..)
    })
}

fn environment() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.set_container(CONTAINER)?;
    env.set_error_on_duplicate_map_keys(false);
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::lists)?;
    env.add_extension(extensions::math)?;
    env.add_extension(extensions::encoders)?;
    env.add_extension(functions::register)?;
    env.add_overload(functions::STRING, "string", vec![DYN_TYPE], string)?;
    for message in MESSAGES {
        env.add_type(Maker::new(message))?;
    }
    Ok(env)
}

/// A value as a text: doubles as Go writes them, the others as the language's crate does.
fn string<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    if let Some(number) = arguments
        .first()
        .and_then(|one| one.downcast_ref::<CelDouble>())
    {
        return Ok(CowVal::owned(CelString::from(go_double(*number.inner()))));
    }
    match shared().find_overload("string", &arguments) {
        Some(function) => function(arguments),
        None => Err(no_overload()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_declared_twice() {
        assert!(environment().is_ok());
    }
}
