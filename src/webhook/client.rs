//! One POST over a pool of kept connections.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Extensions, HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::DeliveryTiming;
use super::breaker::MAX_JOBS;
use crate::http_client::Connector;
use engage_wire::HttpUrl;
use engage_wire::diagnostic::causes;

/// Posts to one URL.
#[derive(Clone, Debug)]
pub(super) struct WebhookClient {
    http: Client<Connector, Full<Bytes>>,
    url: HttpUrl,
    timing: DeliveryTiming,
}

/// What is sent besides the body.
pub(super) struct DeliveryHeaders {
    pub(super) signature: String,
    pub(super) delivery: String,
    pub(super) traceparent: String,
}

/// Why a delivery is not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum DeliveryError {
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

impl DeliveryError {
    /// Whether the receiver is down or overloaded: it would do the same to any event.
    pub(super) fn is_of_receiver(&self) -> bool {
        match self {
            Self::Answered { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            Self::Unanswered(_) => true,
        }
    }

    /// Whether it may be these events that the receiver does not take. A server error can be that,
    /// where a program fails at one event; but not one that says that it could take none.
    pub(super) fn may_be_of_events(&self) -> bool {
        matches!(self, Self::Answered { status, .. }
            if !matches!(status.as_u16(), 408 | 429 | 502..=504))
    }

    /// What the receiver asked for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            Self::Unanswered(_) => None,
        }
    }

    /// Whether it can be nothing but these events: their form or their size.
    pub(super) fn is_of_events(&self) -> bool {
        matches!(self, Self::Answered { status, .. }
            if matches!(status.as_u16(), 400 | 409 | 413 | 415 | 422))
    }
}

impl WebhookClient {
    /// Connects only when something is posted.
    pub(super) fn new(url: HttpUrl, connector: Connector, timing: DeliveryTiming) -> Self {
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_JOBS)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .http1_max_headers(MAX_HEADERS)
            .build(connector);
        Self { http, url, timing }
    }

    /// Completes when the receiver has answered 2xx.
    pub(super) async fn post(
        &self,
        headers: &DeliveryHeaders,
        body: Bytes,
    ) -> Result<(), DeliveryError> {
        let mut request = self.request(headers, body)?;
        let connection = capture_connection(&mut request);
        let time = self.timing.connect_timeout + self.timing.answer_timeout;
        let answer = timeout(time, self.http.request(request))
            .await
            .map_err(|_| unanswered(&connection, format_args!("no answer in time")))?
            .map_err(|error| unanswered(&connection, reason(&error)))?;
        let outcome = outcome(&answer);
        drain(answer).await;
        outcome
    }

    fn request(
        &self,
        headers: &DeliveryHeaders,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, DeliveryError> {
        // `Display` leaves the query out.
        Request::post(format!("{}{}", self.url.origin(), self.url.target()))
            .header(HOST, self.url.host_header())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .header(X_ENGAGE_DELIVERY, &headers.delivery)
            .header(X_ENGAGE_SIGNATURE, &headers.signature)
            .header(TRACEPARENT, &headers.traceparent)
            .body(Full::new(body))
            .map_err(|error| DeliveryError::Unanswered(error.to_string()))
    }
}

fn outcome(answer: &Response<Incoming>) -> Result<(), DeliveryError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(DeliveryError::Answered {
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
fn unanswered(connection: &CaptureConnection, reason: impl Display) -> DeliveryError {
    let mut extras = Extensions::new();
    if let Some(connected) = connection.connection_metadata().as_ref() {
        connected.get_extras(&mut extras);
    }
    DeliveryError::Unanswered(match extras.get::<HttpInfo>() {
        Some(info) => format!("{}: {reason}", info.remote_addr()),
        None => reason.to_string(),
    })
}

const AGENT: &str = concat!("engage-host/", env!("CARGO_PKG_VERSION"));

const X_ENGAGE_DELIVERY: HeaderName = HeaderName::from_static("x-engage-delivery");

const X_ENGAGE_SIGNATURE: HeaderName = HeaderName::from_static("x-engage-signature");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Shorter than that of usual receivers: who closes first meets no request on the way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// For a body that nobody reads.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

const MAX_HEAD_BYTES: usize = 64 * 1024;

const MAX_HEADERS: usize = 100;

const MAX_BODY_BYTES: usize = 64 * 1024;
