//! Standard error, behind a bounded buffer and a thread of its own.
//!
//! Whoever reads the log may stand still (a stuck log shipper, Ctrl-S in a terminal), and a write to
//! a full pipe then waits without end. So nothing that answers a device writes: it leaves its line
//! in the buffer, and one thread writes. What does not fit is dropped and counted. Access lines may
//! fill only a part of the buffer: however many there are, a warning still finds room.
//!
//! `tracing-appender::non_blocking` is not used: it wakes its thread for each line, and drops a
//! warning behind access lines as it drops those.

use std::io::{self, Write, stderr};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use prometheus_client::metrics::counter::Counter;
use tracing::{Level, Metadata, warn};
use tracing_subscriber::fmt::MakeWriter;

use super::access;

/// Starts the thread that writes. The process has one log, so this is called once.
pub(super) fn spawn() -> io::Result<NonBlockingStderr> {
    let buffer = Arc::new(Buffer::default());
    let drained = Arc::clone(&buffer);
    thread::Builder::new()
        .name("log".into())
        .spawn(move || drained.write_to(stderr()))?;
    let _ = STARTED.set(Arc::clone(&buffer));
    Ok(NonBlockingStderr(buffer))
}

/// Waits until everything logged so far is written, at most for `timeout`: nobody may be reading.
/// Returns whether it is.
pub fn flush_log(timeout: Duration) -> bool {
    STARTED
        .get()
        .is_none_or(|buffer| buffer.flush(Instant::now() + timeout))
}

/// Lines that found no room or could not be written. Clones count together.
pub(super) fn dropped_lines() -> Counter {
    DROPPED_LINES.clone()
}

/// Makes the writer of an event.
#[derive(Clone, Debug)]
pub(super) struct NonBlockingStderr(Arc<Buffer>);

/// Takes the line of one event.
#[derive(Debug)]
pub(super) struct LineWriter<'a> {
    buffer: &'a Buffer,
    priority: Priority,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Priority {
    /// A line of the access log: there are many, and each is worth little.
    Access,
    Info,
    /// Warnings and errors.
    Warning,
}

impl Priority {
    fn of_event(event: &Metadata<'_>) -> Self {
        match *event.level() {
            Level::ERROR | Level::WARN => Self::Warning,
            _ if event.target() == access::TARGET => Self::Access,
            _ => Self::Info,
        }
    }

    /// How far lines of this priority may fill the buffer.
    const fn max_bytes(self) -> usize {
        match self {
            Self::Access => MAX_BYTES / 2,
            Self::Info => MAX_BYTES / 4 * 3,
            Self::Warning => MAX_BYTES,
        }
    }
}

