//! Request heads, ahead of the HTTP parser: what it would refuse without need, and what it refuses
//! without a word.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::intercept::Intercept;
use super::query::QueryFilter;
use super::refused_heads::RefusedHeads;
use crate::connection::{ConnectionState, Phase};
use engage_wire::RequestFraming;

/// Sees what HTTP reads and writes, in clear text.
///
/// hyper answers a head that it cannot parse by itself, with 400, 414 or 431, and ends the
/// connection: no layer above learns of it. Here it is seen as an answer to a head that is still
/// being read.
pub(in crate::server) struct RequestHeads {
    state: Arc<ConnectionState>,
    refused: Arc<RefusedHeads>,
    peer: SocketAddr,
    query: QueryFilter,
    beginning: Beginning,
    framing: RequestFraming,
    /// How many requests had begun when an answer was sent last.
    answered: u64,
    /// Whether the connection may still turn out to begin with the preface of HTTP/2.
    may_be_http2: bool,
    /// The body that is being read cannot be framed: HTTP is not to wait for more of it.
    is_body_broken: bool,
}

/// The first bytes of a head.
struct Beginning {
    bytes: [u8; Self::MAX_BYTES],
    length: usize,
}

impl RequestHeads {
    pub(in crate::server) fn new(
        state: Arc<ConnectionState>,
        refused: Arc<RefusedHeads>,
        peer: SocketAddr,
    ) -> Self {
        Self {
            state,
            refused,
            peer,
            query: QueryFilter::default(),
            beginning: Beginning {
                bytes: [0; Beginning::MAX_BYTES],
                length: 0,
            },
            framing: RequestFraming::default(),
            answered: 0,
            may_be_http2: true,
            is_body_broken: false,
        }
    }

    fn received(&mut self, bytes: &mut [u8]) {
        let query = &mut self.query;
        let followed = self.framing.follow(bytes, |line| query.make_readable(line));
        if let Err(error) = followed {
            self.state.framing_failed(self.framing.request(), error);
            self.is_body_broken = self.framing.is_broken();
        }
        if self.state.phase() != Phase::Request {
            self.beginning.extend(bytes);
        }
        self.look_for_http2();
        self.state
            .set_within_request(!self.framing.is_between_requests());
    }

    /// hyper-util ends the connection with such a preface without a word.
    fn look_for_http2(&mut self) {
        let beginning = self.beginning.as_slice();
        if !self.may_be_http2 || HTTP2_PREFACE.starts_with(beginning) && beginning != HTTP2_PREFACE
        {
            return;
        }
        self.may_be_http2 = false;
        if beginning.starts_with(HTTP2_PREFACE) {
            self.refused.note_http2(&self.state, self.peer);
        }
    }

    fn sending(&mut self, bytes: &[u8]) {
        let is_from_parser = match self.state.phase() {
            Phase::ReadingHead => true,
            // Nobody has answered since: the head came in one read with the request before it.
            Phase::Idle => {
                let requests = self.state.requests();
                mem::replace(&mut self.answered, requests) == requests
            }
            Phase::Handshake | Phase::Request => false,
        };
        if is_from_parser {
            self.refused
                .note(&self.state, self.peer, bytes, self.beginning.as_slice());
        }
        // What is read from now on belongs to the next head.
        self.beginning.length = 0;
    }
}

/// RFC 9113 section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Beginning {
    /// More than most request lines need.
    const MAX_BYTES: usize = 256;

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn extend(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(Self::MAX_BYTES - self.length);
        self.bytes[self.length..][..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }
}

impl Intercept for RequestHeads {
    fn read(
        &mut self,
        read: Poll<io::Result<()>>,
        received: &mut [u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_body_broken && self.state.phase() == Phase::Request {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        if !received.is_empty() {
            self.state.bytes_received();
        }
        self.received(received);
        read
    }

    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        bytes: &[u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.sending(bytes);
        }
        written
    }
}
