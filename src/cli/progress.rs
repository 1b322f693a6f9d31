//! What long work shows meanwhile, on standard error: a line that is written
//! over on a terminal, elsewhere a line now and then once the work lasts.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use landfast_node::sync::Progress;

/// Work that is shorter is not worth a word.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where every word stays, as in a log.
const PAUSE: Duration = Duration::from_secs(10);
/// How often the line on a terminal changes.
const FRAME: Duration = Duration::from_millis(100);

/// The progress of one command.
pub(super) struct Bar<W: Write = std::io::Stderr> {
    out: W,
    terminal: bool,
    begun: Instant,
    shown: Option<Instant>,
    /// Characters of the line on the terminal.
    width: usize,
}

impl Bar {
    /// On standard error.
    pub(super) fn new() -> Self {
        let out = std::io::stderr();
        let terminal = out.is_terminal();
        Self::on(out, terminal, Instant::now())
    }
}

impl<W: Write> Bar<W> {
    fn on(out: W, terminal: bool, begun: Instant) -> Self {
        Self {
            out,
            terminal,
            begun,
            shown: None,
            width: 0,
        }
    }

    fn tell(&mut self, what: &str, done: usize, all: Option<usize>, now: Instant) {
        let (patience, pause) = if self.terminal {
            (Duration::ZERO, FRAME)
        } else {
            (PATIENCE, PAUSE)
        };
        let due = match self.shown {
            None => now.duration_since(self.begun) >= patience,
            Some(last) => now.duration_since(last) >= pause,
        };
        if !due {
            return;
        }
        self.shown = Some(now);
        let of = all.map_or_else(String::new, |all| format!(" of {all}"));
        let line = format!("{what}: {done}{of}");
        // Who does not listen is no reason to stop.
        let _ = if self.terminal {
            let width = self.width.max(line.len());
            self.width = line.len();
            write!(self.out, "\r{line:width$}").and_then(|()| self.out.flush())
        } else {
            writeln!(self.out, "landfast: {line}")
        };
    }
}

impl<W: Write> Progress for Bar<W> {
    fn at(&mut self, what: &str, done: usize, all: Option<usize>) {
        self.tell(what, done, all, Instant::now());
    }
}

impl<W: Write> Drop for Bar<W> {
    /// Leaves nothing on the terminal.
    fn drop(&mut self) {
        if self.width > 0 {
            let width = self.width;
            let _ = write!(self.out, "\r{:width$}\r", "").and_then(|()| self.out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(terminal: bool, moments: &[u64]) -> String {
        let begun = Instant::now();
        let mut out = Vec::new();
        {
            let mut bar = Bar::on(&mut out, terminal, begun);
            for (done, millis) in moments.iter().enumerate() {
                let now = begun + Duration::from_millis(*millis);
                bar.tell("certificates read", done, Some(6000), now);
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_has_one_line_that_goes_away() {
        let shown = told(true, &[0, 50, 100, 150, 250]);
        assert_eq!(shown.matches("certificates read").count(), 3, "{shown:?}");
        assert!(!shown.contains('\n'), "{shown:?}");
        let last = shown.rsplit('\r').nth(1).unwrap();
        assert!(last.len() == "certificates read: 4 of 6000".len() && last.trim().is_empty());
    }

    #[test]
    fn a_log_has_a_line_only_when_the_work_lasts() {
        assert_eq!(told(false, &[0, 100, 1900]), "");
        assert_eq!(
            told(false, &[0, 2100, 5000, 12_000, 12_200]),
            "landfast: certificates read: 1 of 6000\nlandfast: certificates read: 4 of 6000\n"
        );
    }
}
