//! ACME (RFC 8555): who may have what from which directory, and what becomes of it.
//!
//! What lies in storage is the built-in engine's, so that accounts and open orders go on when a mount changes hands. What clients are answered is made in
//! `paths/acme`; the rules that need no storage are those of the crate `landfast-acme`.
//!
//! Nonces and the queue of validations live in the memory of the node that may write. Other nodes hand each request on to it (see
//! [`Mount::only_where_written`]).

pub(crate) mod accounts;
pub(crate) mod certificates;
pub(crate) mod directory;
pub(crate) mod eab;
pub(crate) mod orders;
pub(crate) mod recent;
pub(crate) mod renewal;
pub(crate) mod state;
pub(crate) mod stored;
pub(crate) mod tidy;
pub(crate) mod validation;

use std::sync::Arc;

use landfast_acme::problem::{Kind, Problem};
use landfast_sdk::logical::Error;

use crate::Mount;
use crate::entry::jobs::AcmeConfig;

/// Why a request of an ACME client is not done.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The client is told by a problem document.
    Problem(Problem),
    /// There is no ACME server.
    Off,
    /// The mount failed.
    Error(Error),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A problem with the sentence of its kind in front of the detail. The built-in engine words some so, and others as [`because`].
pub(crate) fn problem(kind: Kind, detail: impl std::fmt::Display) -> Refused {
    Problem::new(kind, format!("{}: {detail}", kind.meaning())).into()
}

/// A problem with the sentence of its kind behind the detail.
pub(crate) fn because(kind: Kind, detail: impl std::fmt::Display) -> Refused {
    Problem::new(kind, format!("{detail}: {}", kind.meaning())).into()
}

/// The settings.
///
/// # Errors
/// When storage fails.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<AcmeConfig>, Error> {
    mount.load_or_default(AcmeConfig::KEY).await
}
