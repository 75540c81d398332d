//! One POST over a pool of kept connections.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::AGENT;
use super::connect::Connector;
use engage_wire::HttpUrl;
use engage_wire::diagnostic::causes;

/// Posts JSON to one URL.
#[derive(Clone, Debug)]
pub(crate) struct PostClient {
    http: Client<Connector, Full<Bytes>>,
    url: HttpUrl,
    timeout: Duration,
}

/// Why a request is not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PostError {
    /// An answer other than 2xx.
    #[error("it answered {status}")]
    Answered {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// No answer. The reason names the address, once there is one.
    #[error("{0}")]
    Unanswered(String),
}

impl PostError {
    /// What the server asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            Self::Unanswered(_) => None,
        }
    }
}

impl PostClient {
    /// Connects only when something is posted. `timeout` is for a connection and the answer together; so many
    /// requests are posted `at_once`.
    pub(crate) fn new(
        url: HttpUrl,
        connector: Connector,
        timeout: Duration,
        at_once: usize,
    ) -> Self {
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(at_once)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .http1_max_headers(MAX_HEADERS)
            .build(connector);
        Self { http, url, timeout }
    }

    /// Completes with the status when the server has answered 2xx. `headers` are sent besides those
    /// that are the same for every server.
    pub(crate) async fn post(
        &self,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<StatusCode, PostError> {
        let mut request = self.request(headers, body)?;
        let connection = capture_connection(&mut request);
        let answer = timeout(self.timeout, self.http.request(request))
            .await
            .map_err(|_| unanswered(&connection, format_args!("no answer in time")))?
            .map_err(|error| unanswered(&connection, reason(&error)))?;
        let outcome = outcome(&answer);
        drain(answer).await;
        outcome
    }

    fn request(&self, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, PostError> {
        // `Display` leaves the query out.
        let mut request = Request::post(format!("{}{}", self.url.origin(), self.url.target()))
            .header(HOST, self.url.host_header())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|error| PostError::Unanswered(error.to_string()))?;
        request.headers_mut().extend(headers);
        Ok(request)
    }
}

fn outcome(answer: &Response<Incoming>) -> Result<StatusCode, PostError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(status);
    }
    Err(PostError::Answered {
        status,
        retry_after: retry_after(answer.headers()),
    })
}

/// Reads the answer's body away, so that the connection can be used again. The status has been
/// said: a body that is too long or does not end undoes nothing.
async fn drain(answer: Response<Incoming>) {
    let body = Limited::new(answer.into_body(), MAX_BODY_BYTES);
    let _ = timeout(DRAIN_TIMEOUT, body.collect()).await;
}

/// Seconds; the other form, a date, is left to our own backoff (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

/// Without the client's own frame: "client error (Connect)".
fn reason(error: &legacy::Error) -> String {
    error.source().map_or_else(|| error.to_string(), causes)
}

/// With the address, where one was connected.
fn unanswered(connection: &CaptureConnection, reason: impl Display) -> PostError {
    let mut extras = Extensions::new();
    if let Some(connected) = connection.connection_metadata().as_ref() {
        connected.get_extras(&mut extras);
    }
    PostError::Unanswered(match extras.get::<HttpInfo>() {
        Some(info) => format!("{}: {reason}", info.remote_addr()),
        None => reason.to_string(),
    })
}

/// Shorter than that of usual receivers: who closes first meets no request on the way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// For a body that nobody reads.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

const MAX_HEAD_BYTES: usize = 64 * 1024;

const MAX_HEADERS: usize = 100;

const MAX_BODY_BYTES: usize = 64 * 1024;
