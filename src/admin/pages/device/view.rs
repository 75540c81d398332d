//! One device as HTML.

use engage_store::{Adopted, DeviceRecord, SetAside, StoredEvent, Timestamped};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::devices::next_call;
use super::super::events::event_cells;
use super::super::reasons;
use super::super::text::{dash, foreign, foreign_or_dash, moment, moment_or_dash, plural};
use crate::pretty_json::pretty_json;
use crate::tls::SeenHandshake;
use engage_wire::escape_json_for_terminal;

/// What the page of a device shows.
pub(super) struct DeviceView {
    pub(super) now: Timestamp,
    pub(super) record: DeviceRecord,
    /// What the certificate is that it fetched last.
    pub(super) anchor: Option<Anchor>,
    /// What all hosts saw of its trust anchors.
    pub(super) adopted: Adopted,
    /// What was seen of handshakes from its address.
    pub(super) handshake: Option<SeenHandshake>,
    /// The newest first.
    pub(super) events: Vec<StoredEvent>,
    pub(super) set_aside: SetAside,
    pub(super) upload: Option<Upload>,
}

/// The certificate that a device fetched last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Anchor {
    /// What some site announces.
    Announced,
    /// That of the root rotation that is under way.
    New,
    /// No site announces it.
    Other,
}

/// Its parameters.
pub(super) struct Upload {
    pub(super) at: Timestamp,
    /// Secrets are replaced.
    pub(super) json: String,
}

pub(super) fn device(view: &DeviceView) -> Markup {
    let record = &view.record;
    html! {
        div.heading {
            div {
                h1 { (name(record)) }
                span.code.muted { (record.device) }
            }
            a href="/devices" { "All devices" }
        }
        div.columns { (call_ins(view)) (trust(view)) }
        div.columns { (lock(view)) (tls(view)) }
        (events(view))
        (upload(view))
    }
}

fn name(record: &DeviceRecord) -> Markup {
    match record.name.as_deref() {
        Some(name) if !name.is_empty() => html! { (foreign(name)) },
        _ => html! { "Unnamed door" },
    }
}

fn call_ins(view: &DeviceView) -> Markup {
    let DeviceView { record, now, .. } = view;
    facts(
        "Call-ins",
        &[
            ("Last call-in", moment_or_dash(record.last_call_in(), *now)),
            ("Next expected", next_call(record, *now)),
            ("Seen last", moment(record.last_seen, *now)),
            ("Seen first", moment(record.first_seen, *now)),
            (
                "Audits stored",
                moment_or_dash(record.audits_stored_at, *now),
            ),
            (
                "Database answered",
                dated(record.database.as_ref(), "version", *now),
            ),
            (
                "Database refused",
                refused(record.database_refused.as_deref()),
            ),
            ("Not delivered", set_aside(view.set_aside)),
        ],
    )
}

fn refused(why: Option<&str>) -> Markup {
    match why {
        None => html! { span.muted { "no" } },
        Some(why) => html! { span.pill.attention { "refused" } " " (foreign(why)) },
    }
}

fn set_aside(
    SetAside {
        undelivered,
        quarantined,
    }: SetAside,
) -> Markup {
    html! {
        @if undelivered + quarantined == 0 {
            span.muted { "nothing" }
        } @else {
            (plural(undelivered, "event")) ", which the webhook's receiver refused; "
            (plural(quarantined, "upload")) " that could not be read"
        }
    }
}

fn trust(view: &DeviceView) -> Markup {
    let DeviceView { record, now, .. } = view;
    let anchor = view.anchor.map(|anchor| match anchor {
        Anchor::Announced => html! { span.pill.well { "the one that is announced" } },
        Anchor::New => html! { span.pill.well { "the new one of the rotation" } },
        Anchor::Other => html! { span.pill.attention { "no site announces it" } },
    });
    let fetched = record.certificate.as_ref();
    facts(
        "Trust",
        &[
            (
                "Certificate fetched",
                html! {
                    @match fetched {
                        None => (dash()),
                        Some(it) => {
                            (moment(it.at, *now)) " "
                            @if let Some(anchor) = anchor { (anchor) }
                        }
                    }
                },
            ),
            (
                "Its fingerprint",
                html! {
                    @match fetched { None => (dash()), Some(it) => span.code { (foreign(&it.value)) } }
                },
            ),
            ("Last TLS session", dated(record.tls.as_ref(), "TLS", *now)),
            (
                "Chain verified",
                moment_or_dash(view.adopted.verified.map(|it| it.at), *now),
            ),
            ("Chain not trusted", distrusted(&view.adopted, *now)),
            ("Last failure from its address", failure(view)),
        ],
    )
}

