//! The admin listener: health and metrics, never on the devices' ports.

mod health;
mod host;
mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::routes::App;
use engage_wire::HostName;
use host::AllowedHosts;

/// What the admin listener answers from.
struct Admin {
    app: Arc<App>,
    hosts: AllowedHosts,
}

/// What the admin listener serves, to whoever asks for one of `hosts`, for `localhost` or for an
/// address.
pub(crate) fn router(app: &Arc<App>, hosts: Vec<HostName>) -> Router {
    let admin = Arc::new(Admin {
        app: Arc::clone(app),
        hosts: AllowedHosts::new(hosts),
    });
    Router::new()
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .layer(from_fn_with_state(
            Arc::clone(&admin),
            host::require_allowed_host,
        ))
        .with_state(admin)
}
