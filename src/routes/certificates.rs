//! The certificate routes: one look-up and one write each.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method};
use jiff::Timestamp;

use super::call_in::BasicCredentials;
use super::error::{ApiError, with_type};
use super::malformed::Malformed;
use super::{App, JSON};
use crate::adoption::{Download, Suspicion};
use crate::connection::{Connection, ListenerKind};
use crate::publication::{NoAnnouncement, Publication, ServedCertificate};
use crate::requested_host::requested_host;
use engage_store::{CertificateFetch, DeviceId};

/// `GET /swordfish/lock/certificates/current`: what the devices of a site are to install.
pub(super) async fn announcement(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Response {
    let publication = app.published.current();
    let device = fetcher(&request, connection.peer.ip());
    let announced = announced(&app, &publication, &connection, &request, device);
    let mut response = announced.into_response();
    // The access log names the serial number that decided.
    let is_selective = publication.selects_by_serial() && device.serial().is_some();
    let device = is_selective.then_some(device);
    device.map(|device| response.extensions_mut().insert(device));
    response
}

fn announced(
    app: &Arc<App>,
    publication: &Publication,
    connection: &Connection,
    request: &Request,
    device: DeviceId,
) -> Result<Response, ApiError> {
    let host = requested_host(request.uri(), request.headers());
    let peer = connection.peer.ip();
    let site = publication
        .site(device.serial(), host)
        .map_err(|why| match why {
            NoAnnouncement::NoHost => app.refuse(connection, &Malformed::NoHostAmongSites),
            NoAnnouncement::NoSite => ApiError::NotFound,
            NoAnnouncement::Withheld => ApiError::SiteWithheld,
        })?;
    if connection.listener == ListenerKind::Http
        && let Some(suspicion) = app.announcement_fetches.fetched_in_clear(peer)
    {
        tokio::spawn(report(Arc::clone(app), suspicion));
    }
    app.metrics.announced(connection.listener);
    if let Some(call_in) = &app.call_in
        && request.method() == Method::GET
    {
        let (name, anchor) = (&site.name, site.fingerprint);
        call_in.sightings.told(device, peer, name, anchor);
    }
    Ok(with_type(&JSON, site.announcement.body().into()))
}

/// Beside the answer, which does not wait for the store.
async fn report(app: Arc<App>, suspicion: Suspicion) {
    let store = app.call_in.as_ref().map(|call_in| &*call_in.store);
    app.announcement_fetches.report(suspicion, store).await;
}

/// `GET /static/Device_Certificates/<name>.der`: the bytes that were hashed.
///
/// The path is looked up as it arrived, undecoded: whatever is not the exact spelling of a
/// published URL does not exist.
pub(super) async fn certificate(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Result<Response, ApiError> {
    let served = app.published.current().certificate(request.uri().path());
    let ServedCertificate { der, fingerprint } = served.ok_or(ApiError::NotFound)?;
    if let Some(call_in) = &app.call_in
        && request.method() == Method::GET
    {
        let peer = connection.peer.ip();
        connection.download.begin(Download {
            sightings: Arc::clone(&call_in.sightings),
            fetch: CertificateFetch {
                fetcher: fetcher(&request, peer),
                peer,
                certificate: fingerprint,
                at: Timestamp::now(),
            },
        });
    }
    Ok(with_type(&OCTETS, der.into()))
}

/// Who it is as it says, which nobody has proven.
fn fetcher(request: &Request, peer: IpAddr) -> DeviceId {
    let login = BasicCredentials::from_headers(request.headers());
    let user_name = login.as_ref().map(|login| login.user_name.as_str());
    DeviceId::from_caller(user_name, request.uri().query(), peer)
}

static OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
