//! The admin listener: health and metrics, the pages and the API; never on the devices' ports.

mod access;
#[expect(unused_qualifications, reason = "what utoipa writes for parameters")]
mod api;
mod changes;
mod control;
mod files;
mod health;
mod host;
mod metrics;
mod pages;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::get;

use crate::routes::App;
use engage_wire::HostName;
use host::AllowedHosts;

pub(crate) use access::{AdminAccess, Role, TOKEN_FILE_HEADING, Token, TokenName, add_token};
pub(crate) use control::{Control, ReloadRequest};
pub(crate) use files::AdminFiles;

/// What the admin listener answers from.
pub(crate) struct Admin {
    app: Arc<App>,
    hosts: AllowedHosts,
    /// Who may use the pages and the API; `None`: there are none.
    access: Option<Arc<AdminAccess>>,
    control: Arc<Control>,
    /// All devices in a few numbers.
    fleet: pages::FleetCache,
    downloads: pages::Downloads,
}

impl Admin {
    /// For whoever asks for one of `hosts`, for `localhost` or for an address.
    pub(crate) fn new(
        app: &Arc<App>,
        hosts: Vec<HostName>,
        access: Option<&Arc<AdminAccess>>,
        control: &Arc<Control>,
    ) -> Arc<Self> {
        Arc::new(Self {
            app: Arc::clone(app),
            hosts: AllowedHosts::new(hosts),
            access: access.cloned(),
            control: Arc::clone(control),
            fleet: pages::FleetCache::default(),
            downloads: pages::Downloads::default(),
        })
    }
}

impl Admin {
    /// Whether somebody would be let in now as they were.
    fn lets_in_still(&self, principal: &access::Principal) -> bool {
        let access = self.access.as_ref();
        access.is_some_and(|access| access.lets_in_still(principal))
    }
}

/// What the admin listener serves.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .merge(behind_tokens(&admin))
        .layer(from_fn_with_state(
            Arc::clone(&admin),
            host::require_allowed_host,
        ))
        .with_state(admin)
}

/// Nothing, unless there is a file of tokens.
fn behind_tokens(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    let Some(access) = &admin.access else {
        return Router::new();
    };
    let require_api = from_fn_with_state(Arc::clone(access), access::require_api);
    let require_page = from_fn_with_state(Arc::clone(access), access::require_page);
    Router::new()
        .nest("/api", api::routes(admin).layer(require_api))
        .merge(pages::routes().layer(require_page))
        .merge(pages::public_routes())
        .merge(access::sign_in_routes(access))
        .layer(map_response(access::with_headers))
}
