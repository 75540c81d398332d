//! What is shown of the publication in force and of reloads.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{CertificateLabels, ResultLabels, StateLabels};
use super::{latency_histogram, register, register_with_unit};
use crate::publication::Publication;

#[derive(Debug)]
pub(super) struct PublicationMetrics {
    reloads: Family<ResultLabels, Counter>,
    reload_duration: Histogram,
    last_reload: Gauge,
    last_reload_successful: Gauge,
    renewals: Family<ResultLabels, Counter>,
    not_after: Family<CertificateLabels, Gauge>,
    chain_size: Gauge,
    sites: Family<StateLabels, Gauge>,
}

impl PublicationMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            reloads: register(registry, "reloads", "Reloads, by result", results_at_zero()),
            reload_duration: register_with_unit(
                registry,
                "reload_duration",
                "Time to read, check and swap in",
                Unit::Seconds,
                latency_histogram(),
            ),
            last_reload: register(
                registry,
                "last_reload_timestamp_seconds",
                "Unix time of the last successful reload; 0 before the first",
                Gauge::default(),
            ),
            last_reload_successful: register(
                registry,
                "last_reload_successful",
                "0 while the last reload was refused and the previous state is in force; 1 before the first",
                one(),
            ),
            renewals: register(
                registry,
                "certificate_renewals",
                "Renewals of the server certificate by the daemon itself, by result",
                results_at_zero(),
            ),
            not_after: register(
                registry,
                "certificate_not_after_timestamp_seconds",
                "Unix time of a certificate's last valid second",
                Family::default(),
            ),
            chain_size: register_with_unit(
                registry,
                "chain_size",
                "Largest DER total of server, intermediates and root that a device counts",
                Unit::Bytes,
                Gauge::default(),
            ),
            sites: register(
                registry,
                "sites",
                "Sites: served as configured, kept at their last announcement, or withheld (503)",
                Family::default(),
            ),
        }
    }

    pub(super) fn reloaded(&self, succeeded: bool, took: Duration, unix_seconds: i64) {
        let result = RESULTS[usize::from(succeeded)];
        self.reloads.get_or_create(&ResultLabels { result }).inc();
        self.reload_duration.observe(took.as_secs_f64());
        self.last_reload_successful.set(succeeded.into());
        if succeeded {
            self.last_reload.set(unix_seconds);
        }
    }

    pub(super) fn renewed(&self, succeeded: bool) {
        let result = RESULTS[usize::from(succeeded)];
        self.renewals.get_or_create(&ResultLabels { result }).inc();
    }

    pub(super) fn show(&self, publication: &Publication) {
        self.not_after.clear();
        for expiry in publication.expiries() {
            let labels = CertificateLabels {
                role: expiry.role.clone(),
                subject: expiry.subject.clone(),
            };
            self.not_after
                .get_or_create(&labels)
                .set(expiry.validity.not_after.as_second());
        }
        self.chain_size
            .set(i64::try_from(publication.chain_bytes()).unwrap_or(i64::MAX));
        let bad_sites = publication.bad_sites();
        let kept = bad_sites.iter().filter(|site| site.is_kept()).count();
        for (state, sites) in [
            ("served", publication.good_sites()),
            ("kept", kept),
            ("withheld", bad_sites.len() - kept),
        ] {
            let sites = i64::try_from(sites).unwrap_or(i64::MAX);
            self.sites.get_or_create(&StateLabels { state }).set(sites);
        }
    }
}

fn one() -> Gauge {
    let gauge = Gauge::default();
    gauge.set(1);
    gauge
}

fn results_at_zero() -> Family<ResultLabels, Counter> {
    let results = Family::<ResultLabels, Counter>::default();
    for result in RESULTS {
        let _ = results.get_or_create(&ResultLabels { result });
    }
    results
}

const RESULTS: [&str; 2] = ["failure", "success"];
