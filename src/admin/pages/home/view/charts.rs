//! Why handshakes failed, and how the batteries are.

use maud::{Markup, html};

use super::super::super::chart;
use super::super::facts::Home;

pub(super) fn failures(home: &Home) -> Markup {
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

pub(super) fn batteries(home: &Home) -> Markup {
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
