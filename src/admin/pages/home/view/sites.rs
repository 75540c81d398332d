//! What the locks of each site are told.

use maud::{Markup, html};

use super::super::super::text::{foreign, plural};
use super::super::facts::{Site, Sites};

pub(super) fn sites(sites: &Sites) -> Markup {
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
