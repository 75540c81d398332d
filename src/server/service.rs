//! The routes, as one connection sees them.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;

use crate::connection::Connection;
use crate::routes::{self, Answering, App};

/// Answers the requests of one connection.
pub(super) struct Answers {
    app: Arc<App>,
    connection: Connection,
}

impl Answers {
    pub(super) fn new(app: Arc<App>, connection: Connection) -> Self {
        Self { app, connection }
    }
}

impl Service<Request<Incoming>> for Answers {
    type Response = routes::Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.app.answer(&self.connection, request)
    }
}
