//! Requests and their exchange, in raw bytes.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use miette::Diagnostic;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::response::Head;
use super::{LenientResponse, MAX_BODY_BYTES, MAX_HEAD_BYTES, Response, ResponseError};
use engage_wire::HttpUrl;

/// A request as a device writes it: few headers, in this spelling and order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    head: String,
    body: Vec<u8>,
    keep_alive: bool,
}

impl Request {
    /// A GET of the URL's target, on a connection of its own.
    pub fn get(url: &HttpUrl) -> Self {
        Self::new("GET", url)
    }

    /// A request without a body, on a connection of its own.
    pub fn new(method: &str, url: &HttpUrl) -> Self {
        Self {
            head: format!(
                "{method} {} HTTP/1.1\r\nHost: {}\r\n",
                url.target(),
                url.host_header()
            ),
            body: Vec::new(),
            keep_alive: false,
        }
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn with_json(mut self, body: Vec<u8>) -> Self {
        let _ = write!(
            self.head,
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.body = body;
        self
    }

    /// The same, without asking the server to close the connection after its answer.
    #[must_use]
    pub fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
        self
    }

    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let connection = if self.keep_alive {
            "\r\n"
        } else {
            "Connection: close\r\n\r\n"
        };
        [self.head.as_bytes(), connection.as_bytes(), &self.body].concat()
    }
}

/// Writes one request and reads one answer, within its bounds and until `deadline`.
///
/// Fails only if not one byte was answered; whether the bytes are an answer is for
/// [`Received::answer`] to say.
pub async fn exchange<S>(
    stream: &mut S,
    request: &Request,
    deadline: Instant,
) -> Result<Received, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let write = async {
        stream.write_all(&request.to_bytes()).await?;
        stream.flush().await
    };
    // A server may answer and close before it has read everything: the answer counts.
    let written = timeout_at(deadline, write)
        .await
        .map_err(|_| ExchangeError::Deadline)?;
    let mut bytes = Vec::with_capacity(1024);
    let ending = loop {
        if is_complete(&bytes) {
            break EndOfRead::Complete;
        }
        if bytes.len() >= MAX_RESPONSE_BYTES {
            break EndOfRead::Bound;
        }
        if let Some(ending) = read_more(stream, &mut bytes, deadline).await {
            break ending;
        }
    };
    if matches!(ending, EndOfRead::Complete) && !request.keep_alive {
        // The server closes at once; what it still sends before that belongs to no answer.
        let grace = deadline.min(Instant::now() + CLOSE_TIMEOUT);
        read_more(stream, &mut bytes, grace).await;
    }
    match (bytes.is_empty(), ending, written) {
        (true, EndOfRead::Deadline, _) => Err(ExchangeError::Deadline),
        (true, EndOfRead::Broken(source), _) | (true, _, Err(source)) => {
            Err(ExchangeError::Broken { source })
        }
        (_, ending, _) => Ok(Received { bytes, ending }),
    }
}

/// The bytes of one answer, whatever they are.
#[derive(Debug)]
pub struct Received {
    bytes: Vec<u8>,
    ending: EndOfRead,
}

impl Received {
    /// The raw bytes, head included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Why reading stopped.
    pub fn ending(&self) -> &EndOfRead {
        &self.ending
    }

    /// The answer, if a device would process it.
    pub fn response(&self) -> Result<Response, ResponseError> {
        Response::parse(&self.bytes)
    }

    /// The answer as far as it makes sense, and its faults.
    pub fn lenient_response(&self) -> Result<LenientResponse, ResponseError> {
        Response::parse_lenient(&self.bytes)
    }
}

/// Why reading an answer stopped.
#[derive(Debug)]
pub enum EndOfRead {
    /// More was sent than this client reads.
    Bound,
    /// The connection broke.
    Broken(io::Error),
    /// The server closed the connection.
    Closed,
    /// As many bytes as announced are there.
    Complete,
    /// Nothing more came in time.
    Deadline,
}

