//! What is counted while the root is being changed.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{ChainLabels, DevicesLabels, SelectionLabels, StepLabels};
use super::{MAX_SITES, register};
use crate::adoption::Counts;
use crate::publication::{ChainGeneration, Publication, PublishedRotation, SelectionReason};
use engage_store::RotationStep;

#[derive(Debug)]
pub(super) struct RotationMetrics {
    step: Family<StepLabels, Gauge>,
    refusals: Gauge,
    devices: Family<DevicesLabels, Gauge>,
    selections: Family<SelectionLabels, Counter>,
    distrusted: Family<ChainLabels, Counter>,
    /// What `devices` shows, with every site.
    counted: Mutex<BTreeMap<String, Counts>>,
}

impl RotationMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let selections = Family::<SelectionLabels, Counter>::default();
        let distrusted = Family::<ChainLabels, Counter>::default();
        for chain in CHAINS.map(ChainGeneration::name) {
            let _ = distrusted.get_or_create(&ChainLabels { chain });
            for (_, reason) in SelectionReason::LABELS {
                let _ = selections.get_or_create(&SelectionLabels { chain, reason });
            }
        }
        Self {
            counted: Mutex::default(),
            step: register(
                registry,
                "rotation_step",
                "1 at the step at which the change of the root is that is under way",
                Family::default(),
            ),
            refusals: register(
                registry,
                "rotation_refusals",
                "What keeps this host from following the change of the root; 0 if it follows",
                Gauge::default(),
            ),
            devices: register(
                registry,
                "rotation_devices",
                "Devices that were seen in 30 days, by how far they are on their way to the trust anchor that is announced now",
                Family::default(),
            ),
            selections: register(
                registry,
                "rotation_selections",
                "Handshakes begun while two chains were served, by the chain that was shown and what decided (docs/LOGGING.md)",
                selections,
            ),
            distrusted: register(
                registry,
                "rotation_distrusted",
                "Handshakes that ended as if the chain were not trusted, while the root was changed",
                distrusted,
            ),
        }
    }

    pub(super) fn selected(&self, chain: ChainGeneration, reason: SelectionReason) {
        let labels = SelectionLabels {
            chain: chain.name(),
            reason: reason.label(),
        };
        self.selections.get_or_create(&labels).inc();
    }

    pub(super) fn distrusted(&self, chain: ChainGeneration) {
        let chain = chain.name();
        self.distrusted.get_or_create(&ChainLabels { chain }).inc();
    }

    /// Of so many sites that one who scrapes can bear it; the others together have no name.
    pub(super) fn counted_devices(&self) -> BTreeMap<String, Counts> {
        self.counted.lock().clone()
    }

    pub(super) fn count_devices(&self, sites: &BTreeMap<String, Counts>) {
        self.counted.lock().clone_from(sites);
        self.devices.clear();
        for (at, (site, counts)) in sites.iter().enumerate() {
            let site = if at < MAX_SITES { site.as_str() } else { "" };
            for (state, devices) in counts.by_state() {
                let labels = DevicesLabels {
                    site: site.to_owned(),
                    state,
                };
                let devices = i64::try_from(devices).unwrap_or(i64::MAX);
                self.devices.get_or_create(&labels).inc_by(devices);
            }
        }
    }

    pub(super) fn show(&self, publication: &Publication) {
        let now = publication.rotation().map(PublishedRotation::rotation);
        for (step, label) in STEPS {
            let is_now = now.is_some_and(|rotation| rotation.step == step);
            self.step
                .get_or_create(&StepLabels { step: label })
                .set(is_now.into());
        }
        let refusals = publication.rotation_refusals().count();
        self.refusals
            .set(i64::try_from(refusals).unwrap_or(i64::MAX));
    }
}

const CHAINS: [ChainGeneration; 2] = [ChainGeneration::Old, ChainGeneration::New];

const STEPS: [(RotationStep, &str); 5] = [
    (RotationStep::Prepared, "prepared"),
    (RotationStep::Published, "published"),
    (RotationStep::Activated, "activated"),
    (RotationStep::Retiring, "retiring"),
    (RotationStep::Undoing, "undoing"),
];
