//! Lists as sets (cel-go: `ext.Sets`).

use cel::common::types::{CelBool, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::lists::elements;
use crate::budget::charge;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    let lists = || vec![LIST_TYPE, LIST_TYPE];
    env.add_overload("sets.contains", "sets_contains", lists(), contains)?;
    env.add_overload("sets.equivalent", "sets_equivalent", lists(), equivalent)?;
    env.add_overload("sets.intersects", "sets_intersects", lists(), intersects)
}

type List<'a, 'v> = &'a [Box<dyn Val + 'v>];

fn has<'v>(list: List<'_, 'v>, wanted: &dyn Val) -> bool {
    list.iter().any(|one| one.equals(wanted))
}

/// Both lists, after counting how often their elements are held against each other.
fn both<'a, 'v>(
    arguments: &'a [CowVal<'_, 'v>],
) -> Result<(List<'a, 'v>, List<'a, 'v>), ExecutionError> {
    let (one, other) = (elements(arguments, 0)?, elements(arguments, 1)?);
    charge(one.len().saturating_mul(other.len()).saturating_mul(16))?;
    Ok((one, other))
}

fn answer<'b, 'v>(holds: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(holds))
}

fn contains<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (list, wanted) = both(&arguments)?;
    Ok(answer(wanted.iter().all(|one| has(list, one.as_ref()))))
}

fn equivalent<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (one, other) = both(&arguments)?;
    let within = |list, part: List<'_, 'v>| part.iter().all(|item| has(list, item.as_ref()));
    Ok(answer(within(one, other) && within(other, one)))
}

fn intersects<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (one, other) = both(&arguments)?;
    Ok(answer(one.iter().any(|item| has(other, item.as_ref()))))
}
