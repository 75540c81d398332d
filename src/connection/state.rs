//! What a connection is waiting for, and what its deadlines depend on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use engage_wire::FramingError;

/// What a connection is waiting for: shared between its socket, which keeps the deadlines, and the
/// requests on it, of which the socket sees only bytes.
///
/// Of the requests' side `routes::layers` tells of a request's begin and end
/// ([`request_started`](Self::request_started), [`response_ready`](Self::response_ready)), and
/// `routes::malformed` of those that it refuses ([`refused`](Self::refused)). Of the socket's side
/// `server::acceptor_tls` tells of the end of the handshake, and `server::stream` knows everything else
/// by itself.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    phase: AtomicU8,
    is_last_answer: AtomicBool,
    is_within_request: AtomicBool,
    is_refused: AtomicBool,
    /// How many requests have begun.
    requests: AtomicU64,
    /// Whether nothing has arrived since the last of them began.
    is_silent_since_request: AtomicBool,
    /// What is wrong with the framing of a request, and the number of that, counted from 1.
    framing_error: OnceLock<(u64, FramingError)>,
}

impl ConnectionState {
    /// A connection that starts in `phase`.
    pub(crate) fn new(phase: Phase) -> Self {
        Self {
            phase: AtomicU8::new(phase as u8),
            is_last_answer: AtomicBool::new(false),
            is_within_request: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            is_silent_since_request: AtomicBool::new(false),
            framing_error: OnceLock::new(),
        }
    }

    /// The head of a request has been read; its body may still be arriving. `is_last` says that the
    /// connection certainly ends with its answer. True if it was read together with the request before
    /// it (pipelining, RFC 9112 section 9.3.2).
    pub(crate) fn request_started(&self, is_last: bool) -> bool {
        self.is_last_answer.store(is_last, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Request);
        self.is_silent_since_request.swap(true, Ordering::Relaxed)
    }

    /// Something of a request has arrived.
    pub(crate) fn bytes_received(&self) {
        self.is_silent_since_request.store(false, Ordering::Relaxed);
    }

    /// Whether what is written now is the answer with which the connection ends.
    pub(crate) fn is_last_answer(&self) -> bool {
        self.is_last_answer.load(Ordering::Relaxed)
    }

    /// How many requests have begun.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether the client may still be sending what this side does not answer.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed) || self.is_within_request.load(Ordering::Relaxed)
    }

    /// Whether a part of a request has arrived of which the rest may come.
    pub(crate) fn set_within_request(&self, is_within_request: bool) {
        self.is_within_request
            .store(is_within_request, Ordering::Relaxed);
    }

    /// The connection ends with the answer to a malformed request, whatever follows it.
    pub(crate) fn refused(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Nothing behind the request of this number can be told apart from it.
    pub(crate) fn framing_failed(&self, request: u64, error: FramingError) {
        // A connection fails once.
        let _ = self.framing_error.set((request, error));
    }

    /// What is wrong with the framing of the request that is being answered.
    pub(crate) fn framing_error(&self) -> Option<FramingError> {
        self.framing_error_of(self.requests())
    }

    /// What is wrong with the framing of a request that never began: its head cannot be parsed.
    pub(crate) fn framing_error_of_next(&self) -> Option<FramingError> {
        self.framing_error_of(self.requests() + 1)
    }

    fn framing_error_of(&self, number: u64) -> Option<FramingError> {
        let (request, error) = self.framing_error.get()?;
        (*request == number).then_some(*error)
    }

    /// The answer is about to be written.
    pub(crate) fn response_ready(&self) {
        self.enter(Phase::Idle);
    }

    /// Moves on to `phase`.
    pub(crate) fn enter(&self, phase: Phase) {
        // One task polls the socket and the routes, so no other memory depends on the order.
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The current phase.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Handshake,
            1 => Phase::ReadingHead,
            2 => Phase::Request,
            _ => Phase::Idle,
        }
    }
}

/// A stage in the life of a connection. Each has its deadline in `server::stream`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The TLS handshake.
    Handshake = 0,
    /// From the connection's start, or the first byte after an answer, to the end of the head.
    ReadingHead = 1,
    /// The request is being answered; its body may still be arriving.
    Request = 2,
    /// Answered, waiting for the next request.
    Idle = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_read_with_the_one_before_it_is_told_apart() {
        let state = ConnectionState::new(Phase::ReadingHead);
        state.bytes_received();
        assert!(!state.request_started(false));
        assert!(state.request_started(false));
        assert!(state.request_started(false));
        state.bytes_received();
        assert!(!state.request_started(true));
    }
}
