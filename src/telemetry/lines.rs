//! Lines of the log, on their way to standard error.
//!
//! A line for each request is a write for each request, which is dearer than making the line. So a
//! busy worker's access lines wait until it has nothing else to do, and leave in one write: on a
//! quiet daemon that is at once, on a saturated one after [`BATCH_BYTES`]. Nothing else waits, and
//! what waits goes ahead of it.

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
        waiting.write();
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
        let taken = WAITING.try_with(|waiting| waiting.borrow_mut().take(line, self.may_wait));
        // A thread that is ending has no waiting lines any more.
        taken.unwrap_or_else(|_| stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Waiting {
    fn take(&mut self, line: &[u8], may_wait: bool) -> io::Result<()> {
        if !self.is_worker {
            return stderr().write_all(line);
        }
        self.lines.extend_from_slice(line);
        if !may_wait || self.lines.len() >= BATCH_BYTES {
            self.write();
        }
        Ok(())
    }

    fn write(&mut self) {
        if !self.lines.is_empty() {
            // There is nobody to tell that the log cannot be written. One call, so that no other
            // thread's lines come between: standard error is locked for as long as it takes.
            let _ = stderr().write_all(&self.lines);
            self.lines.clear();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.write();
    }
}

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
}

/// About 40 lines.
const BATCH_BYTES: usize = 8192;
