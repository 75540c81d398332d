//! The certificate routes: one look-up and one write each.

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};

use super::App;
use super::answer::not_found;
use crate::connection::{Connection, ListenerKind};
use crate::publication::Published;
use crate::site::Announcement;

/// `GET /swordfish/lock/certificates/current`: what the devices of a site are to install.
pub(super) async fn announcement(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let App {
        published,
        mismatches,
        ..
    } = app;
    if connection.listener == ListenerKind::Http {
        mismatches.fetched(connection.peer.ip());
    }
    // A request for an absolute URI names its host there (RFC 9112 section 3.2.2).
    let host = uri
        .authority()
        .map(Authority::as_str)
        .or_else(|| headers.get(HOST)?.to_str().ok());
    let body = published
        .current()
        .announcement(host)
        .map(Announcement::body);
    match body {
        Some(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        None => not_found().await,
    }
}

/// `GET /static/Device_Certificates/<name>.der`: the bytes that were hashed.
///
/// The path is looked up as it arrived, undecoded: whatever is not the exact spelling of a
/// published URL does not exist.
pub(super) async fn certificate(State(published): State<Published>, uri: Uri) -> Response {
    let der = published.current().certificate(uri.path());
    match der {
        Some(der) => ([(CONTENT_TYPE, "application/octet-stream")], der).into_response(),
        None => not_found().await,
    }
}
