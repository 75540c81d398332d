//! Answers of the HTTP parser itself: counted, and logged with what can be said of the reason.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::warn;

use crate::config::Limits;
use crate::connection::{ConnectionState, ListenerKind};
use crate::telemetry::{LogThrottle, Metrics};
use engage_wire::escape_for_terminal;

/// Where a listener's refused heads are counted and logged.
#[derive(Debug)]
pub(in crate::server) struct RefusedHeads {
    listener: ListenerKind,
    max_bytes: usize,
    max_fields: usize,
    metrics: Arc<Metrics>,
    log: LogThrottle,
}

impl RefusedHeads {
    pub(in crate::server) fn new(
        listener: ListenerKind,
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            listener,
            max_bytes: limits.request_head_bytes,
            max_fields: limits.request_headers,
            metrics,
            log: LogThrottle::default(),
        }
    }

    /// Notes that `answer` is sent to a head that begins with `beginning`.
    pub(super) fn note(
        &self,
        state: &ConnectionState,
        peer: SocketAddr,
        answer: &[u8],
        beginning: &[u8],
    ) {
        let Some(status) = status(answer) else {
            return;
        };
        state.refused();
        let listener = self.listener;
        let (label, reason) = match (state.framing_error_of_next(), status) {
            // hyper answers 431 to a length that it does not count.
            (Some(error), _) => ("malformed_request", error.to_string()),
            (None, 400) => ("malformed_request", malformed(beginning).to_owned()),
            _ => ("request_head_bytes", self.too_long()),
        };
        self.metrics.refused(listener, label);
        if let Some(others) = self.log.check() {
            let line = request_line(beginning);
            warn!(
                %listener, %peer, status, others = others.count(),
                "{listener} request from {peer} answered {status}: {reason}; it begins with `{line}`{others}",
            );
        }
    }

    /// Notes that a connection ends with the preface of HTTP/2.
    pub(super) fn note_http2(&self, state: &ConnectionState, peer: SocketAddr) {
        state.refused();
        let listener = self.listener;
        self.metrics.refused(listener, "malformed_request");
        if let Some(others) = self.log.check() {
            warn!(
                %listener, %peer, others = others.count(),
                "{listener} connection from {peer} ends without an answer: it begins with the preface of HTTP/2, which is not spoken here{others}",
            );
        }
    }

    fn too_long(&self) -> String {
        format!(
            "its head is longer than `[limits] request_head_bytes = {}`, or has more fields than \
             `[limits] request_headers = {}`",
            self.max_bytes, self.max_fields
        )
    }
}

/// Of an answer that begins here.
fn status(answer: &[u8]) -> Option<u16> {
    let code = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

/// Why the parser refused a head, as far as its beginning tells.
fn malformed(beginning: &[u8]) -> &'static str {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(beginning) {
        Err(httparse::Error::Token) => "its request line is not `METHOD TARGET HTTP/1.1`",
        Err(httparse::Error::Version) => "it is not HTTP/1.1 or HTTP/1.0",
        Err(httparse::Error::HeaderName) => {
            "a header's name has a character that names cannot have, such as a space before the colon"
        }
        Err(httparse::Error::HeaderValue) => "a header's value has a control character",
        Err(httparse::Error::NewLine) => "a line ends otherwise than with CR LF",
        Err(_) => "its head cannot be read",
        Ok(_) if request.path.is_some_and(is_no_uri) => {
            "its target has a character that must be escaped"
        }
        Ok(_) => "something behind its beginning cannot be read, or contradicts itself",
    }
}

fn is_no_uri(target: &str) -> bool {
    target.parse::<http::Uri>().is_err()
}

/// The first line, if it looks like a request's, and else not even that: credentials stand in the
/// lines behind it.
fn request_line(beginning: &[u8]) -> String {
    let end = beginning.iter().position(|byte| b"\r\n".contains(byte));
    let line = &beginning[..end.unwrap_or(beginning.len())];
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_request = method.len() < line.len() && method.iter().all(u8::is_ascii_uppercase);
    let shown = if is_request {
        line
    } else {
        &line[..line.len().min(MAX_SHOWN_OF_OTHERS)]
    };
    escape_for_terminal(&String::from_utf8_lossy(shown)).into_owned()
}

/// Enough to know TLS, or another protocol.
const MAX_SHOWN_OF_OTHERS: usize = 12;
