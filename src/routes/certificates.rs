//! The certificate routes: one look-up and one write each.

use jiff::Timestamp;

use super::answer::{JSON, found, not_found};
use super::asked::Asked;
use super::{App, Response};
use crate::adoption::Fetch;
use crate::connection::ListenerKind;

/// `GET /swordfish/lock/certificates/current`: what the devices of a site are to install.
pub(super) fn announcement(app: &App, asked: &Asked) -> Response {
    let connection = &asked.connection;
    let publication = app.published.current();
    let Some(site) = publication.site(asked.host()) else {
        return not_found();
    };
    let fetch = Fetch {
        fingerprint: site.fingerprint,
        at: Timestamp::now(),
    };
    let device = connection.peer.ip();
    match connection.listener {
        ListenerKind::Http => app.announcement_fetches.fetched_in_clear(device, fetch),
        ListenerKind::Https => app.announcement_fetches.fetched_in_tls(device, fetch),
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