/// Why there is no answer at all.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum ExchangeError {
    /// The connection broke.
    #[error("the connection broke before an answer")]
    #[diagnostic(code("no-answer"), help("{SERVER_LOG}"))]
    Broken {
        /// The operating system's or the TLS library's reason.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("no answer came in time")]
    #[diagnostic(code("answer-timeout"), help("{SERVER_LOG}"))]
    Deadline,
}

const SERVER_LOG: &str = "see the server's log for its side of the story";

/// Reads once; `Some` when there is nothing more to read.
async fn read_more<S>(stream: &mut S, bytes: &mut Vec<u8>, deadline: Instant) -> Option<EndOfRead>
where
    S: AsyncRead + Unpin,
{
    let room = MAX_RESPONSE_BYTES.saturating_sub(bytes.len());
    let mut stream = stream.take(room as u64);
    match timeout_at(deadline, stream.read_buf(bytes)).await {
        Err(_) => Some(EndOfRead::Deadline),
        Ok(Ok(0)) => Some(EndOfRead::Closed),
        Ok(Ok(_)) => None,
        // TLS servers that close without saying so (close_notify) are common and harmless here:
        // the length tells whether something is missing.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Some(EndOfRead::Closed),
        Ok(Err(error)) => Some(EndOfRead::Broken(error)),
    }
}

/// Whether nothing more is to be expected: all announced bytes, the last chunk, or no HTTP.
fn is_complete(bytes: &[u8]) -> bool {
    match Head::find(bytes) {
        Ok(None) => false,
        Err(_) => true,
        Ok(Some((head, head_bytes))) => match head.framing() {
            Ok(framing) => (bytes.len() - head_bytes) as u64 >= framing.length,
            Err(ResponseError::Chunked(_)) => bytes.ends_with(b"0\r\n\r\n"),
            Err(_) => false,
        },
    }
}

/// More than any answer that a device could process; one byte more shows that there is more.
const MAX_RESPONSE_BYTES: usize = MAX_HEAD_BYTES + MAX_BODY_BYTES + 1;

/// How long the end of a connection is waited for after a complete answer.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> HttpUrl {
        "http://10.44.68.128:8080/swordfish/lock/audit"
            .parse()
            .unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(200)
    }

    #[test]
    fn requests_are_these_bytes() {
        assert_eq!(
            Request::get(&url()).to_bytes(),
            b"GET /swordfish/lock/audit HTTP/1.1\r\nHost: 10.44.68.128:8080\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            Request::new("POST", &url())
                .with_json(b"{}".to_vec())
                .keep_alive()
                .to_bytes(),
            b"POST /swordfish/lock/audit HTTP/1.1\r\nHost: 10.44.68.128:8080\r\n\
              Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }

    async fn answered(answer: &[u8]) -> Result<Received, ExchangeError> {
        let (mut device, mut host) = tokio::io::duplex(256 * 1024);
        host.write_all(answer).await.unwrap();
        exchange(&mut device, &Request::get(&url()), soon()).await
    }

    #[tokio::test]
    async fn a_silent_host_costs_no_more_than_the_deadline() {
        assert!(matches!(answered(b"").await, Err(ExchangeError::Deadline)));
        let received = answered(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        assert!(matches!(received.ending(), EndOfRead::Deadline));
        assert_eq!(received.response(), Err(ResponseError::HeadUnfinished(17)));
    }

    #[tokio::test]
    async fn an_endless_answer_ends_at_the_bound() {
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 200 * 1024]].concat();
        let received = answered(&endless).await.unwrap();
        assert!(matches!(received.ending(), EndOfRead::Bound));
        assert!(received.bytes().len() == MAX_RESPONSE_BYTES);
    }

    #[tokio::test]
    async fn bytes_after_the_body_are_seen() {
        let received = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab")
            .await
            .unwrap();
        assert_eq!(received.response(), Err(ResponseError::TrailingBytes(1)));
    }
}
