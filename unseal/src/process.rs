//! What a process that handles keys asks of the operating system.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps the process's memory out of swap and out of core dumps, as far as it is allowed to.
///
/// Locking needs `CAP_IPC_LOCK` or a high enough limit of locked memory; without it the process goes on, and the log says what was not granted.
pub fn protect_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps and debuggers cannot be shut out");
    }
    if let Err(error) = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    ) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
    // On fault, so that only memory that is really used counts against the limit.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(error) = mlockall(flags) {
        tracing::warn!(%error, "memory cannot be locked, so keys may reach swap: allow LimitMEMLOCK=infinity or switch swap off");
    }
}
