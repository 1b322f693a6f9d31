//! How many lines of the log those may cause who have shown no token: whoever can reach the server must not be able to fill it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// Lines that are written one by one in each [`SPAN`].
const MOST: u32 = 6;
/// After this, what was left out is told by its number.
const SPAN: Duration = Duration::from_secs(60);

/// The lines of one mount.
#[derive(Debug)]
pub(super) struct Lines {
    span: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    told: u32,
    left_out: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self::per(SPAN)
    }
}

impl Lines {
    fn per(span: Duration) -> Self {
        Self {
            span,
            state: Mutex::default(),
        }
    }

    /// Whether one more may be written. What may not is counted, and the number told at the end of the span.
    pub(super) fn take(self: &Arc<Self>, mount: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = state.since.is_none_or(|since| since.elapsed() >= self.span);
        if over {
            let before = std::mem::take(&mut *state);
            tell(before.left_out, mount);
            state.since = Some(Instant::now());
        }
        if state.told < MOST {
            state.told += 1;
            return true;
        }
        state.left_out += 1;
        if state.left_out == 1
            && let Ok(runtime) = Handle::try_current()
        {
            let (lines, mount) = (Arc::clone(self), mount.to_owned());
            runtime.spawn(async move {
                tokio::time::sleep(lines.span).await;
                lines.tell_rest(&mount);
            });
        }
        false
    }

    /// Tells what is left out in the span that is over, unless the next one has begun and told it.
    fn tell_rest(&self, mount: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = state
            .since
            .is_some_and(|since| since.elapsed() >= self.span);
        if over {
            tell(std::mem::take(&mut *state).left_out, mount);
        }
    }
}

fn tell(left_out: u64, mount: &str) {
    if left_out > 0 {
        tracing::warn!(
            %mount,
            "{left_out} more turns of requests without a token kept a thread of the plugin for too long: requests of other mounts may have waited for them"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    fn written(log: &str) -> Vec<&str> {
        log.lines()
            .filter(|line| line.contains("more turns"))
            .collect()
    }

    #[test]
    fn the_first_lines_of_a_span_are_written_and_the_others_counted() {
        let lines = Arc::new(Lines::per(Duration::from_millis(200)));
        let log = logged(|| {
            let allowed = (0..1000).filter(|_| lines.take("pki/")).count();
            assert_eq!(allowed, 6);
            std::thread::sleep(2 * lines.span);
            assert!(lines.take("pki/"), "the next span has begun");
        });
        let told = written(&log);
        assert_eq!(told.len(), 1, "{log}");
        assert!(
            told[0].contains("994 more turns") && told[0].contains("mount=pki/"),
            "{log}"
        );
    }

    #[test]
    fn the_number_is_told_at_the_end_of_the_span_also_when_nothing_follows() {
        let lines = Arc::new(Lines::per(Duration::from_millis(200)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let log = logged(|| {
            runtime.block_on(async {
                for _ in 0..10 {
                    lines.take("pki/");
                }
                tokio::time::sleep(3 * lines.span).await;
            });
        });
        assert!(log.contains("4 more turns"), "{log}");
        let log = logged(|| assert!(lines.take("pki/")));
        assert_eq!(written(&log), [""; 0], "it is told once");
    }
}
