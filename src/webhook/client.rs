//! One POST, over one HTTP/1.1 connection that is kept for the next.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Receiver;
use engage_wire::diagnostic::causes;
use engage_wire::{HostName, HttpUrl};

/// Why a delivery is not done. It is tried again in any case.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Failure {
    /// An answer other than 2xx.
    #[error("it answered {status}")]
    Answered {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// No answer.
    #[error("{0}")]
    Unanswered(String),
}

impl Failure {
    /// Whether it says nothing about the events that were sent.
    pub(super) fn is_of_receiver(&self) -> bool {
        match self {
            Self::Answered { status, .. } => matches!(status.as_u16(), 408 | 429 | 502..=504),
            Self::Unanswered(_) => true,
        }
    }
}

/// A connection to the receiver, made when it is first needed.
#[derive(Default)]
pub(super) struct Connection(Option<Open>);

struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What is sent besides the body.
pub(super) struct Head {
    pub(super) signature: String,
    pub(super) delivery: String,
}

impl Connection {
    /// Completes when the receiver has answered 2xx.
    pub(super) async fn post(
        &mut self,
        receiver: &Receiver,
        head: &Head,
        body: &Bytes,
    ) -> Result<(), Failure> {
        if let Some(open) = self.0.take() {
            // The receiver may have closed it in the meantime, which is no failure.
            let again = self.post_on(open, receiver, head, body).await;
            if !matches!(again, Err(Failure::Unanswered(_))) {
                return again;
            }
        }
        let open = timeout(receiver.pace.connect, connect(receiver))
            .await
            .map_err(|_| unanswered("no connection in time"))??;
        self.post_on(open, receiver, head, body).await
    }

    async fn post_on(
        &mut self,
        mut open: Open,
        receiver: &Receiver,
        head: &Head,
        body: &Bytes,
    ) -> Result<(), Failure> {
        let exchange = async {
            let request = request(&receiver.url, head, body)?;
            open.sender.ready().await.map_err(|error| failed(&error))?;
            let answer = open.sender.send_request(request).await;
            let mut answer = answer.map_err(|error| failed(&error))?;
            // The status has been said: a body that does not end must not undo it.
            let drained = timeout(DRAIN, drain(&mut answer)).await;
            let is_short = drained.unwrap_or(false);
            Ok::<_, Failure>((judged(&answer), is_short))
        };
        let (verdict, is_short) = timeout(receiver.pace.exchange, exchange)
            .await
            .map_err(|_| unanswered("no answer in time"))??;
        if is_short && !open.sender.is_closed() {
            self.0 = Some(open);
        }
        verdict
    }
}

async fn connect(receiver: &Receiver) -> Result<Open, Failure> {
    let url = &receiver.url;
    let tcp = match url.host() {
        HostName::Ip(address) => TcpStream::connect((*address, url.port())).await,
        HostName::Dns(name) => TcpStream::connect((name.as_str(), url.port())).await,
    };
    let tcp = tcp.map_err(|error| failed(&error))?;
    // A delivery is one or two writes, and somebody waits for its answer.
    tcp.set_nodelay(true).map_err(|error| failed(&error))?;
    let Some(config) = &receiver.tls else {
        return open(tcp).await;
    };
    let name = match url.host() {
        HostName::Ip(address) => ServerName::IpAddress((*address).into()),
        HostName::Dns(name) => {
            ServerName::try_from(name.clone()).map_err(|error| failed(&error))?
        }
    };
    let tls = TlsConnector::from(config.clone()).connect(name, tcp).await;
    open(tls.map_err(|error| failed(&error))?).await
}

async fn open<S>(stream: S) -> Result<Open, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    // Its failures reach us through the sender.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Open { sender, driver })
}

fn request(url: &HttpUrl, head: &Head, body: &Bytes) -> Result<Request<Full<Bytes>>, Failure> {
    Request::post(url.target())
        .header(HOST, url.host_header())
        .header(
            USER_AGENT,
            concat!("engage-host/", env!("CARGO_PKG_VERSION")),
        )
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len())
        .header("X-Engage-Delivery", &head.delivery)
        .header("X-Engage-Signature", &head.signature)
        .body(Full::new(body.clone()))
        .map_err(|error| failed(&error))
}

/// Reads the answer's body away; false if it is longer than anybody should send here, or breaks
/// off: the connection cannot be used again, but the status has been said.
async fn drain(answer: &mut Response<Incoming>) -> bool {
    let mut room = MAX_BODY_BYTES;
    while let Some(frame) = answer.body_mut().frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, Bytes::len);
        match room.checked_sub(length) {
            Some(left) => room = left,
            None => return false,
        }
    }
    true
}

fn judged(answer: &Response<Incoming>) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Failure::Answered {
        status,
        retry_after: retry_after(answer.headers()),
    })
}

/// Seconds; the other form, a date, is left to our own back-off (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn failed<E: Error + 'static>(error: &E) -> Failure {
    Failure::Unanswered(causes(error))
}

fn unanswered(reason: &'static str) -> Failure {
    Failure::Unanswered(reason.to_owned())
}

/// How long a body that nobody reads may take.
const DRAIN: Duration = Duration::from_secs(1);

const MAX_HEAD_BYTES: usize = 64 * 1024;

const MAX_HEADERS: usize = 100;

const MAX_BODY_BYTES: usize = 64 * 1024;
