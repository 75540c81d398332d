//! The certificate routes: one look-up and one write each.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use jiff::Timestamp;

use super::error::{ApiError, with_type};
use super::{App, JSON, requested_host};
use crate::adoption::Fetch;
use crate::connection::{Connection, ListenerKind};
use crate::publication::NoAnnouncement;
use engage_store::DeviceId;

/// `GET /swordfish/lock/certificates/current`: what the devices of a site are to install.
pub(super) async fn announcement(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Result<Response, ApiError> {
    let publication = app.published.current();
    let host = requested_host(request.uri(), request.headers());
    let site = publication.site(host).map_err(|why| match why {
        NoAnnouncement::NoSite => ApiError::NotFound,
        NoAnnouncement::Withheld => ApiError::SiteWithheld,
    })?;
    let fetch = Fetch {
        fingerprint: site.fingerprint,
        at: Timestamp::now(),
    };
    let peer = connection.peer.ip();
    let fetcher = DeviceId::from_caller(None, request.uri().query(), peer);
    let fetches = &app.announcement_fetches;
    match connection.listener {
        ListenerKind::Http => fetches.fetched_in_clear(fetcher, peer, fetch),
        ListenerKind::Https => fetches.fetched_in_tls(fetcher, peer, fetch),
    }
    app.metrics.announced(connection.listener);
    Ok(with_type(JSON, site.announcement.body().into()))
}

/// `GET /static/Device_Certificates/<name>.der`: the bytes that were hashed.
///
/// The path is looked up as it arrived, undecoded: whatever is not the exact spelling of a
/// published URL does not exist.
pub(super) async fn certificate(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let der = app.published.current().certificate(request.uri().path());
    let der = der.ok_or(ApiError::NotFound)?;
    Ok(with_type("application/octet-stream", der.into()))
}
