//! `/`: how it is, at a glance.

mod facts;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use engage_store::{BatteryCount, Health};
use engage_wire::clock;
use engage_wire::diagnostic::hint;
use jiff::Timestamp;

use super::chart::{Bar, Hour};
use super::fleet::Fleet;
use super::layout::{Section, Viewer};
use super::{PageState, answer, reasons};
use crate::admin::access::Principal;
use crate::admin::{Admin, health};
use crate::publication::{self, Publication};
use crate::reload_outcome::{ReloadOutcome, ReloadRefusal};
use facts::{
    BadSite, Certificate, Home, Locks, Reason, Reload, Site, Sites, StoreState, WebhookState,
};

pub(super) async fn show(State(admin): PageState, principal: Principal) -> Html<String> {
    let home = Home::read(&admin).await;
    let content = view::home(&home, &Viewer::from(&principal));
    answer(&principal, Section::Home, "Overview", &content)
}

impl Home {
    async fn read(admin: &Admin) -> Self {
        let now = clock::now();
        let fleet = fleet(admin).await;
        let app = &admin.app;
        let publication = app.published.current_arc();
        let last_reload = admin.control.last_reload();
        Self {
            now,
            reasons: health::reasons(app, now),
            warnings: health::warnings_beside_sites(app, now),
            locks: locks(admin, fleet.as_deref()),
            chain_bytes: publication.chain_bytes() as u64,
            certificates: certificates(&publication, now),
            sites: sites(&publication),
            reload: last_reload.map(|(at, outcome)| reload(at, &outcome)),
            store: store(admin),
            webhook: webhook(admin),
            call_ins: fleet.as_deref().map(hours).unwrap_or_default(),
            failures: failures(admin),
            batteries: fleet.map_or_else(Vec::new, |it| batteries(&it.summary.batteries)),
        }
    }
}

/// What cannot be counted is shown as unknown: the rest of the page is needed then more than ever.
async fn fleet(admin: &Admin) -> Option<Arc<Fleet>> {
    let call_in = admin.app.call_in.as_ref()?;
    admin.fleet.count(&*call_in.store).await.ok()
}

fn locks(admin: &Admin, fleet: Option<&Fleet>) -> Locks {
    match (&admin.app.call_in, fleet) {
        (None, _) => Locks::Off,
        (Some(_), None) => Locks::Unknown,
        (Some(_), Some(Fleet { summary, .. })) => Locks::Known {
            all: summary.devices,
            seen: summary.seen_since,
        },
    }
}

fn certificates(publication: &Publication, now: Timestamp) -> Vec<Certificate> {
    let expiries = publication.expiries().take(MAX_CERTIFICATES);
    expiries
        .map(|expiry| Certificate {
            role: expiry.role.clone(),
            subject: expiry.subject.clone(),
            not_after: expiry.validity.not_after,
            days_left: expiry.validity.days_left(now),
            expires_soon: expiry.validity.expires_soon(now),
            fingerprint: expiry.fingerprint.to_string(),
        })
        .collect()
}

fn sites(publication: &Publication) -> Sites {
    let good = publication.announced_sites().iter().take(MAX_SITES);
    let bad = publication.bad_sites().iter().take(MAX_SITES);
    Sites {
        good: good
            .map(|site| Site {
                name: site.name.to_string(),
                cert_url: site.announcement.cert_url().to_string(),
                hash: site.announcement.hash().to_string(),
                fingerprint: site.fingerprint.to_string(),
            })
            .collect(),
        bad: bad.map(bad_site).collect(),
        all_good: publication.good_sites(),
        all_bad: publication.bad_sites().len(),
    }
}

fn bad_site(site: &publication::BadSite) -> BadSite {
    let refusals = site.refusals.iter().map(|refusal| Reason {
        message: refusal.causes_without_site(),
        hint: hint(refusal),
    });
    BadSite {
        what: site.to_string(),
        refusals: refusals.collect(),
    }
}

fn reload(at: Timestamp, outcome: &ReloadOutcome) -> Reload {
    let reason = |refusal: &ReloadRefusal| Reason {
        message: refusal.to_string(),
        hint: hint(refusal),
    };
    Reload {
        at,
        refusals: outcome.refusals.iter().map(reason).collect(),
    }
}

fn store(admin: &Admin) -> StoreState {
    let Some(call_in) = &admin.app.call_in else {
        return StoreState::Off;
    };
    match call_in.store.health() {
        Health::Failing { reason } => StoreState::Failing(reason),
        Health::Opening => StoreState::Opening,
        Health::Writable => StoreState::Writable {
            size: call_in.store.size().map(|size| (size.bytes, size.allowed)),
        },
    }
}

fn webhook(admin: &Admin) -> WebhookState {
    let (Some(call_in), Some(_)) = (&admin.app.call_in, &admin.control.config().webhook) else {
        return WebhookState::Off;
    };
    if let Some(problem) = call_in.delivery_problem.lock().clone() {
        return WebhookState::Failing(problem);
    }
    match admin.app.metrics.deliveries().now_waiting() {
        (devices, Some(since)) if devices > 0 => WebhookState::Waiting { devices, since },
        _ => WebhookState::UpToDate,
    }
}

fn hours(fleet: &Fleet) -> Vec<Hour> {
    let hours = fleet.call_ins.iter();
    hours
        .map(|it| Hour {
            begins: it.hour,
            count: it.count,
        })
        .collect()
}

/// The most frequent first.
fn failures(admin: &Admin) -> Vec<Bar> {
    let mut failures = admin.app.metrics.handshake_failures();
    failures.retain(|(_, count)| *count > 0);
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let bars = failures.into_iter().map(|(label, count)| Bar {
        label: reasons::words(label).to_owned(),
        count,
    });
    bars.collect()
}

/// In steps of half a unit; from the lowest to the highest that there is.
fn batteries(counts: &[BatteryCount]) -> Vec<Bar> {
    let half = |it: &BatteryCount| it.tenths / 5;
    let (Some(first), Some(last)) = (counts.iter().map(half).min(), counts.iter().map(half).max())
    else {
        return Vec::new();
    };
    let bars = (first..=last).map(|of| Bar {
        label: format!(
            "{}.{} to {}.{} V",
            of / 2,
            of % 2 * 5,
            of / 2,
            of % 2 * 5 + 4
        ),
        count: counts
            .iter()
            .filter(|it| half(it) == of)
            .map(|it| it.devices)
            .sum(),
    });
    bars.collect()
}

const MAX_SITES: usize = 20;
/// Of two chains with what lies above them there are no more.
const MAX_CERTIFICATES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batteries_are_counted_in_halves_of_a_volt_without_a_gap() {
        let counts = [(49, 1), (50, 2), (54, 3), (61, 4)];
        let counts = counts.map(|(tenths, devices)| BatteryCount { tenths, devices });
        let bars = batteries(&counts);
        let bars: Vec<_> = bars.iter().map(|it| (&*it.label, it.count)).collect();
        let expected = [
            ("4.5 to 4.9 V", 1),
            ("5.0 to 5.4 V", 5),
            ("5.5 to 5.9 V", 0),
            ("6.0 to 6.4 V", 4),
        ];
        assert_eq!(bars, expected);
        assert!(batteries(&[]).is_empty());
    }
}
