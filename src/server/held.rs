//! The last bytes of a connection, kept back until its end can leave with them.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;

use crate::platform;

/// An answer after which the connection ends. With TLS's `close_notify` and TCP's end it leaves as
/// one segment instead of three, each of which costs more than what is ours in a request
/// (docs/PERFORMANCE.md).
///
/// Nothing stays here for long: whoever flushes is woken to be polled again, and what outlasts two
/// flushes, of the answer and of the end, is sent. So it is when more is read.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: BytesMut,
    flushes: u8,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn has_room(&self, length: usize) -> bool {
        self.bytes.len() + length <= MOST_BYTES
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Notes a flush; whether what is held may stay nevertheless.
    pub(super) fn stays_at_flush(&mut self) -> bool {
        if self.is_empty() {
            return false;
        }
        self.flushes = self.flushes.saturating_add(1);
        self.flushes <= MOST_FLUSHES
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `length` bytes were sent.
    pub(super) fn sent(&mut self, length: usize) {
        self.bytes.advance(length);
        if self.bytes.is_empty() {
            // An idle connection keeps no buffer.
            *self = Self::default();
        }
    }

    /// Hands it to the kernel to leave with the end of the connection, which must follow at once.
    pub(super) fn send_before_end(&mut self, stream: &TcpStream) -> io::Result<()> {
        if !self.is_empty() {
            let sent = platform::send_before_end(stream, &self.bytes)?;
            self.sent(sent);
        }
        Ok(())
    }
}

/// One after the answer is written, and one with which the end begins.
const MOST_FLUSHES: u8 = 2;

/// Answers of the certificate routes are shorter.
const MOST_BYTES: usize = 8192;
