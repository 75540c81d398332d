//! The pages, for people.

use std::sync::Arc;

use axum::Router;

use super::Admin;

/// The pages, for whoever [`super::access::require_page`] lets in.
pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new()
}
