//! The management API, below `/api`: operations, and the document that describes them.
//!
//! Each operation is registered together with its description, so that the document names what answers
//! and nothing else. Reading takes a token of role `read`, everything else `write`
//! ([`super::access::require_api`]).

mod check;
mod conditional;
mod credentials;
mod cursor;
mod databases;
mod device;
mod devices;
mod document;
mod events;
mod extract;
mod idempotency;
mod problem;
mod reload;
mod rotation;
mod secret_text;
mod set_aside;
mod sites;
mod viewer;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;

use super::Admin;
use document::Document;

pub(super) use problem::problem;

/// What lies below `/api`, for whoever [`super::access::require_api`] lets in.
pub(super) fn routes(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    let (router, described) = operations().split_for_parts();
    let document = Document::new(described);
    router
        .merge(document.routes())
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(problem::not_found)
        .layer(from_fn_with_state(
            Arc::clone(admin),
            idempotency::once_for_each_key,
        ))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

fn operations() -> OpenApiRouter<Arc<Admin>> {
    let operations = OpenApiRouter::new()
        .merge(check::routes())
        .merge(credentials::routes())
        .merge(databases::routes())
        .merge(devices::routes())
        .merge(events::routes())
        .merge(reload::routes())
        .merge(rotation::routes())
        .merge(set_aside::routes())
        .merge(sites::routes());
    OpenApiRouter::new().nest("/v1", operations)
}

/// But for databases: a site has at most some thousand serial numbers.
const MAX_BODY_BYTES: usize = 256 * 1024;
