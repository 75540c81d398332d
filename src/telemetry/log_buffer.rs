//! Lines of the log on their way to the thread that writes them: a bounded queue.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How much a line is worth when there is little room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Priority {
    /// A line of the access log: there are many, and each is worth little.
    Access,
    /// Whatever else happened.
    Info,
    /// Warnings and errors.
    Warning,
}

impl Priority {
    /// How far lines of this priority may fill the buffer.
    const fn max_bytes(self) -> usize {
        match self {
            Self::Access => MAX_BYTES / 2,
            Self::Info => MAX_BYTES / 4 * 3,
            Self::Warning => MAX_BYTES,
        }
    }
}

/// Takes lines from everywhere, and gives them to one thread.
#[derive(Debug, Default)]
pub(super) struct LogBuffer {
    queue: Mutex<Queue>,
    /// Tells the writing thread that it should not wait any longer.
    due: Condvar,
    /// Tells [`LogBuffer::flush`] that nothing is left.
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

impl LogBuffer {
    /// Whether there was room.
    pub(super) fn push(&self, line: &[u8], priority: Priority) -> bool {
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

    /// Waits for lines, and takes all of them.
    pub(super) fn take(&self, batch: &mut Vec<u8>) {
        let mut queue = self.queue.lock();
        while queue.lines.is_empty() {
            self.due.wait(&mut queue);
        }
        let deadline = Instant::now() + BATCH_TIMEOUT;
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
    pub(super) fn finish(&self, lost: u64, is_cut: bool) -> u64 {
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
    pub(super) fn settle(&self) {
        let mut queue = self.queue.lock();
        queue.is_writing = false;
        if queue.lines.is_empty() {
            self.idle.notify_all();
        }
    }

    pub(super) fn flush(&self, deadline: Instant) -> bool {
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

/// About 5,000 access lines. As much again may be on its way.
const MAX_BYTES: usize = 1 << 20;
/// A batch that is written without waiting for more.
pub(super) const BATCH_BYTES: usize = 64 * 1024;
/// Access lines wait for company, so that the thread wakes ten times a second and not for each.
const BATCH_TIMEOUT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(buffer: &LogBuffer) -> String {
        let mut batch = Vec::new();
        buffer.take(&mut batch);
        buffer.finish(0, false);
        buffer.settle();
        String::from_utf8(batch).unwrap()
    }

    #[test]
    fn lines_leave_in_the_order_in_which_they_came() {
        let buffer = LogBuffer::default();
        assert!(buffer.push(b"a\n", Priority::Access));
        assert!(buffer.push(b"w\n", Priority::Warning));
        assert!(buffer.push(b"b\n", Priority::Access));
        assert_eq!(drained(&buffer), "a\nw\nb\n");
    }

    #[test]
    fn access_lines_leave_room_for_events_and_events_for_warnings() {
        let buffer = LogBuffer::default();
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
        let buffer = LogBuffer::default();
        assert!(!buffer.push(&vec![b'x'; MAX_BYTES], Priority::Access));
        assert_eq!(buffer.finish(3, false), 0);
        assert_eq!(buffer.finish(0, false), 4);
        assert_eq!(buffer.finish(0, false), 0);
    }

    #[test]
    fn a_line_that_was_cut_off_is_ended_before_the_next() {
        let buffer = LogBuffer::default();
        assert!(buffer.push(b"next\n", Priority::Warning));
        buffer.finish(1, true);
        assert_eq!(drained(&buffer), "\nnext\n");
    }

    #[test]
    fn a_flush_ends_at_its_deadline_when_nobody_writes() {
        let buffer = LogBuffer::default();
        assert!(buffer.flush(Instant::now()));
        buffer.push(b"a\n", Priority::Access);
        assert!(!buffer.flush(Instant::now()));
        drained(&buffer);
        assert!(buffer.flush(Instant::now()));
    }
}
