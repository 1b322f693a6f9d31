//! Functions on lists.

use cel::common::types::{CelList, CelOptional, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::strings::no_overload;
use crate::budget::charge;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_member_overload("first", "list_first", LIST_TYPE, vec![], first)?;
    env.add_member_overload("last", "list_last", LIST_TYPE, vec![], last)?;
    env.add_member_overload("@distinct", "distinct", LIST_TYPE, vec![], distinct)
}

/// The elements of the first argument.
pub(super) fn elements<'a, 'v>(
    arguments: &'a [CowVal<'_, 'v>],
    at: usize,
) -> Result<&'a [Box<dyn Val + 'v>], ExecutionError> {
    let list = arguments
        .get(at)
        .and_then(|value| value.downcast_ref::<CelList<'v>>());
    list.map(CelList::inner).ok_or_else(no_overload)
}

fn optional<'b, 'v>(found: Option<&(dyn Val + 'v)>) -> CowVal<'b, 'v> {
    CowVal::owned(match found {
        Some(value) => CelOptional::of(value.clone_as_boxed()),
        None => CelOptional::none(),
    })
}

fn first<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(optional(
        elements(&arguments, 0)?.first().map(AsRef::as_ref),
    ))
}

fn last<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(optional(elements(&arguments, 0)?.last().map(AsRef::as_ref)))
}

/// The first of each set of equal elements.
fn distinct<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let all = elements(&arguments, 0)?;
    let mut found: Vec<&(dyn Val + 'v)> = Vec::new();
    for one in all {
        charge(found.len().saturating_mul(8))?;
        if !found.iter().any(|other| other.equals(one.as_ref())) {
            found.push(one.as_ref());
        }
    }
    let found: Vec<_> = found.into_iter().map(|one| one.clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(found)))
}