fn distrusted(adopted: &Adopted, now: Timestamp) -> Markup {
    let Some(failed) = adopted.failed else {
        return html! { span.muted { "never seen" } };
    };
    let is_mended = adopted
        .verified
        .is_some_and(|verified| verified.at > failed.at);
    html! {
        (moment(failed.at, now))
        @if let Some(why) = &adopted.failure { ": it " (foreign(reasons::words(why))) }
        @if !is_mended { " " span.pill.attention { "not since verified" } }
    }
}

fn failure(view: &DeviceView) -> Markup {
    let failure = view.handshake.as_ref().and_then(|it| it.failure);
    match failure {
        None => html! { span.muted { "none since the start" } },
        Some((at, reason)) => html! {
            (moment(at, view.now)) ": it " (reasons::words(reason.label()))
        },
    }
}

fn lock(view: &DeviceView) -> Markup {
    let record = &view.record;
    let text = |text: &Option<String>| foreign_or_dash(text.as_deref());
    facts(
        "Lock",
        &[
            ("Site", text(&record.site)),
            ("Model", text(&record.model)),
            ("Firmware", text(&record.firmware)),
            ("Battery", text(&record.battery)),
            (
                "Address",
                record
                    .address
                    .map_or_else(dash, |it| html! { span.code { (it) } }),
            ),
        ],
    )
}

/// As its hello says: seen at its address, which others may share.
fn tls(view: &DeviceView) -> Markup {
    let Some(hello) = view.handshake.as_ref().and_then(|it| it.hello.as_ref()) else {
        return html! {
            section.card {
                h2 { "TLS abilities" }
                p.muted { "No handshake from its address since the start." }
            }
        };
    };
    let protocols = if hello.alpn.is_empty() {
        None
    } else {
        Some(hello.alpn.join(" "))
    };
    let fragment = hello
        .max_fragment_length
        .map(|it| plural(it.into(), "byte"));
    let code = |text: &dyn std::fmt::Display| html! { span.code { (text) } };
    facts(
        "TLS abilities, as the last hello from its address shows them",
        &[
            ("Versions", code(&hello.versions())),
            ("Cipher suites", code(&hello.cipher_suites)),
            ("Groups", code(&hello.named_groups)),
            ("Signatures", code(&hello.signature_schemes)),
            ("Protocols (ALPN)", foreign_or_dash(protocols.as_deref())),
            ("Largest record", foreign_or_dash(fragment.as_deref())),
            (
                "Session tickets",
                html! { (if hello.takes_tickets { "yes" } else { "no" }) },
            ),
        ],
    )
}

fn events(view: &DeviceView) -> Markup {
    html! {
        section.card.flush {
            h2 { "Last events" }
            @if view.events.is_empty() { p.empty { "No event yet." } }
            @else {
                div.scroll {
                    table.stack {
                        caption.unseen { "The last events of this lock, the newest first" }
                        thead { tr {
                            th scope="col" { "Received" } th scope="col" { "By the lock's clock" }
                            th scope="col" { "Event" } th scope="col" { "Meaning" }
                        } }
                        tbody { @for event in &view.events { tr { (event_cells(event, view.now)) } } }
                    }
                }
                p.pager { a href={ "/events?device=" (view.record.device) } { "All its events" } }
            }
        }
    }
}

fn upload(view: &DeviceView) -> Markup {
    html! {
        section.card {
            h2 { "Parameters, secrets masked" }
            @match &view.upload {
                None => p.muted { "No upload yet." },
                Some(Upload { at, json }) => {
                    p.muted { "Uploaded " (moment(*at, view.now)) }
                    pre tabindex="0" { (pretty_json(&escape_json_for_terminal(json))) }
                }
            }
        }
    }
}

fn dated(value: Option<&Timestamped>, label: &str, now: Timestamp) -> Markup {
    html! {
        @match value {
            None => (dash()),
            Some(Timestamped { at, value }) => {
                (moment(*at, now)) span.muted { ", " (label) " " (foreign(value)) }
            }
        }
    }
}

fn facts(title: &str, facts: &[(&str, Markup)]) -> Markup {
    html! {
        section.card {
            h2 { (title) }
            dl.facts {
                @for (name, value) in facts { dt { (name) } dd { (value) } }
            }
        }
    }
}
