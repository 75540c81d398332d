//! A change of the root as HTML.

use std::collections::BTreeMap;

use engage_store::{Adoption, HostRotation, Rotation, RotationStep};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::text::{count, foreign, foreign_or_dash, message, moment, plural};
use crate::adoption::{Counts, DeviceState};

/// What the page shows.
pub(super) struct RotationView {
    pub(super) now: Timestamp,
    /// What devices see now.
    pub(super) in_force: &'static str,
    /// Which command comes next.
    pub(super) next: &'static str,
    /// Why this host does not follow.
    pub(super) problems: Vec<String>,
    pub(super) under_way: Option<UnderWay>,
    /// Whether the list of devices is at its beginning.
    pub(super) is_first: bool,
}

/// A change that is under way.
pub(super) struct UnderWay {
    pub(super) rotation: Rotation,
    /// Of each site, as the daemon counted them last.
    pub(super) sites: BTreeMap<String, Counts>,
    pub(super) hosts: Vec<Host>,
    /// Devices that are not ready.
    pub(super) behind: Vec<BehindRow>,
    /// Where more of them are looked for.
    pub(super) next: Option<String>,
}

/// A host, and whether it serves what the store says.
pub(super) struct Host {
    name: String,
    follows: bool,
    serves: String,
}

/// A device that would be locked out.
pub(super) struct BehindRow {
    pub(super) adoption: Adoption,
    pub(super) state: DeviceState,
    pub(super) expected: Timestamp,
    pub(super) is_overdue: bool,
}

impl Host {
    pub(super) fn new(host: HostRotation, revision: i64) -> Self {
        let (follows, serves) = match host.report {
            None => (false, "has not said what it serves yet".to_owned()),
            Some(report) => match report.refusal {
                Some(refusal) => (false, format!("does not follow: {refusal}")),
                None if report.revision < revision => (false, "has not followed yet".to_owned()),
                None if report.is_swapped => (
                    true,
                    "follows, with the new files as the configured ones".into(),
                ),
                None => (true, "follows".to_owned()),
            },
        };
        Self {
            name: host.name,
            follows,
            serves,
        }
    }
}

pub(super) fn rotation(view: &RotationView) -> Markup {
    html! {
        h1 { "Root rotation" }
        section.card {
            dl.facts {
                @if let Some(UnderWay { rotation, .. }) = &view.under_way {
                    dt { "Step" }
                    dd { span.pill.attention { (rotation.step) } " since " (moment(rotation.step_at, view.now)) }
                    dt { "Began" } dd { (moment(rotation.began_at, view.now)) }
                    dt { "New server certificate" } dd.code { (rotation.leaf) }
                }
                dt { "In force" } dd { (view.in_force) }
                dt { "Next" } dd { (message(view.next)) }
            }
            @if view.under_way.is_none() {
                p.muted { "A rotation replaces the root that locks trust, without locking one out. It is switched on the command line only." }
            }
        }
        @if !view.problems.is_empty() {
            section.card {
                h2 { "What keeps this host from following" }
                ul.problems { @for problem in &view.problems { li.failing { (message(problem)) } } }
            }
        }
        @if let Some(it) = &view.under_way {
            (sites(it))
            (behind(it, view))
            (hosts(&it.hosts))
        }
    }
}

fn sites(it: &UnderWay) -> Markup {
    let step = it.rotation.step;
    let mut all = Counts::default();
    for counts in it.sites.values() {
        all = all.plus(*counts);
    }
    let more = it.sites.len().saturating_sub(MAX_SITES);
    html! {
        section.card.flush {
            h2 { "Progress by site, of the locks that were seen in 30 days" }
            @if it.sites.is_empty() {
                p.empty { "Not counted yet: that takes up to a minute." }
            } @else {
                div.scroll { table.stack {
                    caption.unseen { "Progress by site" }
                    thead { tr {
                        th scope="col" { "Site" } th.number scope="col" { "Ready" } th.number scope="col" { "Locks" }
                        @for (state, _) in all.by_state() { th.number scope="col" { (heading(state, step)) } }
                    } }
                    tbody {
                        (site_row("All", all, step))
                        @for (site, counts) in it.sites.iter().take(MAX_SITES) { (site_row(site, *counts, step)) }
                    }
                } }
            }
            @if more > 0 { p.pager.muted { (plural(more as u64, "more site")) ": " code { "engage-host rotate status --json" } } }
        }
    }
}

