//! The chain, and what lies above it.

use engage_wire::limits::{MAX_CHAIN_BYTES, TIGHT_CHAIN_BYTES};
use maud::{Markup, html};

use super::super::super::chart;
use super::super::super::text::{count, foreign, time};
use super::super::facts::{Certificate, Home, days};

pub(super) fn certificates(home: &Home) -> Markup {
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
        left if it.expires_soon => ("attention", format!("{}, renew it", days(left))),
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
