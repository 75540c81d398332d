//! What a device chokes on in an HTTP answer.

use super::{MAX_BODY_BYTES, MAX_HEAD_BYTES};

/// Why a device does not process an answer (PROTOCOL.md section 3).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseError {
    /// Lines end in a bare line feed.
    #[error("the lines of the answer's head end with LF; allowed: CR LF")]
    BareLineFeed,
    /// The body is, or would be, longer than this client reads.
    #[error("the body has {found} bytes or more; allowed: {MAX_BODY_BYTES}")]
    BodyTooLong {
        /// Bytes announced or received.
        found: u64,
    },
    /// The body has a transfer encoding.
    #[error("the body is sent with `{header}`; allowed: a plain body with `Content-Length:`")]
    Chunked {
        /// The header line as received.
        header: String,
    },
    /// Nothing was received.
    #[error("the answer is empty: the connection ended without a byte")]
    Empty,
    /// No end of the head within the bound.
    #[error("the answer's head has more than {MAX_HEAD_BYTES} bytes")]
    HeadTooLong,
    /// The connection ended within the head.
    #[error("the answer ends within its head, after {found} bytes")]
    HeadUnfinished {
        /// Bytes received.
        found: usize,
    },
    /// A line of the head is not a header.
    #[error("{line} is not a header line; allowed: `Name: value`")]
    HeaderLine {
        /// The line's start.
        line: String,
    },
    /// No length at all.
    #[error("there is no `Content-Length:` header")]
    LengthMissing,
    /// More than one length.
    #[error("there are {found} length headers; allowed: one `Content-Length:`")]
    LengthRepeated {
        /// How many.
        found: usize,
    },
    /// The header is there, in another case.
    #[error(
        "the length header is spelled `{found}:`; allowed: `Content-Length:`, in exactly that case"
    )]
    LengthSpelling {
        /// The name as received.
        found: String,
    },
    /// The length is no number.
    #[error("`Content-Length:` is {found}; allowed: a decimal number of bytes")]
    LengthValue {
        /// The value as received.
        found: String,
    },
    /// Not HTTP.
    #[error("the answer starts with {line}; allowed: a status line such as `HTTP/1.1 200 OK`")]
    StatusLine {
        /// The first line's start.
        line: String,
    },
    /// More bytes than announced.
    #[error("{found} bytes follow after the body that `Content-Length:` announces")]
    TrailingBytes {
        /// How many were received.
        found: usize,
    },
    /// Fewer bytes than announced.
    #[error("the body ends after {found} bytes; `Content-Length:` announces {announced}")]
    Truncated {
        /// Bytes received.
        found: usize,
        /// Bytes announced.
        announced: u64,
    },
    /// Another version of HTTP.
    #[error("the status line says `{found}`; allowed: `HTTP/1.1`")]
    Version {
        /// The version as received.
        found: String,
    },
}

impl ResponseError {
    /// Whether the body's bytes cannot be told from what carries them, or are not all there.
    #[must_use]
    pub fn is_body_unreliable(&self) -> bool {
        !matches!(
            self,
            Self::LengthMissing
                | Self::LengthSpelling { .. }
                | Self::TrailingBytes { .. }
                | Self::Version { .. }
        )
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::LengthSpelling { .. } => {
                "devices compare header names byte for byte: use a server or proxy that writes `Content-Length:`; \
                 HTTP/2 gateways and hyper's default write lower case"
            }
            Self::Version { .. } => "devices need HTTP/1.1: set the server, or the proxy before it, to HTTP/1.1",
            Self::Chunked { .. } | Self::LengthMissing | Self::LengthRepeated { .. } | Self::LengthValue { .. } => {
                "the server must send the whole body with one `Content-Length:`: switch off compression, streaming \
                 and proxy buffering that lose the length"
            }
            Self::StatusLine { .. } => "another service answers on this port, or this port speaks TLS",
            Self::Empty => "the server or a firewall closed the connection: see the server's log, and whether the port speaks TLS",
            Self::Truncated { .. } | Self::HeadUnfinished { .. } => {
                "the server stopped before it was done: see its log, and look for a proxy with a limit or a timeout"
            }
            Self::TrailingBytes { .. } => "the length is counted wrongly, often in characters instead of bytes",
            Self::BareLineFeed | Self::HeaderLine { .. } => {
                "the server writes its head by hand: RFC 9112 wants `Name: value` lines that end with CR LF"
            }
            Self::BodyTooLong { .. } | Self::HeadTooLong => {
                "devices have little memory: this is not what ENGAGE hosts answer"
            }
        }
        .into()
    }
}
