//! Events as HTML.

use engage_store::{DeviceEvent, DeviceId, EventKind, StoredEvent};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::devices::options;
use super::super::text::{dash, foreign, foreign_or_dash, moment};
use super::query::EventsQuery;
use crate::event_text::unquote;

/// What the page of events shows.
pub(super) struct EventsView {
    pub(super) now: Timestamp,
    pub(super) query: EventsQuery,
    pub(super) events: Vec<EventRow>,
    /// The next page, if there is one.
    pub(super) next: Option<EventsQuery>,
}

/// An event, and whose it is.
pub(super) struct EventRow {
    device: DeviceId,
    kind: Option<EventKind>,
    event: StoredEvent,
}

impl EventRow {
    /// `None` where somebody has changed it in the database.
    pub(super) fn read(event: &DeviceEvent) -> Option<Self> {
        Some(Self {
            device: event.device,
            kind: event.kind,
            event: event.parse().ok()?,
        })
    }
}

pub(super) fn events(view: &EventsView) -> Markup {
    let query = &view.query;
    let whole = query.behind(String::new());
    html! {
        div.heading {
            h1 { "Events" }
            div.row {
                span.muted { "Download all that meet the conditions:" }
                a href=(whole.href("/events.csv")) download { "CSV" }
                a href=(whole.href("/events.jsonl")) download { "JSON lines" }
            }
        }
        section.card { (form(query)) }
        section.card.flush {
            @if view.events.is_empty() {
                p.empty {
                    "No event meets these conditions. "
                    @if *query != EventsQuery::default() { a href="/events" { "Show all" } }
                }
            } @else {
                div.scroll { (table(view)) }
            }
            (pager(query, view.next.as_ref()))
        }
    }
}

fn form(query: &EventsQuery) -> Markup {
    html! {
        form.filter method="get" action="/events" role="search" {
            div.field {
                label for="device" { "Device" }
                input #device name="device" value=(query.device) maxlength="64" placeholder="Serial number or address";
            }
            div.field {
                label for="code" { "Code" }
                input #code name="code" value=(query.code) maxlength="8" placeholder="06010002";
            }
            div.field {
                label for="kind" { "Kind" }
                select #kind name="kind" { (options(&KINDS, &query.kind)) }
            }
            div.field {
                label for="since" { "From" }
                input #since type="date" name="since" value=(query.since);
            }
            div.field {
                label for="until" { "Until" }
                input #until type="date" name="until" value=(query.until);
            }
            button type="submit" { "Filter" }
        }
    }
}

fn table(view: &EventsView) -> Markup {
    html! {
        table.stack {
            caption.unseen { "Events, the newest first" }
            thead { tr {
                th scope="col" { "Received" } th scope="col" { "By the lock's clock" }
                th scope="col" { "Event" } th scope="col" { "Meaning" } th scope="col" { "Kind" } th scope="col" { "Device" }
            } }
            tbody {
                @for EventRow { device, kind, event } in &view.events {
                    tr {
                        (event_cells(event, view.now))
                        td data-label="Kind" { @match kind { None => (dash()), Some(kind) => (kind_name(*kind)) } }
                        td data-label="Device" { a.code href={ "/devices/" (device) } { (device) } }
                    }
                }
            }
        }
    }
}

/// When it was received, when it happened by the lock's clock, what it is, and what that means.
pub(in crate::admin::pages) fn event_cells(event: &StoredEvent, now: Timestamp) -> Markup {
    let [code, time] = [&event.event, &event.time].map(|raw| unquote(raw.as_deref()));
    let time = event.at.as_deref().unwrap_or(&time).replace('T', " ");
    html! {
        td { (moment(event.received_at, now)) }
        td.fixed data-label="By the lock's clock" { (foreign_or_dash(Some(&time))) }
        td.code data-label="Event" { (foreign(event.code.as_deref().unwrap_or(&code))) }
        td data-label="Meaning" {
            @match event.name.as_deref() { Some(name) => (foreign(name)), None => (dash()) }
        }
    }
}

fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Alerts => "alert",
        EventKind::Audits => "audit",
    }
}

fn pager(query: &EventsQuery, next: Option<&EventsQuery>) -> Markup {
    if query.after.is_empty() && next.is_none() {
        return html! {};
    }
    html! {
        nav.pager aria-label="Pages" {
            @if !query.after.is_empty() {
                a.button.quiet href=(query.behind(String::new()).href("/events")) { "Newest" }
            }
            @if let Some(next) = next {
                a.button href=(next.href("/events")) rel="next" { "Older" }
            }
        }
    }
}

const KINDS: [(&str, &str); 3] = [
    ("", "audits and alerts"),
    ("audits", "audits"),
    ("alerts", "alerts"),
];
