//! `/events`: what happened at the doors, the newest first; the same as a file to download.

mod download;
mod query;
mod view;

use axum::extract::{Query, State};
use axum::response::Html;
use engage_store::{EventOrder, EventQuery, PageLimit};
use jiff::Timestamp;

use super::error::PageError;
use super::layout::Section;
use super::{MAX_ROWS, PageState, answer, store};
use crate::admin::access::Principal;
use query::EventsQuery;
use view::{EventRow, EventsView};

pub(in crate::admin) use download::Downloads;
pub(super) use download::{csv, json_lines};
pub(super) use view::event_cells;

pub(super) async fn show(
    State(admin): PageState,
    principal: Principal,
    Query(query): Query<EventsQuery>,
) -> Result<Html<String>, PageError> {
    let asked = EventQuery {
        filter: query.filter()?,
        order: EventOrder::NewestFirst,
        after: query.after()?,
        limit: PageLimit::clamped(MAX_ROWS),
    };
    let checked = asked.check_token();
    checked.map_err(|error| PageError::malformed("Page", &error))?;
    let page = store(&admin.app)?.events(&asked).await?;
    let content = view::events(&EventsView {
        now: Timestamp::now(),
        next: page.next.map(|token| query.behind(token.to_string())),
        query,
        events: page.events.iter().filter_map(EventRow::read).collect(),
    });
    Ok(answer(&principal, Section::Events, "Events", &content))
}
