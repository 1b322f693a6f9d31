//! What a process that handles keys asks of the operating system.

use std::sync::Once;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// `CAP_IPC_LOCK` (capabilities(7)).
const IPC_LOCK: u32 = 14;

/// Keeps the process's memory out of core dumps, out of reach of debuggers of the same user, and, where it is allowed to, out of swap.
///
/// The process goes on without what it is not granted; the log says what that is. Further calls do nothing.
pub fn protect_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
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
        lock();
    });
}

fn lock() {
    // With a finite limit, locking succeeds now and later makes an allocation fail.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if getrlimit(Resource::Memlock).current.is_some() && !may_lock_all(&status) {
        tracing::info!(
            "memory is not locked, so keys may reach swap: grant CAP_IPC_LOCK or LimitMEMLOCK=infinity, or switch swap off"
        );
        return;
    }
    // On fault, so that only memory that is really used is kept.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(error) = mlockall(flags) {
        tracing::info!(%error, "memory cannot be locked, so keys may reach swap");
    }
}

/// Whether the effective capabilities in `/proc/self/status` include the one to lock without limit.
fn may_lock_all(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.is_some_and(|mask| mask & (1 << IPC_LOCK) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_is_read_from_the_effective_set() {
        assert!(may_lock_all(
            "CapPrm:\t0000000000000000\nCapEff:\t0000000000004000\n"
        ));
        assert!(may_lock_all("CapEff:\t000001ffffffffff\n"));
        assert!(!may_lock_all(
            "CapPrm:\t0000000000004000\nCapEff:\t0000000000000000\n"
        ));
        assert!(!may_lock_all("") && !may_lock_all("CapEff:\tnonsense\n"));
    }

    #[test]
    fn core_dumps_are_off_afterwards() {
        protect_memory();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        let dumpable = rustix::process::dumpable_behavior().expect("known");
        assert_eq!(dumpable, DumpableBehavior::NotDumpable);
    }
}
