//! A number each, and what it means.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::super::text::{age, bytes, count, dash, day, foreign, plural};
use super::super::facts::{Home, Locks, StoreState, WebhookState};

pub(super) fn tiles(home: &Home) -> Markup {
    html! {
        dl.tiles {
            (locks_tile(home.locks))
            @if let Some(server) = home.server() {
                (tile("Server certificate", &html! {
                    div.figure { (count(server.days_left.max(0).unsigned_abs())) small { " days left" } }
                    div.muted { "until " (day(server.not_after)) }
                }))
            }
            (tile("Sites", &html! {
                div.figure { (count(home.sites.all_good as u64)) small { " announced" } }
                div.muted { (plural(home.sites.all_bad as u64, "site")) " refused" }
            }))
            (tile("Store", &store(&home.store)))
            (tile("Webhook", &webhook(&home.webhook, home.now)))
        }
    }
}

fn tile(label: &str, content: &Markup) -> Markup {
    html! { div.tile { dt { (label) } dd { (content) } } }
}

fn locks_tile(locks: Locks) -> Markup {
    let content = match locks {
        Locks::Off => html! { div.figure { "off" } div.muted { "[devices] directory is empty" } },
        Locks::Unknown => html! { div.figure { (dash()) } },
        Locks::Known { all, seen } => html! {
            div.figure { (count(seen)) small { " of " (count(all)) } }
            div {
                @if seen < all {
                    a href="/devices?missing=1&order=last-seen-oldest-first" { (count(all - seen)) " did not call in" }
                } @else {
                    span.muted { "within 24 hours" }
                }
            }
        },
    };
    tile("Locks", &content)
}

fn store(store: &StoreState) -> Markup {
    let (figure, more) = match store {
        StoreState::Off => ("off", String::new()),
        StoreState::Opening => ("opening", "call-ins are answered 503 until then".to_owned()),
        StoreState::Failing(reason) => ("failing", foreign(reason).into_owned()),
        StoreState::Writable { size: None } => ("writable", String::new()),
        StoreState::Writable {
            size: Some((taken, allowed)),
        } => (
            "writable",
            format!("{} of {}", bytes(*taken), bytes(*allowed)),
        ),
    };
    html! { div.figure { (figure) } div.muted { (more) } }
}

fn webhook(webhook: &WebhookState, now: Timestamp) -> Markup {
    let (figure, more) = match webhook {
        WebhookState::Off => ("off", String::new()),
        WebhookState::Failing(reason) => ("failing", foreign(reason).into_owned()),
        WebhookState::UpToDate => ("delivered", "nothing waits".to_owned()),
        WebhookState::Waiting { devices, since } => {
            let devices = plural(*devices, "device");
            ("waiting", format!("{devices}, since {}", age(*since, now)))
        }
    };
    html! { div.figure { (figure) } div.muted { (more) } }
}
