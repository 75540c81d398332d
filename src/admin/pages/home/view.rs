//! The overview as HTML.

use engage_wire::limits::{EXPIRY_WARNING_DAYS, MAX_CHAIN_BYTES, TIGHT_CHAIN_BYTES};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::chart::{self, Bar, Hour};
use super::super::layout::{Viewer, form_token};
use super::super::text::{self, age, bytes, count, dash, foreign, moment, plural, time};

/// What the overview shows.
pub(in crate::admin::pages) struct Home {
    pub(in crate::admin::pages) now: Timestamp,
    /// Why this host is not ready, in plain words.
    pub(in crate::admin::pages) reasons: Vec<String>,
    /// What else is wrong.
    pub(in crate::admin::pages) warnings: Vec<String>,
    pub(in crate::admin::pages) locks: Locks,
    pub(in crate::admin::pages) chain_bytes: u64,
    pub(in crate::admin::pages) certificates: Vec<Certificate>,
    pub(in crate::admin::pages) sites: Sites,
    pub(in crate::admin::pages) reload: Option<Reload>,
    pub(in crate::admin::pages) store: StoreState,
    pub(in crate::admin::pages) webhook: WebhookState,
    pub(in crate::admin::pages) call_ins: Vec<Hour>,
    pub(in crate::admin::pages) failures: Vec<Bar>,
    pub(in crate::admin::pages) batteries: Vec<Bar>,
}

/// How many locks there are, and how many of them called in within 24 hours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::admin::pages) enum Locks {
    /// Call-ins are not answered.
    Off,
    /// The store cannot say.
    Unknown,
    Known {
        all: u64,
        seen: u64,
    },
}

/// One certificate of the chain and above.
pub(in crate::admin::pages) struct Certificate {
    pub(in crate::admin::pages) role: String,
    pub(in crate::admin::pages) subject: String,
    pub(in crate::admin::pages) not_after: Timestamp,
    pub(in crate::admin::pages) days_left: i64,
    pub(in crate::admin::pages) fingerprint: String,
}

/// The first sites, bad ones before good ones.
pub(in crate::admin::pages) struct Sites {
    pub(in crate::admin::pages) bad: Vec<BadSite>,
    pub(in crate::admin::pages) good: Vec<Site>,
    /// Of all, whether they are shown or not.
    pub(in crate::admin::pages) all_bad: usize,
    pub(in crate::admin::pages) all_good: usize,
}

/// A site that is announced as it is configured.
pub(in crate::admin::pages) struct Site {
    pub(in crate::admin::pages) name: String,
    pub(in crate::admin::pages) cert_url: String,
    pub(in crate::admin::pages) hash: String,
    pub(in crate::admin::pages) fingerprint: String,
}

/// A site that is not.
pub(in crate::admin::pages) struct BadSite {
    /// Its name, and what becomes of its devices.
    pub(in crate::admin::pages) what: String,
    pub(in crate::admin::pages) refusals: Vec<Reason>,
}

/// What is wrong, and what to do.
pub(in crate::admin::pages) struct Reason {
    pub(in crate::admin::pages) message: String,
    pub(in crate::admin::pages) hint: String,
}

/// The last reload.
pub(in crate::admin::pages) struct Reload {
    pub(in crate::admin::pages) at: Timestamp,
    /// Why the new state was refused; none if it is in force.
    pub(in crate::admin::pages) refusals: Vec<Reason>,
}

/// Where call-ins are recorded.
pub(in crate::admin::pages) enum StoreState {
    Off,
    Opening,
    Failing(String),
    Writable {
        /// Bytes taken and allowed, where that is bounded.
        size: Option<(u64, u64)>,
    },
}

/// Where events are delivered to.
pub(in crate::admin::pages) enum WebhookState {
    Off,
    Failing(String),
    /// Devices with undelivered events, and since when the oldest waits.
    Waiting {
        devices: u64,
        since: Timestamp,
    },
    UpToDate,
}

/// How it is, at a glance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::admin::pages) enum Health {
    Well,
    Attention,
    Failing,
}

impl Home {
    pub(in crate::admin::pages) fn health(&self) -> Health {
        let is_refused = self
            .reload
            .as_ref()
            .is_some_and(|it| !it.refusals.is_empty());
        if !self.reasons.is_empty() {
            Health::Failing
        } else if is_refused
            || !self.warnings.is_empty()
            || self.sites.all_bad > 0
            || self.locks.are_missing()
            || self
                .server()
                .is_some_and(|it| it.days_left < EXPIRY_WARNING_DAYS)
        {
            Health::Attention
        } else {
            Health::Well
        }
    }

