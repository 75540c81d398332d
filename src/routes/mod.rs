//! What is answered, the same on both listeners.

mod access;
mod answer;
mod certificates;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::publication::Published;
use crate::telemetry::{Metrics, MismatchWatch, observe};

/// What the routes answer from, and where they leave their traces.
#[derive(Clone, Debug)]
pub struct App {
    /// The publication in force.
    pub published: Published,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who fetches announcements without ever completing a handshake.
    pub mismatches: Arc<MismatchWatch>,
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
    Router::new()
        .route(ANNOUNCEMENT, get(certificates::announcement))
        .route(CERTIFICATE, get(certificates::certificate))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(app)
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
