//! Where programs are parsed and evaluated: a thread with a stack of known size, which may panic.

use std::thread::Builder;

use crate::fault::Fault;

/// The stack, in octets. `source` lets nothing pass that needs more, see its tests.
const STACK: usize = 16 << 20;

/// Runs `work` where its recursion has room.
///
/// # Errors
/// It panicked, or there is no thread for it.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let thread = Builder::new().name("cel".to_owned()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, work).map_err(|_| {
            Fault::new("the server has no thread to evaluate the program, try again later")
        })?;
        running.join().map_err(|_| {
            Fault::new("the program cannot be evaluated here: write the expression another way")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_refusal() {
        assert_eq!(with_room(|| 7), Ok(7));
        let broken = with_room(|| -> u8 { panic!("of a test") }).unwrap_err();
        assert!(broken.to_string().contains("another way"));
    }
}