    /// The one that every device is shown.
    fn server(&self) -> Option<&Certificate> {
        self.certificates.first()
    }

    /// "412 of 415 locks called in within 24 hours; the server certificate has 71 days left."
    fn sentence(&self) -> String {
        let locks = match self.locks {
            Locks::Off => "Call-ins are not answered here".to_owned(),
            Locks::Unknown => "What is known of the locks cannot be read now".to_owned(),
            Locks::Known { all: 0, .. } => "No lock has called in yet".to_owned(),
            Locks::Known { all, seen } => format!(
                "{} of {} called in within 24 hours",
                count(seen),
                plural(all, "lock")
            ),
        };
        let certificate = self.server().map_or_else(String::new, |it| {
            format!("; the server certificate {}", days_sentence(it.days_left))
        });
        format!("{locks}{certificate}.")
    }
}

impl Locks {
    /// Whether more than one in ten did not call in.
    fn are_missing(self) -> bool {
        matches!(self, Self::Known { all, seen } if seen < all - all / 10)
    }
}

impl Health {
    fn class(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Attention => "attention",
            Self::Failing => "failing",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Well => "All well",
            Self::Attention => "Needs attention",
            Self::Failing => "Not ready",
        }
    }
}

/// The whole overview.
pub(in crate::admin::pages) fn home(home: &Home, viewer: &Viewer) -> Markup {
    html! {
        div.live data-refresh {
            (health(home))
            (problems(home))
            (tiles(home))
            div.columns {
                section.card { (chart::hours("Call-ins an hour", "call-in", &home.call_ins, home.now)) }
            }
            div.columns { (failures(home)) (batteries(home)) }
            (certificates(home))
            (sites(&home.sites))
        }
        (reload(home, viewer))
    }
}

fn health(home: &Home) -> Markup {
    let health = home.health();
    html! {
        section.card.health.(health.class()) aria-label="Health" {
            h1 { (mark(health)) (health.title()) }
            p { (home.sentence()) }
        }
    }
}

fn mark(health: Health) -> Markup {
    let path = match health {
        Health::Well => {
            "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.4 14.2-4-4L8 10.8l2.6 2.6L16 8l1.4 1.4Z"
        }
        Health::Attention => "M12 2 1 21h22L12 2Zm-1 7h2v6h-2V9Zm0 7.5h2v2h-2v-2Z",
        Health::Failing => {
            "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20ZM8.5 7 12 10.5 15.5 7 17 8.5 13.5 12l3.5 3.5-1.5 1.5-3.5-3.5L8.5 17 7 15.5l3.5-3.5L7 8.5Z"
        }
    };
    html! {
        svg viewBox="0 0 24 24" width="28" height="28" aria-hidden="true" { path fill="currentColor" d=(path) {} }
    }
}

fn problems(home: &Home) -> Markup {
    let refusals = home.reload.iter().flat_map(|reload| &reload.refusals);
    let refusals: Vec<_> = refusals.collect();
    let bad = &home.sites.bad;
    if home.reasons.len() + home.warnings.len() + bad.len() + refusals.len() == 0 {
        return html! {};
    }
    let more = home.sites.all_bad - bad.len();
    html! {
        section.card {
            h2 { "What is wrong" }
            ul.problems {
                @for reason in &home.reasons { li.failing { (text::message(reason)) } }
                @for Reason { message, hint } in refusals {
                    li.attention { "The last reload was refused: " (text::message(message)) (hint_line(hint)) }
                }
                @for site in bad { (bad_site(site)) }
                @if more > 0 { li.attention { (count(more as u64)) " more sites: " code { "engage-host sites check" } } }
                @for warning in &home.warnings { li.attention { (text::message(warning)) } }
            }
        }
    }
}

fn bad_site(site: &BadSite) -> Markup {
    html! {
        li.attention {
            (text::message(&site.what))
            @for Reason { message, hint } in &site.refusals {
                ": " (text::message(message)) (hint_line(hint))
            }
        }
    }
}

fn hint_line(hint: &str) -> Markup {
    html! { @if !hint.is_empty() { span.hint { (text::message(hint)) } } }
}

