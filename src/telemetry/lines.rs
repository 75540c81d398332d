//! Lines of the log, on their way to standard error.
//!
//! A line for each request is a write for each request, which is dearer than making the line. So a
//! busy worker's access lines wait until it has nothing else to do, and leave in one write: on a
//! quiet daemon that is at once, on a saturated one after [`BATCH_BYTES`]. Nothing else waits, and
//! what waits in the same worker goes ahead of it.

use std::cell::RefCell;
use std::io::{self, Write, stderr};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Makes the writer of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines;

/// Writes one event.
#[derive(Debug)]
pub(super) struct Line {
    may_wait: bool,
}

/// The access lines of one worker.
#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Whether this thread calls [`write_waiting_lines`]: only a runtime's worker does.
    is_worker: bool,
}

/// Writes the calling worker's waiting lines. To be called whenever a worker goes to sleep.
pub fn write_waiting_lines() {
    WAITING.with_borrow_mut(|waiting| {
        waiting.is_worker = true;
        waiting.write(&mut stderr());
    });
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { may_wait: false }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        Line {
            may_wait: event.target() == super::access::TARGET,
        }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let take = |waiting: &RefCell<Waiting>| {
            let mut waiting = waiting.borrow_mut();
            waiting.take(line, self.may_wait, &mut stderr())
        };
        let taken = WAITING.try_with(take);
        // A thread that is ending has no waiting lines any more.
        taken.unwrap_or_else(|_| stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Waiting {
    fn take(&mut self, line: &[u8], may_wait: bool, log: &mut impl Write) -> io::Result<()> {
        if !self.is_worker {
            return log.write_all(line);
        }
        self.lines.extend_from_slice(line);
        if !may_wait || self.lines.len() >= BATCH_BYTES {
            self.write(log);
        }
        Ok(())
    }

    fn write(&mut self, log: &mut impl Write) {
        if !self.lines.is_empty() {
            // There is nobody to tell that the log cannot be written. One call, so that no other
            // thread's lines come between: standard error is locked for as long as it takes.
            let _ = log.write_all(&self.lines);
            self.lines.clear();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.write(&mut stderr());
    }
}

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
}

/// About 40 lines.
const BATCH_BYTES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what the log was given.
    fn waiting(is_worker: bool, lines: &[(&str, bool)]) -> (Waiting, Vec<u8>) {
        let mut waiting = Waiting {
            lines: Vec::new(),
            is_worker,
        };
        let mut log = Vec::new();
        for (line, may_wait) in lines {
            waiting.take(line.as_bytes(), *may_wait, &mut log).unwrap();
        }
        (waiting, log)
    }

    #[test]
    fn access_lines_of_a_worker_wait_and_go_ahead_of_any_other_event() {
        let (mut waits, mut log) = waiting(true, &[("a\n", true), ("b\n", true)]);
        assert_eq!(log, b"");
        waits.take(b"error\n", false, &mut log).unwrap();
        assert_eq!(log, b"a\nb\nerror\n");
        waits.take(b"c\n", true, &mut log).unwrap();
        waits.write(&mut log);
        assert_eq!(log, b"a\nb\nerror\nc\n");
    }

    #[test]
    fn a_worker_that_never_rests_writes_when_its_batch_is_full() {
        let long = "x".repeat(BATCH_BYTES / 2);
        let (waits, log) = waiting(true, &[(&long, true), (&long, true)]);
        assert_eq!((waits.lines.len(), log.len()), (0, BATCH_BYTES));
    }

    #[test]
    fn lines_of_other_threads_never_wait() {
        let (waits, log) = waiting(false, &[("a\n", true)]);
        assert_eq!((waits.lines.len(), log.as_slice()), (0, &b"a\n"[..]));
    }
}
