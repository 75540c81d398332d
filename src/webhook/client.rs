//! One delivery, and what its failure says.

use bytes::Bytes;
use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::DeliveryTiming;
use super::breaker::MAX_JOBS;
use crate::http_client::{Connector, PostClient, PostError};
use engage_wire::HttpUrl;

/// Posts to the receiver.
#[derive(Clone, Debug)]
pub(super) struct WebhookClient(PostClient);

/// What is sent besides the body.
pub(super) struct DeliveryHeaders {
    pub(super) signature: String,
    pub(super) delivery: String,
    pub(super) traceparent: String,
}

impl WebhookClient {
    /// Connects only when something is posted.
    pub(super) fn new(url: HttpUrl, connector: Connector, timing: DeliveryTiming) -> Self {
        let timeout = timing.connect_timeout + timing.answer_timeout;
        Self(PostClient::new(url, connector, timeout, MAX_JOBS))
    }

    /// Completes when the receiver has answered 2xx.
    pub(super) async fn post(
        &self,
        headers: &DeliveryHeaders,
        body: Bytes,
    ) -> Result<StatusCode, PostError> {
        let headers = header_map(headers);
        let headers = headers.map_err(|error| PostError::Unanswered(error.to_string()))?;
        self.0.post(headers, body).await
    }
}

fn header_map(headers: &DeliveryHeaders) -> Result<HeaderMap, InvalidHeaderValue> {
    let DeliveryHeaders {
        signature,
        delivery,
        traceparent,
    } = headers;
    let mut map = HeaderMap::new();
    map.insert(X_ENGAGE_DELIVERY, HeaderValue::from_str(delivery)?);
    map.insert(X_ENGAGE_SIGNATURE, HeaderValue::from_str(signature)?);
    map.insert(TRACEPARENT, HeaderValue::from_str(traceparent)?);
    Ok(map)
}

/// Whether the receiver is down or overloaded: it would do the same to any event.
pub(super) fn is_of_receiver(error: &PostError) -> bool {
    match error {
        PostError::Answered { status, .. } => {
            status.is_server_error()
                || matches!(
                    *status,
                    StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                )
        }
        PostError::Unanswered(_) => true,
    }
}

/// Whether it may be these events that the receiver does not take. A server error can be that,
/// where a program fails at one event; but not one that says that it could take none.
pub(super) fn may_be_of_events(error: &PostError) -> bool {
    matches!(error, PostError::Answered { status, .. }
        if !matches!(status.as_u16(), 408 | 429 | 502..=504))
}

/// Whether it can be nothing but these events: their form or their size.
pub(super) fn is_of_events(error: &PostError) -> bool {
    matches!(error, PostError::Answered { status, .. }
        if matches!(status.as_u16(), 400 | 409 | 413 | 415 | 422))
}

const X_ENGAGE_DELIVERY: HeaderName = HeaderName::from_static("x-engage-delivery");

const X_ENGAGE_SIGNATURE: HeaderName = HeaderName::from_static("x-engage-signature");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