fn tiles(home: &Home) -> Markup {
    html! {
        dl.tiles {
            (locks_tile(home.locks))
            @if let Some(server) = home.server() {
                (tile("Server certificate", &html! {
                    div.figure { (count(server.days_left.max(0).unsigned_abs())) small { " days left" } }
                    div.muted { "until " (time(server.not_after)) }
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

fn failures(home: &Home) -> Markup {
    html! {
        section.card {
            @if home.failures.is_empty() {
                h2 { "TLS handshakes that failed, since the start" }
                p.muted { "None." }
            } @else {
                (chart::bars("TLS handshakes that failed, since the start", "Reason", "Handshakes", &home.failures))
            }
        }
    }
}

fn batteries(home: &Home) -> Markup {
    html! {
        section.card {
            @if home.batteries.is_empty() {
                h2 { "Batteries" }
                p.muted { "No lock has told its voltage yet." }
            } @else {
                (chart::bars("Batteries", "Voltage", "Locks", &home.batteries))
            }
        }
    }
}

fn certificates(home: &Home) -> Markup {
    let taken = home.chain_bytes;
    let (tight, allowed) = (TIGHT_CHAIN_BYTES as u64, MAX_CHAIN_BYTES as u64);
    let label = format!(
        "The chain takes {} of {} bytes",
        count(taken),
        count(allowed)
    );
    html! {
        section.card.flush {
            h2 { "Certificates" }
            div.gauge-row {
                (chart::gauge(&label, taken, tight, allowed))
                p.muted aria-hidden="true" { (label) "; a lock takes no larger one" }
            }
            div.scroll {
                table.stack {
                    caption.unseen { "Certificates of the chain and above" }
                    thead { tr {
                        th scope="col" { "Role" } th scope="col" { "Subject" } th scope="col" { "Left" }
                        th scope="col" { "Ends" } th scope="col" { "SHA-256 fingerprint" }
                    } }
                    tbody { @for it in &home.certificates { (certificate(it)) } }
                }
            }
        }
    }
}

fn certificate(it: &Certificate) -> Markup {
    let (state, words) = match it.days_left {
        ..0 => ("failing", "over".to_owned()),
        0..EXPIRY_WARNING_DAYS => ("attention", format!("{}, renew it", days(it.days_left))),
        left => ("well", days(left)),
    };
    html! {
        tr {
            th.fixed scope="row" { (it.role) }
            td data-label="Subject" { (foreign(&it.subject)) }
            td data-label="Left" { span.pill.(state) { (words) } }
            td data-label="Ends" { (time(it.not_after)) }
            td.code data-label="Fingerprint" { (it.fingerprint) }
        }
    }
}

fn days(left: i64) -> String {
    plural(left.unsigned_abs(), "day")
}

fn days_sentence(left: i64) -> String {
    if left < 0 {
        return format!("ended {} ago", days(left));
    }
    format!("has {} left", days(left))
}

fn sites(sites: &Sites) -> Markup {
    let more = sites.all_good - sites.good.len();
    html! {
        section.card.flush {
            h2 { "Sites" }
            @if sites.good.is_empty() { p.empty { "No site is announced." } }
            @else {
                div.scroll {
                    table.stack {
                        caption.unseen { "What locks of each site are told" }
                        thead { tr {
                            th scope="col" { "Site" } th scope="col" { "cert_url" }
                            th scope="col" { "hash" } th scope="col" { "SHA-256 fingerprint of the certificate" }
                        } }
                        tbody { @for it in &sites.good { (site(it)) } }
                    }
                }
            }
            @if more > 0 {
                p.pager.muted { (plural(more as u64, "more site")) ": " code { "engage-host sites list" } }
            }
        }
    }
}

fn site(site: &Site) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/devices?" (site_query(&site.name)) } { (foreign(&site.name)) } }
            td.code data-label="cert_url" { (foreign(&site.cert_url)) }
            td.code data-label="hash" { (site.hash) }
            td.code data-label="Fingerprint" { (site.fingerprint) }
        }
    }
}

fn site_query(name: &str) -> String {
    serde_urlencoded::to_string([("site", name)]).unwrap_or_default()
}

fn reload(home: &Home, viewer: &Viewer) -> Markup {
    html! {
        section.card {
            h2 { "Last reload" }
            @match &home.reload {
                None => p.muted { "None since the start." },
                Some(Reload { at, refusals }) if refusals.is_empty() => {
                    p { (moment(*at, home.now)) ": in force." }
                }
                Some(Reload { at, refusals }) => {
                    p {
                        (moment(*at, home.now)) ": refused for " (plural(refusals.len() as u64, "reason"))
                        ", which stand above; what was in force before stays."
                    }
                }
            }
            @if viewer.may_write {
                form method="post" action="/reload" {
                    (form_token(viewer))
                    button.quiet type="submit" { "Reload the configuration now" }
                }
            }
        }
    }
}