fn heading(state: &str, step: RotationStep) -> &str {
    match (state, step) {
        ("other", RotationStep::Undoing) => "still new",
        ("other", _) => "still old",
        (state, _) => state,
    }
}

fn site_row(site: &str, counts: Counts, step: RotationStep) -> Markup {
    let ready = counts.ready(step);
    let state = if ready == counts.devices {
        "well"
    } else {
        "attention"
    };
    html! {
        tr {
            th scope="row" { (foreign_or_dash(Some(site))) }
            td.number data-label="Ready" { span.pill.(state) { (count(ready)) } }
            td.number data-label="Locks" { (count(counts.devices)) }
            @for (state, number) in counts.by_state() {
                td.number data-label=(heading(state, step)) { (count(number)) }
            }
        }
    }
}

fn behind(it: &UnderWay, view: &RotationView) -> Markup {
    let step = it.rotation.step;
    html! {
        section.card.flush {
            h2 { "Locks that are not ready" }
            @if it.behind.is_empty() {
                p.empty { (if it.next.is_some() { "None among these." } else { "None." }) }
            } @else {
                div.scroll { table.stack {
                    caption.unseen { "Locks that are not ready" }
                    thead { tr {
                        th scope="col" { "Device" } th scope="col" { "Site" } th scope="col" { "State" }
                        th scope="col" { "Seen last" } th scope="col" { "Expected" } th scope="col" { "Last failure" }
                    } }
                    tbody { @for row in &it.behind { (behind_row(row, step, view.now)) } }
                } }
            }
            @if !view.is_first || it.next.is_some() {
                nav.pager aria-label="Pages" {
                    @if !view.is_first { a.button.quiet href="/rotation" { "From the beginning" } }
                    @if let Some(next) = &it.next { a.button href={ "/rotation?after=" (next) } rel="next" { "Look for more" } }
                }
            }
        }
    }
}

fn behind_row(row: &BehindRow, step: RotationStep, now: Timestamp) -> Markup {
    let BehindRow {
        adoption,
        state,
        expected,
        is_overdue,
    } = row;
    html! {
        tr {
            th scope="row" { a.code href={ "/devices/" (adoption.device) } { (adoption.device) } }
            td data-label="Site" { (foreign_or_dash(adoption.site.as_deref())) }
            td data-label="State" { (state.name(step)) }
            td data-label="Seen last" { (moment(adoption.last_seen, now)) }
            td data-label="Expected" {
                (moment(*expected, now))
                @if *is_overdue { " " span.pill.attention { "overdue" } }
            }
            td data-label="Last failure" { (foreign_or_dash(adoption.adopted.failure.as_deref())) }
        }
    }
}

fn hosts(hosts: &[Host]) -> Markup {
    html! {
        section.card.flush {
            h2 { "Hosts" }
            div.scroll { table.stack {
                caption.unseen { "Hosts on the store, and what they serve" }
                thead { tr { th scope="col" { "Host" } th scope="col" { "Follows" } th scope="col" { "Serves" } } }
                tbody {
                    @for Host { name, follows, serves } in hosts {
                        tr {
                            th scope="row" { (foreign(name)) }
                            td data-label="Follows" {
                                @if *follows { span.pill.well { "yes" } } @else { span.pill.attention { "no" } }
                            }
                            td data-label="Serves" { (message(serves)) }
                        }
                    }
                }
            } }
        }
    }
}

const MAX_SITES: usize = 50;
