//! What is answered, the same on both listeners.

mod answer;
mod certificates;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;

use crate::publication::Published;
use crate::telemetry::log_access;

/// The router and its whole middleware stack.
pub fn router(published: Published) -> Router {
    Router::new()
        .route(ANNOUNCEMENT, get(certificates::announcement))
        .route(CERTIFICATE, get(certificates::certificate))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(published)
        .layer(from_fn(log_access))
}

/// Where devices ask which certificate to install (PROTOCOL.md section 1).
pub const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

const CERTIFICATE: &str = "/static/Device_Certificates/{name}";
