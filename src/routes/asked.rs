//! A request, from the end of its head to its answer.

use std::time::Instant;

use http::header::{CONNECTION, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Version};
use hyper::body::Body;

use super::{Response, Route};
use crate::connection::{Connection, Phase};
use crate::telemetry::{Access, Metrics};
use engage_store::DeviceId;

/// A request that is being answered.
pub(super) struct Asked {
    pub(super) route: Route,
    pub(super) connection: Connection,
    pub(super) parts: Parts,
    started: Instant,
}

impl Asked {
    /// Begins to answer: tells the socket, whose deadlines depend on it.
    pub(super) fn now(route: Route, connection: Connection, parts: Parts) -> Self {
        connection.pacing.enter(Phase::Request);
        Self {
            route,
            connection,
            parts,
            started: Instant::now(),
        }
    }

    /// The host that is asked, which selects a site.
    pub(super) fn host(&self) -> Option<&str> {
        let Parts { uri, headers, .. } = &self.parts;
        // A request for an absolute URI names its host there (RFC 9112 section 3.2.2).
        uri.authority()
            .map(Authority::as_str)
            .or_else(|| headers.get(HOST)?.to_str().ok())
    }

    pub(super) fn is_allowed_method(&self) -> bool {
        methods(self.route).contains(&self.parts.method)
    }

    /// Tells the socket that the answer is there, counts it and logs it.
    pub(super) fn answered(
        self,
        metrics: &Metrics,
        device: Option<DeviceId>,
        response: Response,
    ) -> Response {
        let Self {
            route,
            connection,
            parts,
            started,
        } = self;
        connection.pacing.enter(if ends_connection(&parts) {
            Phase::Farewell
        } else {
            Phase::Idle
        });
        let access = Access {
            route: route.name(),
            connection: &connection,
            method: &parts.method,
            uri: &parts.uri,
            device,
            status: response.status(),
            size_bytes: response.body().size_hint().exact(),
            duration: started.elapsed(),
        };
        metrics.answered(&access);
        access.log();
        response
    }
}

/// What a route is asked with.
pub(super) fn methods(route: Route) -> &'static [Method] {
    match route {
        Route::Announcement | Route::Certificate | Route::Database => &[Method::GET, Method::HEAD],
        Route::Config => &[Method::PUT],
        Route::Audit | Route::Alert => &[Method::POST],
        Route::Unknown => &[],
    }
}

/// Whether the client wants no further answer on this connection (RFC 9112 section 9.3).
fn ends_connection(parts: &Parts) -> bool {
    if parts.version == Version::HTTP_10 {
        !has_option(&parts.headers, "keep-alive")
    } else {
        has_option(&parts.headers, "close")
    }
}

fn has_option(headers: &HeaderMap, option: &str) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|found| found.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(version: Version, connection: &str) -> Parts {
        let request = Request::builder().version(version);
        let request = request.header("Connection", connection).body(());
        request.unwrap().into_parts().0
    }

    #[test]
    fn a_connection_ends_as_its_version_and_options_say() {
        for (version, connection, ends) in [
            (Version::HTTP_11, "", false),
            (Version::HTTP_11, "keep-alive", false),
            (Version::HTTP_11, "Close", true),
            (Version::HTTP_11, "te , close", true),
            (Version::HTTP_11, "closed", false),
            (Version::HTTP_10, "", true),
            (Version::HTTP_10, "Keep-Alive", false),
        ] {
            assert_eq!(
                ends_connection(&parts(version, connection)),
                ends,
                "{version:?} {connection}"
            );
        }
    }
}
