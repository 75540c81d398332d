//! The certificate routes: one look-up and one write each.

use jiff::Timestamp;

use super::answer::{JSON, found, not_found};
use super::asked::Asked;
use super::{App, Response};
use crate::connection::ListenerKind;

/// `GET /swordfish/lock/certificates/current`: what the devices of a site are to install.
pub(super) fn announcement(app: &App, asked: &Asked) -> Response {
    let connection = &asked.connection;
    let publication = app.published.current();
    let Some(site) = publication.site(asked.host()) else {
        return not_found();
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
    app.metrics.announced(connection.listener);
    found(JSON, site.announcement.body())
}

/// `GET /static/Device_Certificates/<name>.der`: the bytes that were hashed.
///
/// The path is looked up as it arrived, undecoded: whatever is not the exact spelling of a
/// published URL does not exist.
pub(super) fn certificate(app: &App, asked: &Asked) -> Response {
    match app.published.current().certificate(asked.parts.uri.path()) {
        Some(der) => found("application/octet-stream", der),
        None => not_found(),
    }
}
