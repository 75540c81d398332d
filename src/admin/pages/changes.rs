//! `/changes`: who changed what by these pages or the API.

use axum::extract::{Query, State};
use axum::response::Html;
use engage_store::{AdminEventId, AdminEventQuery, PageLimit, RecordedAdminEvent};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::devices::parsed;
use super::error::PageError;
use super::layout::Section;
use super::text::{dash, foreign, foreign_or_dash, moment};
use super::{MAX_ROWS, PageState, answer, store};
use crate::admin::access::Principal;

/// Older than which change.
#[derive(Debug, Deserialize)]
pub(super) struct ChangesQuery {
    #[serde(default)]
    before: String,
}

/// What the page shows.
struct ChangesView {
    now: Timestamp,
    changes: Vec<RecordedAdminEvent>,
    is_first: bool,
    /// Where the older ones are.
    next: Option<AdminEventId>,
}

pub(super) async fn show(
    State(admin): PageState,
    principal: Principal,
    Query(query): Query<ChangesQuery>,
) -> Result<Html<String>, PageError> {
    let before = parsed("Page", &query.before)?.map(AdminEventId);
    let query = AdminEventQuery {
        before,
        limit: PageLimit::clamped(MAX_ROWS),
    };
    let page = store(&admin.app)?.admin_events(query).await?;
    let content = changes(&ChangesView {
        now: Timestamp::now(),
        changes: page.events,
        is_first: before.is_none(),
        next: page.next,
    });
    Ok(answer(&principal, Section::Changes, "Changes", &content))
}

fn changes(view: &ChangesView) -> Markup {
    html! {
        div.heading {
            h1 { "Changes" }
            span.muted { "What people and programs changed by these pages or the API." }
        }
        section.card.flush {
            @if view.changes.is_empty() {
                p.empty { "Nobody has changed anything yet." }
            } @else {
                div.scroll { table.stack {
                    caption.unseen { "Changes, the newest first" }
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "From" }
                        th scope="col" { "What" } th scope="col" { "Of" } th scope="col" { "Details" }
                    } }
                    tbody { @for change in &view.changes { (row(change, view.now)) } }
                } }
            }
            @if !view.is_first || view.next.is_some() {
                nav.pager aria-label="Pages" {
                    @if !view.is_first { a.button.quiet href="/changes" { "Newest" } }
                    @if let Some(AdminEventId(id)) = view.next {
                        a.button href={ "/changes?before=" (id) } rel="next" { "Older" }
                    }
                }
            }
        }
    }
}

fn row(RecordedAdminEvent { event, .. }: &RecordedAdminEvent, now: Timestamp) -> Markup {
    html! {
        tr {
            td { (moment(event.at, now)) }
            td data-label="Who" { (foreign(&event.actor)) }
            td.code data-label="From" {
                @match event.source { None => (dash()), Some(source) => (source) }
            }
            td data-label="What" { (foreign(&event.action)) }
            td data-label="Of" { (foreign_or_dash(Some(&event.target))) }
            td data-label="Details" { (foreign_or_dash(event.detail.as_deref())) }
        }
    }
}
