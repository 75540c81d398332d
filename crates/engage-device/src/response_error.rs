//! What a device chokes on in an HTTP answer.

use miette::Diagnostic;

use super::{MAX_BODY_BYTES, MAX_HEAD_BYTES};

/// Why a device does not process an answer (PROTOCOL.md section 3).
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum ResponseError {
    /// Lines end in a bare line feed.
    #[error("the lines of the answer's head end with LF; allowed: CR LF")]
    #[diagnostic(code("response-bare-line-feed"), help("{HAND_WRITTEN}"))]
    BareLineFeed,
    /// The body is, or would be, longer than this client reads: bytes announced or received.
    #[error("the body has {0} bytes or more; allowed: {MAX_BODY_BYTES}")]
    #[diagnostic(
        code("response-body-too-long"),
        help("devices have little memory: this is not what ENGAGE hosts answer")
    )]
    BodyTooLong(u64),
    /// The body has a transfer encoding, in this header line.
    #[error("the body is sent with `{0}`; allowed: a plain body with `Content-Length:`")]
    #[diagnostic(code("response-chunked"), help("{PLAIN_LENGTH}"))]
    Chunked(String),
    /// Nothing was received.
    #[error("the answer is empty: the connection ended without a byte")]
    #[diagnostic(
        code("response-empty"),
        help(
            "the server or a firewall closed the connection: see the server's log, and whether the port speaks TLS"
        )
    )]
    Empty,
    /// No end of the head within the bound.
    #[error("the answer's head has more than {MAX_HEAD_BYTES} bytes")]
    #[diagnostic(
        code("response-head-too-long"),
        help("devices have little memory: this is not what ENGAGE hosts answer")
    )]
    HeadTooLong,
    /// The connection ended within the head, after so many bytes.
    #[error("the answer ends within its head, after {0} bytes")]
    #[diagnostic(code("response-head-unfinished"), help("{STOPPED}"))]
    HeadUnfinished(usize),
    /// A line of the head, of which this is the start, is not a header.
    #[error("{0} is not a header line; allowed: `Name: value`")]
    #[diagnostic(code("response-header-line"), help("{HAND_WRITTEN}"))]
    HeaderLine(String),
    /// No length at all.
    #[error("there is no `Content-Length:` header")]
    #[diagnostic(code("response-length-missing"), help("{PLAIN_LENGTH}"))]
    LengthMissing,
    /// More than one length: how many.
    #[error("there are {0} length headers; allowed: one `Content-Length:`")]
    #[diagnostic(code("response-length-repeated"), help("{PLAIN_LENGTH}"))]
    LengthRepeated(usize),
    /// The header is there, in this other case.
    #[error(
        "the length header is spelled `{0}:`; allowed: `Content-Length:`, in exactly that case"
    )]
    #[diagnostic(
        code("response-length-spelling"),
        help(
            "devices compare header names byte for byte: use a server or proxy that writes `Content-Length:`; HTTP/2 gateways \
         and hyper's default write lower case"
        )
    )]
    LengthSpelling(String),
    /// The length is this, and no number.
    #[error("`Content-Length:` is {0}; allowed: a decimal number of bytes")]
    #[diagnostic(code("response-length-value"), help("{PLAIN_LENGTH}"))]
    LengthValue(String),
    /// Not HTTP, but a first line that starts with this.
    #[error("the answer starts with {0}; allowed: a status line such as `HTTP/1.1 200 OK`")]
    #[diagnostic(
        code("response-status-line"),
        help("another service answers on this port, or this port speaks TLS")
    )]
    StatusLine(String),
    /// So many bytes more than announced.
    #[error("{0} bytes follow after the body that `Content-Length:` announces")]
    #[diagnostic(
        code("response-trailing-bytes"),
        help("the length is counted wrongly, often in characters instead of bytes")
    )]
    TrailingBytes(usize),
    /// Fewer bytes than announced.
    #[error("the body ends after {found} bytes; `Content-Length:` announces {announced}")]
    #[diagnostic(code("response-truncated"), help("{STOPPED}"))]
    Truncated {
        /// Bytes received.
        found: usize,
        /// Bytes announced.
        announced: u64,
    },
    /// Another version of HTTP, as received.
    #[error("the status line says `{0}`; allowed: `HTTP/1.1`")]
    #[diagnostic(
        code("response-version"),
        help("devices need HTTP/1.1: set the server, or the proxy before it, to HTTP/1.1")
    )]
    Version(String),
}

impl ResponseError {
    /// Whether the body's bytes cannot be told from what carries them, or are not all there.
    pub fn is_body_unreliable(&self) -> bool {
        !matches!(
            self,
            Self::LengthMissing
                | Self::LengthSpelling(_)
                | Self::TrailingBytes(_)
                | Self::Version(_)
        )
    }
}

const PLAIN_LENGTH: &str = "the server must send the whole body with one `Content-Length:`: switch off compression, \
                            streaming and proxy buffering that lose the length";

const STOPPED: &str = "the server stopped before it was done: see its log, and look for a proxy with a limit or a timeout";

const HAND_WRITTEN: &str =
    "the server writes its head by hand: RFC 9112 wants `Name: value` lines that end with CR LF";
