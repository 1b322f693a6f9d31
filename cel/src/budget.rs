//! How much one evaluation may do. Each value that an expression comes to is counted by its size, so that steps and memory are bounded alike.
//!
//! The counter lies in the thread, since functions of the language's crate carry nothing: each evaluation has a thread of its own.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::types::{CelBytes, CelList, CelMap, CelMapKey, CelOptional, CelString, CelStruct};
use cel::common::value::{CowVal, Val};

use crate::fault::error;

/// All values that an evaluation comes to, in octets, each counted with [`NODE`] beside its texts.
const ALL: usize = 96 << 20;

/// One value.
pub(crate) const LARGEST: usize = 1 << 20;

/// What a value costs besides its text.
const NODE: usize = 32;

/// How much is counted between two looks at whether anybody waits.
const LOOK: usize = 64 << 10;

/// Who says whether anybody still waits for what a program comes to; by default somebody always does.
#[derive(Clone, Default)]
pub struct GivenUp(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl GivenUp {
    /// Asks `given_up` now and then, which says whether nobody waits any more.
    pub fn by(given_up: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(given_up)))
    }

    fn holds(&self) -> bool {
        self.0.as_ref().is_some_and(|given_up| given_up())
    }
}

impl std::fmt::Debug for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GivenUp").field(&self.holds()).finish()
    }
}

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(0) };
    static UNSEEN: Cell<usize> = const { Cell::new(0) };
    static GIVEN_UP: RefCell<GivenUp> = const { RefCell::new(GivenUp(None)) };
}

/// Begins to count anew.
pub(crate) fn begin(given_up: GivenUp) {
    LEFT.set(ALL);
    UNSEEN.set(0);
    GIVEN_UP.set(given_up);
}

/// Whether nobody waits any more, looked at after so much work.
fn is_given_up(steps: usize) -> bool {
    let unseen = UNSEEN.get().saturating_add(steps);
    if unseen < LOOK {
        UNSEEN.set(unseen);
        return false;
    }
    UNSEEN.set(0);
    GIVEN_UP.with_borrow(GivenUp::holds)
}

/// Whether it was used up. An expression may have swallowed the error, so this is asked at the end.
pub(crate) fn is_spent() -> bool {
    LEFT.get() == 0
}

/// What is said then.
pub(crate) const SPENT: &str =
    "the program does too much: less work and smaller values are taken for one request";

/// Counts work of so many steps.
///
/// # Errors
/// It is too much.
pub(crate) fn charge(steps: usize) -> Result<(), ExecutionError> {
    match LEFT.get().checked_sub(steps) {
        Some(left) if left > 0 && !is_given_up(steps) => {
            LEFT.set(left);
            Ok(())
        }
        _ => {
            LEFT.set(0);
            Err(error(SPENT))
        }
    }
}

/// Counts a value. `@count(x)` is put around every expression that comes to one.
pub(crate) fn count<'b, 'v>(
    mut arguments: Vec<CowVal<'b, 'v>>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = arguments.pop().ok_or_else(|| error("nothing to count"))?;
    let size = size(value.as_ref(), LARGEST);
    if size > LARGEST {
        charge(usize::MAX)?;
    }
    charge(size)?;
    Ok(value)
}

/// The size of a value; it is not looked at further once it is above `most`.
fn size(value: &dyn Val, most: usize) -> usize {
    let mut size = NODE;
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        size += text.inner().len();
    } else if let Some(octets) = value.downcast_ref::<CelBytes<'_>>() {
        size += octets.inner().len();
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        for item in list.inner() {
            if size > most {
                break;
            }
            size += self::size(item.as_ref(), most - size);
        }
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        for (key, item) in map.inner() {
            if size > most {
                break;
            }
            size += self::key(key);
            size += self::size(item.as_ref(), most.saturating_sub(size));
        }
    } else if let Some(message) = value.downcast_ref::<CelStruct<'_>>() {
        for (name, item) in message.field_values() {
            if size > most {
                break;
            }
            size += name.len();
            size += self::size(item.as_ref(), most.saturating_sub(size));
        }
    } else if let Some(optional) = value.downcast_ref::<CelOptional<'_>>()
        && let Some(inner) = optional.option()
    {
        size += self::size(inner, most);
    }
    size
}

fn key(key: &CelMapKey<'_>) -> usize {
    match key {
        CelMapKey::String(text) => NODE + text.inner().len(),
        _ => NODE,
    }
}
