//! Requests that are refused whatever they ask for: they, or whom they ask, could be read in another
//! way too.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Request;
use thiserror::Error;
use tower_http::validate_request::ValidateRequest;
use tracing::warn;

use super::App;
use super::error::ApiError;
use crate::connection::Connection;
use crate::requested_host::{RequestedHostError, requested_hosts};
use engage_wire::FramingError;

/// Answers 400 to what is malformed, and ends the connection.
#[derive(Clone)]
pub struct WellFormed(pub(super) Arc<App>);

impl<B> ValidateRequest<B> for WellFormed {
    type ResponseBody = Body;

    fn validate(&mut self, request: &mut Request<B>) -> Result<(), Response> {
        // Without a connection, `AllowList` answers.
        let Some(connection) = request.extensions().get::<Arc<Connection>>() else {
            return Ok(());
        };
        let malformed = match connection.state.framing_error() {
            // `AccessLog` tells of it, as of those that show only in the body.
            Some(_) => return Err(ApiError::Malformed.into_response()),
            None => requested_hosts(request).err().map(Malformed::Host),
        };
        match malformed {
            None => Ok(()),
            Some(malformed) => Err(self.0.refuse(connection, &malformed).into_response()),
        }
    }
}

/// What is malformed about a request, with whose answer the connection ends.
#[derive(Debug, Error)]
pub(super) enum Malformed {
    #[error(transparent)]
    Framing(FramingError),
    #[error(transparent)]
    Host(RequestedHostError),
    #[error("it names no host, and there are several sites")]
    NoHostAmongSites,
}

impl App {
    /// Counts and logs it.
    pub(super) fn refuse(&self, connection: &Connection, malformed: &Malformed) -> ApiError {
        let Connection { listener, peer, .. } = connection;
        let label = match malformed {
            Malformed::Framing(_) => "message_framing",
            Malformed::Host(_) | Malformed::NoHostAmongSites => "host",
        };
        connection.state.refused();
        self.metrics.refused(*listener, label);
        if let Some(others) = self.malformed_throttle.check() {
            warn!(
                %listener, %peer, others = others.count(),
                "{listener} connection from {peer} ends with a malformed request: {malformed}{others}",
            );
        }
        ApiError::Malformed
    }
}
