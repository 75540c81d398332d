//! What is answered, the same on both listeners.

mod answer;
mod asked;
mod call_in;
mod certificates;
mod route;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Body;

use crate::adoption::AnnouncementFetches;
use crate::connection::Connection;
use crate::publication::{CERTIFICATE_ROUTE, Published};
use crate::telemetry::Metrics;
use asked::Asked;
use route::Route;

pub use call_in::{Admittance, CallIn};

/// An answer. Its length is known, so that it goes out with `Content-Length`.
pub type Response = http::Response<Full<Bytes>>;

/// What the routes answer from, and where they leave their traces.
pub struct App {
    /// The publication in force.
    pub published: Published,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who fetched which announcement.
    pub announcement_fetches: Arc<AnnouncementFetches>,
    /// The nightly call-in, if it is answered.
    pub call_in: Option<Arc<CallIn>>,
}

impl App {
    /// Answers a request, and counts and logs it.
    ///
    /// The paths are matched here and not by a router library: there are seven, and its layers
    /// took more time than all that is answered (docs/PERFORMANCE.md).
    pub fn answer<B>(self: &Arc<Self>, connection: &Connection, request: Request<B>) -> Answering
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (parts, body) = request.into_parts();
        let route = self.route(parts.uri.path());
        let asked = Asked::now(route, connection.clone(), parts);
        let response = match (route, &self.call_in) {
            _ if !connection.allowed => answer::unauthorized(),
            (Route::Unknown, _) => answer::not_found(),
            _ if !asked.is_allowed_method() => answer::method_not_allowed(route),
            (Route::Announcement, _) => certificates::announcement(self, &asked),
            (Route::Certificate, _) => certificates::certificate(self, &asked),
            // Not without a call-in, as `route` has it.
            (_, None) => answer::not_found(),
            (_, Some(call_in)) => {
                let (app, call_in) = (Arc::clone(self), Arc::clone(call_in));
                return Answering::Later(Box::pin(async move {
                    let (device, response) = call_in.answer(&asked, body).await;
                    asked.answered(&app.metrics, device, response)
                }));
            }
        };
        Answering::Now(ready(asked.answered(&self.metrics, None, response)))
    }

    /// What a path asks for, byte for byte: devices ask for no other spelling.
    fn route(&self, path: &str) -> Route {
        let route = match path {
            ANNOUNCEMENT => Route::Announcement,
            _ if is_directly_below(CERTIFICATE_ROUTE, path) => Route::Certificate,
            // The specification prints `Config`; its siblings are lower case.
            "/swordfish/lock/Config" | "/swordfish/lock/config" => Route::Config,
            "/swordfish/lock/audit" => Route::Audit,
            "/swordfish/lock/alert" => Route::Alert,
            _ if is_directly_below(call_in::DATABASES, path) => Route::Database,
            _ => Route::Unknown,
        };
        match route {
            Route::Announcement | Route::Certificate => route,
            _ if self.call_in.is_some() => route,
            _ => Route::Unknown,
        }
    }
}

/// An answer that is there, or one that waits until something is stored.
pub enum Answering {
    /// Is there already.
    Now(Ready<Response>),
    /// Waits for the store.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(answer) => Pin::new(answer).poll(context).map(Ok),
            Self::Later(answer) => answer.as_mut().poll(context).map(Ok),
        }
    }
}

/// Whether `path` is `folder` and one more segment.
fn is_directly_below(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// Where devices ask which certificate to install (PROTOCOL.md section 1).
pub const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_below_a_folder_is_neither_none_nor_two() {
        assert!(is_directly_below("/a/", "/a/b"));
        for path in ["/a/", "/a", "/a/b/", "/a/b/c", "/b/a/b"] {
            assert!(!is_directly_below("/a/", path), "{path}");
        }
    }
}