impl<'a> MakeWriter<'a> for NonBlockingStderr {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            buffer: &self.0,
            priority: Priority::Warning,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            buffer: &self.0,
            priority: Priority::of_event(event),
        }
    }
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.buffer.push(line, self.priority) {
            DROPPED_LINES.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Buffer {
    queue: Mutex<Queue>,
    /// Tells the writing thread that it should not wait any longer.
    due: Condvar,
    /// Tells [`Buffer::flush`] that nothing is left.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    /// They contain something else than access lines, or somebody waits for them.
    is_urgent: bool,
    /// The writing thread has taken lines and not yet come back.
    is_writing: bool,
    /// Lines without room since this was last logged.
    dropped: u64,
}

impl Queue {
    fn is_due(&self) -> bool {
        self.is_urgent || self.lines.len() >= BATCH_BYTES
    }
}

impl Buffer {
    /// Whether there was room.
    fn push(&self, line: &[u8], priority: Priority) -> bool {
        let mut queue = self.queue.lock();
        if queue.lines.len() + line.len() > priority.max_bytes() {
            queue.dropped += 1;
            return false;
        }
        let (was_empty, was_due) = (queue.lines.is_empty(), queue.is_due());
        queue.lines.extend_from_slice(line);
        queue.is_urgent |= priority != Priority::Access;
        let wakes = was_empty || queue.is_due() && !was_due;
        drop(queue);
        if wakes {
            self.due.notify_one();
        }
        true
    }

    /// Writes whatever is pushed, for ever.
    fn write_to(&self, mut stderr: impl Write) {
        let mut batch = Vec::new();
        loop {
            self.take(&mut batch);
            let written = write_batch(&mut stderr, &batch);
            let lost = count_lines(&batch[written..]);
            DROPPED_LINES.inc_by(lost);
            // A line that was cut off by a full disk must not swallow the next one.
            let is_cut = lost > 0 && written > 0 && batch[written - 1] != b'\n';
            let dropped = self.finish(lost, is_cut);
            if dropped > 0 {
                warn!(
                    dropped,
                    "{dropped} lines of the log were dropped: standard error did not take them in time"
                );
            }
            self.settle();
            batch.clear();
            batch.shrink_to(BATCH_BYTES);
        }
    }

    /// Waits for lines, and takes all of them.
    fn take(&self, batch: &mut Vec<u8>) {
        let mut queue = self.queue.lock();
        while queue.lines.is_empty() {
            self.due.wait(&mut queue);
        }
        let deadline = Instant::now() + LINGER;
        while !queue.is_due() {
            if self.due.wait_until(&mut queue, deadline).timed_out() {
                break;
            }
        }
        std::mem::swap(&mut queue.lines, batch);
        queue.is_urgent = false;
        queue.is_writing = true;
    }

    /// A batch is written, except for `lost` lines of it. Returns how many lines were dropped, if
    /// that can be said now.
    fn finish(&self, lost: u64, is_cut: bool) -> u64 {
        let mut queue = self.queue.lock();
        queue.dropped += lost;
        if is_cut {
            queue.lines.insert(0, b'\n');
        }
        if lost > 0 {
            0
        } else {
            std::mem::take(&mut queue.dropped)
        }
    }

    /// The batch is done with, and so is what had to be said of it.
    fn settle(&self) {
        let mut queue = self.queue.lock();
        queue.is_writing = false;
        if queue.lines.is_empty() {
            self.idle.notify_all();
        }
    }

    fn flush(&self, deadline: Instant) -> bool {
        let mut queue = self.queue.lock();
        while queue.is_writing || !queue.lines.is_empty() {
            queue.is_urgent = true;
            self.due.notify_one();
            if self.idle.wait_until(&mut queue, deadline).timed_out() {
                return false;
            }
        }
        true
    }
}

/// Writes as much as is taken. Returns the number of bytes.
fn write_batch(stderr: &mut impl Write, batch: &[u8]) -> usize {
    let mut written = 0;
    while written < batch.len() {
        match stderr.write(&batch[written..]) {
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

static STARTED: OnceLock<Arc<Buffer>> = OnceLock::new();
static DROPPED_LINES: LazyLock<Counter> = LazyLock::new(Counter::default);

/// About 5,000 access lines. As much again may be on its way.
const MAX_BYTES: usize = 1 << 20;
/// Access lines wait for company, so that the thread wakes ten times a second and not for each.
const LINGER: Duration = Duration::from_millis(100);
const BATCH_BYTES: usize = 64 * 1024;
const RETRY_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(buffer: &Buffer) -> String {
        let mut batch = Vec::new();
        buffer.take(&mut batch);
        buffer.finish(0, false);
        buffer.settle();
        String::from_utf8(batch).unwrap()
    }

    #[test]
    fn lines_leave_in_the_order_in_which_they_came() {
        let buffer = Buffer::default();
        assert!(buffer.push(b"a\n", Priority::Access));
        assert!(buffer.push(b"w\n", Priority::Warning));
        assert!(buffer.push(b"b\n", Priority::Access));
        assert_eq!(drained(&buffer), "a\nw\nb\n");
    }

    #[test]
    fn access_lines_leave_room_for_events_and_events_for_warnings() {
        let buffer = Buffer::default();
        let line = [b'x'; 1024];
        let fill = |priority| {
            let mut taken = 0;
            while buffer.push(&line, priority) {
                taken += line.len();
            }
            taken
        };
        assert_eq!(fill(Priority::Access), MAX_BYTES / 2);
        assert_eq!(fill(Priority::Info), MAX_BYTES / 4);
        assert_eq!(fill(Priority::Warning), MAX_BYTES / 4);
        assert_eq!(drained(&buffer).len(), MAX_BYTES);
        assert!(buffer.push(&line, Priority::Access));
    }

    #[test]
    fn what_was_dropped_is_told_once_lines_are_taken_again() {
        let buffer = Buffer::default();
        assert!(!buffer.push(&vec![b'x'; MAX_BYTES], Priority::Access));
        assert_eq!(buffer.finish(3, false), 0);
        assert_eq!(buffer.finish(0, false), 4);
        assert_eq!(buffer.finish(0, false), 0);
    }

    #[test]
    fn a_line_that_was_cut_off_is_ended_before_the_next() {
        let buffer = Buffer::default();
        assert!(buffer.push(b"next\n", Priority::Warning));
        buffer.finish(1, true);
        assert_eq!(drained(&buffer), "\nnext\n");
    }

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

    #[test]
    fn a_flush_ends_at_its_deadline_when_nobody_writes() {
        let buffer = Buffer::default();
        assert!(buffer.flush(Instant::now()));
        buffer.push(b"a\n", Priority::Access);
        assert!(!buffer.flush(Instant::now()));
        drained(&buffer);
        assert!(buffer.flush(Instant::now()));
    }
}
