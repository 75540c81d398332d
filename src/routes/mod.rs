//! What is answered, the same on both listeners.

mod access;
mod answer;
mod call_in;
mod certificates;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::publication::Published;
use crate::telemetry::{Metrics, MismatchWatch, Route, observe};

pub use call_in::{Admittance, CallIn, Sightings};

/// What the routes answer from, and where they leave their traces.
#[derive(Clone)]
pub struct App {
    /// The publication in force.
    pub published: Published,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who fetches announcements without ever completing a handshake.
    pub mismatches: Arc<MismatchWatch>,
    /// The nightly call-in, if it is answered.
    pub call_in: Option<Arc<CallIn>>,
}

impl FromRef<App> for Published {
    fn from_ref(app: &App) -> Self {
        app.published.clone()
    }
}

/// The router and its whole middleware stack.
///
/// One layer and not one for each concern: a layer costs several allocations at each request
/// (docs/PERFORMANCE.md).
pub fn router(app: App) -> Router {
    let metrics = Arc::clone(&app.metrics);
    let call_in = app
        .call_in
        .clone()
        .map_or_else(Router::new, call_in::router);
    Router::new()
        .route(ANNOUNCEMENT, get(certificates::announcement))
        .route(CERTIFICATE, get(certificates::certificate))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(app)
        .merge(call_in)
        .layer(from_fn_with_state(
            metrics,
            |metrics, route, request, next| {
                observe(metrics, route, request, |request| {
                    access::only_allowed(request, next)
                })
            },
        ))
}

/// Where devices ask which certificate to install (PROTOCOL.md section 1).
pub const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// Where they fetch it.
pub const CERTIFICATE: &str = "/static/Device_Certificates/{name}";

/// What a route is counted as, by its template.
#[must_use]
pub fn counted_as(template: Option<&str>) -> Route {
    match template {
        Some(ANNOUNCEMENT) => Route::Announcement,
        Some(CERTIFICATE) => Route::Certificate,
        Some(call_in::CONFIG | call_in::CONFIG_LOWER_CASE) => Route::Config,
        Some(call_in::DATABASE) => Route::Database,
        Some(call_in::AUDIT) => Route::Audit,
        Some(call_in::ALERT) => Route::Alert,
        _ => Route::Unknown,
    }
}
