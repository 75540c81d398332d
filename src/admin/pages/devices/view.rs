//! The list of devices as HTML.

use engage_store::{DeviceOrder, DeviceRecord};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::text::{count, dash, foreign, foreign_or_dash, moment_or_dash, plural};
use super::query::DevicesQuery;

/// What the list shows.
pub(super) struct DevicesView {
    pub(super) now: Timestamp,
    pub(super) query: DevicesQuery,
    pub(super) devices: Vec<DeviceRecord>,
    /// How many there are without conditions.
    pub(super) all: u64,
    /// The names of the sites, for the form.
    pub(super) sites: Vec<String>,
    /// The next page, if there is one.
    pub(super) next: Option<DevicesQuery>,
}

pub(super) fn devices(view: &DevicesView) -> Markup {
    html! {
        div.heading {
            h1 { "Devices" }
            span.muted { (plural(view.all, "lock")) " known" }
        }
        section.card { (form(view)) }
        section.card.flush {
            @if view.devices.is_empty() {
                (nothing(view))
            } @else {
                div.scroll { (table(view)) }
            }
            (pager(&view.query, view.next.as_ref()))
        }
    }
}

fn form(view: &DevicesView) -> Markup {
    let query = &view.query;
    html! {
        form.filter method="get" action="/devices" role="search" {
            div.field {
                label for="search" { "Door name or serial number" }
                input #search type="search" name="search" value=(query.search) maxlength="100" placeholder="Lobby, 0123AB";
            }
            div.field {
                label for="site" { "Site" }
                (sites(view))
            }
            div.field {
                label for="missing" { "Not seen for" }
                select #missing name="missing" { (options(&MISSING, &query.missing)) }
            }
            div.field {
                label for="order" { "Order" }
                select #order name="order" { (options(&orders(), &query.order)) }
            }
            @if !query.certificate.is_empty() {
                input type="hidden" name="certificate" value=(query.certificate);
            }
            button type="submit" { "Search" }
        }
    }
}

/// A list to choose from, where there are not too many.
fn sites(view: &DevicesView) -> Markup {
    let chosen = &view.query.site;
    let is_listed = chosen.is_empty() || view.sites.contains(chosen);
    if view.sites.len() > MAX_OPTIONS || !is_listed {
        return html! { input #site name="site" value=(chosen); };
    }
    html! {
        select #site name="site" {
            option value="" { "All sites" }
            @for site in &view.sites {
                option value=(site) selected[site == chosen] { (foreign(site)) }
            }
        }
    }
}

/// The options of a list, of which one is chosen; one that is not in the list stays chosen.
pub(in crate::admin::pages) fn options(known: &[(&str, &str)], chosen: &str) -> Markup {
    let is_known = known.iter().any(|(value, _)| *value == chosen);
    html! {
        @for (value, name) in known {
            option value=(value) selected[*value == chosen] { (name) }
        }
        @if !is_known { option value=(chosen) selected { (foreign(chosen)) } }
    }
}

fn table(view: &DevicesView) -> Markup {
    html! {
        table.stack {
            caption.unseen { "Devices" }
            thead { tr {
                th scope="col" { "Device" } th scope="col" { "Door" } th scope="col" { "Site" }
                th scope="col" { "Model" } th scope="col" { "Firmware" } th.number scope="col" { "Battery" }
                th scope="col" { "Last call-in" } th scope="col" { "Next" }
            } }
            tbody { @for record in &view.devices { (row(record, view.now)) } }
        }
    }
}

fn row(record: &DeviceRecord, now: Timestamp) -> Markup {
    let battery = record.battery.as_deref();
    html! {
        tr {
            th scope="row" { a.code href={ "/devices/" (record.device) } { (record.device) } }
            td data-label="Door" { (foreign_or_dash(record.name.as_deref())) }
            td data-label="Site" { (foreign_or_dash(record.site.as_deref())) }
            td data-label="Model" { (foreign_or_dash(record.model.as_deref())) }
            td data-label="Firmware" { (foreign_or_dash(record.firmware.as_deref())) }
            td.number data-label="Battery" { (foreign_or_dash(battery)) }
            td data-label="Last call-in" { (moment_or_dash(record.last_call_in(), now)) }
            td data-label="Next" { (next_call(record, now)) }
        }
    }
}

/// When it is to call next, and whether it has not.
pub(in crate::admin::pages) fn next_call(record: &DeviceRecord, now: Timestamp) -> Markup {
    let Some(next) = &record.next_call_in else {
        return dash();
    };
    html! {
        (moment_or_dash(Some(next.at), now))
        @if is_overdue(record, now) { " " span.pill.attention { "overdue" } }
    }
}

/// An hour late, by what it was told: clocks of locks are not exact, and some try twice.
fn is_overdue(record: &DeviceRecord, now: Timestamp) -> bool {
    let next = record.next_call_in.as_ref();
    next.is_some_and(|next| {
        record.last_seen < next.at && now.duration_since(next.at).as_hours() >= 1
    })
}

fn nothing(view: &DevicesView) -> Markup {
    html! {
        p.empty {
            @if view.query.is_for_all() && view.query.after.is_empty() {
                "No lock has called in yet."
            } @else {
                "No lock meets these conditions. "
                a href="/devices" { "Show all " (count(view.all)) }
            }
        }
    }
}

fn pager(query: &DevicesQuery, next: Option<&DevicesQuery>) -> Markup {
    if query.after.is_empty() && next.is_none() {
        return html! {};
    }
    html! {
        nav.pager aria-label="Pages" {
            @if !query.after.is_empty() {
                a.button.quiet href=(query.after(String::new()).href()) { "First page" }
            }
            @if let Some(next) = next {
                a.button href=(next.href()) rel="next" { "Next page" }
            }
        }
    }
}

const MISSING: [(&str, &str); 5] = [
    ("", "any time"),
    ("1", "a day"),
    ("2", "2 days"),
    ("7", "7 days"),
    ("30", "30 days"),
];

/// As they stand in addresses, and in the form.
fn orders() -> [(&'static str, &'static str); 5] {
    [
        ("", "Serial number"),
        (DeviceOrder::DoorName.as_str(), "Door name"),
        (
            DeviceOrder::LastSeenNewestFirst.as_str(),
            "Seen last, newest first",
        ),
        (
            DeviceOrder::LastSeenOldestFirst.as_str(),
            "Seen last, oldest first",
        ),
        (
            DeviceOrder::BatteryLowestFirst.as_str(),
            "Battery, lowest first",
        ),
    ]
}

const MAX_OPTIONS: usize = 100;
