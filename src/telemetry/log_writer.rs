//! Where the log is written, behind a bounded buffer and a thread of its own.
//!
//! Whoever reads standard error may stand still (a stuck log shipper, Ctrl-S in a terminal), and a write to
//! a full pipe then waits without end; so may one to a disk. So nothing that answers a device writes: it leaves its line
//! in the buffer, and one thread writes. What does not fit is dropped and counted. Access lines may
//! fill only a part of the buffer: however many there are, a warning still finds room.
//!
//! `tracing-appender::non_blocking` is not used: it wakes its thread for each line, and drops a
//! warning behind access lines as it drops those.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing::{Level, Metadata, warn};
use tracing_subscriber::fmt::MakeWriter;

use super::log_buffer::{BATCH_BYTES, LogBuffer, Priority};

/// Starts the thread that writes. The process has one log, so this is called once.
pub(super) fn spawn(output: impl Write + Send + 'static) -> io::Result<NonBlockingWriter> {
    let buffer = Arc::new(LogBuffer::default());
    let drained = Arc::clone(&buffer);
    thread::Builder::new()
        .name("log".into())
        .spawn(move || write_lines(&drained, output))?;
    let _ = STARTED.set(Arc::clone(&buffer));
    Ok(NonBlockingWriter(buffer))
}

/// Waits until everything logged so far is written, at most until `deadline`. Returns whether it is.
pub(super) fn flush(deadline: Instant) -> bool {
    STARTED.get().is_none_or(|buffer| buffer.flush(deadline))
}

/// Lines that found no room or could not be written. Clones count together.
pub(super) fn dropped_lines() -> Counter {
    DROPPED_LINES.clone()
}

/// Makes the writer of an event.
#[derive(Clone, Debug)]
pub(super) struct NonBlockingWriter(Arc<LogBuffer>);

impl NonBlockingWriter {
    /// Takes a line, or drops and counts it.
    pub(super) fn push(&self, line: &[u8], priority: Priority) {
        if !self.0.push(line, priority) {
            DROPPED_LINES.inc();
        }
    }
}

/// Takes the line of one event.
#[derive(Debug)]
pub(super) struct LineWriter<'a> {
    writer: &'a NonBlockingWriter,
    priority: Priority,
}

impl<'a> MakeWriter<'a> for NonBlockingWriter {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            writer: self,
            priority: Priority::Warning,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            writer: self,
            priority: priority_of(event),
        }
    }
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.writer.push(line, self.priority);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn priority_of(event: &Metadata<'_>) -> Priority {
    match *event.level() {
        Level::ERROR | Level::WARN => Priority::Warning,
        _ => Priority::Info,
    }
}

/// Writes whatever is pushed, for ever.
fn write_lines(buffer: &LogBuffer, mut output: impl Write) {
    let mut batch = Vec::new();
    loop {
        buffer.take(&mut batch);
        let written = write_batch(&mut output, &batch);
        let lost = count_lines(&batch[written..]);
        DROPPED_LINES.inc_by(lost);
        // A line that was cut off by a full disk must not swallow the next one.
        let is_cut = lost > 0 && written > 0 && batch[written - 1] != b'\n';
        let dropped = buffer.finish(lost, is_cut);
        if dropped > 0 {
            warn!(
                dropped,
                "{dropped} lines of the log were dropped: they could not be written in time"
            );
        }
        buffer.settle();
        batch.clear();
        batch.shrink_to(BATCH_BYTES);
    }
}

/// Writes as much as is taken. Returns the number of bytes.
fn write_batch(output: &mut impl Write, batch: &[u8]) -> usize {
    let mut written = 0;
    while written < batch.len() {
        match output.write(&batch[written..]) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever shares the pipe or terminal has made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_DELAY),
            // Gone, or on a full disk: the next batch may find it otherwise.
            Err(_) => break,
        }
    }
    written
}

fn count_lines(text: &[u8]) -> u64 {
    text.split_inclusive(|byte| *byte == b'\n').count() as u64
}

static STARTED: OnceLock<Arc<LogBuffer>> = OnceLock::new();
static DROPPED_LINES: LazyLock<Counter> = LazyLock::new(Counter::default);

const RETRY_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes five bytes a call, is interrupted now and then, and is full at last.
    struct SmallDisk(Vec<u8>, usize);

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() >= self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(5);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_as_lost() {
        let mut disk = SmallDisk(Vec::new(), 10);
        let written = write_batch(&mut disk, b"first\nsecond\nthird\n");
        assert_eq!((written, disk.0.as_slice()), (10, &b"first\nseco"[..]));
        assert_eq!(count_lines(&b"first\nsecond\nthird\n"[written..]), 2);
    }
}
