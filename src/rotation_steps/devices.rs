//! How far each device is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::adoption::{Anchors, COUNTED, Counts, DeviceState, expected_call};
use engage_store::{
    Adoption, AdoptionQuery, DeviceId, Evidence, Rotation, RotationStep, StoreError, StoreReader,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A device that would be locked out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Behind {
    #[schema(value_type = String)]
    pub(crate) device: DeviceId,
    pub(crate) site: Option<String>,
    #[schema(value_type = Option<String>)]
    pub(crate) address: Option<IpAddr>,
    pub(crate) state: DeviceState,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_seen: Timestamp,
    /// When it will call in next, by its own rhythm.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expected: Timestamp,
    /// Whether it has missed its last two call-ins.
    pub(crate) is_overdue: bool,
    /// How its last handshake ended that failed, if it came after the last that did not.
    pub(crate) failure: Option<String>,
}

/// All devices that were seen in 30 days.
pub(crate) struct Devices {
    pub(crate) all: Counts,
    pub(crate) sites: BTreeMap<String, Counts>,
    /// Those that are not ready, the latest expected first.
    pub(crate) behind: Vec<Behind>,
    /// Devices behind one address, where there are several; the most first.
    pub(crate) shared: Vec<(IpAddr, u32)>,
}

impl Devices {
    pub(crate) fn read(
        reader: &StoreReader,
        rotation: &Rotation,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let anchors = Anchors::from_rotation(rotation);
        let mut devices = Self {
            all: Counts::default(),
            sites: BTreeMap::new(),
            behind: Vec::new(),
            shared: Vec::new(),
        };
        let mut addresses: HashMap<IpAddr, u32> = HashMap::new();
        let mut query = AdoptionQuery {
            seen_since: Some(now - COUNTED),
            ..AdoptionQuery::default()
        };
        loop {
            let page = reader.adoption(&query)?;
            for adoption in page.devices {
                if let (Some(address), Some(_)) = (adoption.address, adoption.device.serial()) {
                    *addresses.entry(address).or_default() += 1;
                }
                devices.add(adoption, &anchors, rotation.step, now);
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        devices
            .behind
            .sort_by_key(|it| std::cmp::Reverse(it.expected));
        devices.shared = addresses.into_iter().filter(|it| it.1 > 1).collect();
        devices
            .shared
            .sort_by_key(|it| (std::cmp::Reverse(it.1), it.0));
        Ok(devices)
    }

    fn add(&mut self, adoption: Adoption, anchors: &Anchors, step: RotationStep, now: Timestamp) {
        let state = anchors.state(&adoption);
        self.all.add(state);
        let site = adoption.site.clone().unwrap_or_else(|| "-".to_owned());
        self.sites.entry(site).or_default().add(state);
        if state.is_ready(step) {
            return;
        }
        let (expected, is_overdue) = expected_call(&adoption, now);
        let at = |evidence: Option<Evidence>| evidence.map(|it| it.at);
        let has_failed = at(adoption.adopted.failed) > at(adoption.adopted.verified);
        self.behind.push(Behind {
            device: adoption.device,
            site: adoption.site,
            address: adoption.address,
            state,
            last_seen: adoption.last_seen,
            expected,
            is_overdue,
            failure: adoption.adopted.failure.filter(|_| has_failed),
        });
    }

    /// When the last that still calls has called.
    pub(crate) fn last_expected(&self) -> Option<Timestamp> {
        let on_time = self.behind.iter().filter(|it| !it.is_overdue);
        on_time.map(|it| it.expected).max()
    }
}
