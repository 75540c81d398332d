//! The pages, for people: HTML that the server renders, which needs no script.
//!
//! A page asks the store for what it shows, never for all that there is, and shows at most
//! [`MAX_ROWS`]. What a device or a stranger chose goes through [`text::foreign`] and maud's escaping.

mod assets;
mod changes;
mod chart;
mod device;
mod devices;
mod error;
mod events;
mod fleet;
mod home;
mod layout;
mod reasons;
mod reload;
mod rotation;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use http::Uri;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::Admin;
use super::access::Principal;
use crate::routes::App;
use assets::Asset;
use engage_store::Store;
use error::PageError;
use layout::{Section, Viewer};
use maud::Markup;

pub(super) use events::Downloads;
pub(super) use fleet::FleetCache;
pub(in crate::admin) use layout::{bare_page, error_page, icon_and_style};
pub(in crate::admin) use text::message;

/// The pages, for whoever [`super::access::require_page`] lets in.
pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/", get(home::show))
        .route("/devices", get(devices::show))
        .route("/devices/{device}", get(device::show))
        .route("/events", get(events::show))
        .route("/events.csv", get(events::csv))
        .route("/events.jsonl", get(events::json_lines))
        .route("/rotation", get(rotation::show))
        .route("/changes", get(changes::show))
        .route("/reload", post(reload::reload))
}

/// What pages are drawn with, for everybody: the page to sign in needs it.
pub(super) fn public_routes() -> Router<Arc<Admin>> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(
    uri: Uri,
) -> Result<([(http::HeaderName, &'static str); 2], &'static str), PageError> {
    let asset = Asset::at(uri.path()).ok_or(PageError::NotFound)?;
    let headers = [
        (CONTENT_TYPE, asset.media_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.contents))
}

/// A page of somebody who has signed in, as an answer.
fn answer(principal: &Principal, section: Section, title: &str, content: &Markup) -> Html<String> {
    let viewer = Viewer::from(principal);
    Html(layout::page(&viewer, section, title, content).into_string())
}

/// Where call-ins are recorded; fails where they are not.
fn store(app: &App) -> Result<&Arc<dyn Store>, PageError> {
    let call_in = app.call_in.as_ref().ok_or(PageError::CallInsOff)?;
    Ok(&call_in.store)
}

/// Rows of one page.
const MAX_ROWS: u64 = 50;

type PageState = State<Arc<Admin>>;
