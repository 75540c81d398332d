//! The overview as HTML.

mod certificates;
mod charts;
mod sites;
mod tiles;

use maud::{Markup, html};

use super::super::chart;
use super::super::layout::{Viewer, form_token};
use super::super::text::{self, count, moment, plural};
use super::facts::{BadSite, Health, Home, Reason, Reload};
use certificates::certificates;
use charts::{batteries, failures};
use sites::sites;
use tiles::tiles;

/// The whole overview.
pub(super) fn home(home: &Home, viewer: &Viewer) -> Markup {
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
