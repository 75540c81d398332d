//! The management API, below `/api`.

mod problem;

use std::sync::Arc;

use axum::Router;

use super::Admin;

pub(super) use problem::problem;

/// What lies below `/api`, for whoever [`super::access::require_api`] lets in.
pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new().fallback(problem::not_found)
}
