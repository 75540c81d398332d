//! The certificate routes: one look-up and one write each.

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::App;
use super::answer::not_found;
use crate::connection::{Connection, ListenerKind};
use crate::publication::Published;

/// `GET /swordfish/lock/certificates/current`: what the devices of a site are to install.
pub(super) async fn announcement(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // A request for an absolute URI names its host there (RFC 9112 section 3.2.2).
    let host = uri
        .authority()
        .map(Authority::as_str)
        .or_else(|| headers.get(HOST)?.to_str().ok());
    let publication = app.published.current();
    let Some(site) = publication.site(host) else {
        return not_found().await;
    };
    if connection.listener == ListenerKind::Http {
        app.mismatches.fetched(connection.peer.ip());
    }
    if let Some(call_in) = &app.call_in {
        let fingerprint = site.fingerprint;
        call_in
            .sightings
            .remember(connection.peer.ip(), fingerprint, Timestamp::now());
    }
    (
        [(CONTENT_TYPE, "application/json")],
        site.announcement.body(),
    )
        .into_response()
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
