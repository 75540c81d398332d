//! How far devices are on their way from one trust anchor to another.

use std::collections::{BTreeMap, HashSet};

use engage_store::{Adoption, AdoptionQuery, Evidence, Rotation, RotationStep, Store, StoreError};
use engage_wire::pki::Fingerprint;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Of each site, the devices that were seen lately.
pub(crate) async fn count_devices(
    store: &dyn Store,
    rotation: &Rotation,
) -> Result<BTreeMap<String, Counts>, StoreError> {
    let anchors = Anchors::from_rotation(rotation);
    let mut sites: BTreeMap<String, Counts> = BTreeMap::new();
    let mut query = AdoptionQuery {
        seen_since: Some(Timestamp::now() - COUNTED),
        ..AdoptionQuery::default()
    };
    loop {
        let page = store.adoption(&query).await?;
        for adoption in page.devices {
            let state = anchors.state(&adoption);
            let site = adoption.site.unwrap_or_default();
            sites.entry(site).or_default().add(state);
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(sites);
        }
    }
}

/// How far a device is on its way to the anchor that is announced now, the farthest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeviceState {
    /// It completed a handshake under it.
    Verified,
    /// It has fetched it completely.
    Fetched,
    /// It was told of it.
    Told,
    /// It was seen since the step, and trusts the other as far as is known.
    Other,
    /// It was not seen since the step.
    Unseen,
}

impl DeviceState {
    /// As people read it at a step.
    pub(crate) fn name(self, step: RotationStep) -> &'static str {
        match self {
            Self::Other if step == RotationStep::Undoing => "still new",
            Self::Other => "still old",
            Self::Verified => "verified",
            Self::Fetched => "fetched",
            Self::Told => "told",
            Self::Unseen => "unseen",
        }
    }

    /// Whether the device loses nothing in what comes after a step. Where that is the end of the other
    /// chain, it must have verified this one: serial numbers are public, and anybody can fetch in their name.
    pub(crate) fn is_ready(self, step: RotationStep) -> bool {
        match self {
            Self::Verified => true,
            Self::Fetched => takes_fetched(step),
            Self::Told | Self::Other | Self::Unseen => false,
        }
    }
}

/// The devices of a site, or of all.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Counts {
    pub(crate) devices: u64,
    pub(crate) verified: u64,
    pub(crate) fetched: u64,
    pub(crate) told: u64,
    pub(crate) other: u64,
    pub(crate) unseen: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, state: DeviceState) {
        self.devices += 1;
        *match state {
            DeviceState::Verified => &mut self.verified,
            DeviceState::Fetched => &mut self.fetched,
            DeviceState::Told => &mut self.told,
            DeviceState::Other => &mut self.other,
            DeviceState::Unseen => &mut self.unseen,
        } += 1;
    }

    /// The devices of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            devices: self.devices + other.devices,
            verified: self.verified + other.verified,
            fetched: self.fetched + other.fetched,
            told: self.told + other.told,
            other: self.other + other.other,
            unseen: self.unseen + other.unseen,
        }
    }

    /// Each number with the name of its state.
    pub(crate) fn by_state(self) -> [(&'static str, u64); 5] {
        [
            ("verified", self.verified),
            ("fetched", self.fetched),
            ("told", self.told),
            ("other", self.other),
            ("unseen", self.unseen),
        ]
    }

    pub(crate) fn ready(self, step: RotationStep) -> u64 {
        let fetched = if takes_fetched(step) { self.fetched } else { 0 };
        self.verified + fetched
    }

    /// 100 where there is no device.
    pub(crate) fn ready_percent(self, step: RotationStep) -> f64 {
        if self.devices == 0 {
            return 100.0;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of at most 250,000 devices"
        )]
        let share = self.ready(step) as f64 / self.devices as f64;
        share * 100.0
    }
}

/// Until `activate`, the other chain stays for those that need it.
fn takes_fetched(step: RotationStep) -> bool {
    matches!(step, RotationStep::Prepared | RotationStep::Published)
}

/// Those of all sites alike: a device may have been told under either.
pub(crate) struct Anchors {
    wanted: HashSet<Fingerprint>,
    other: HashSet<Fingerprint>,
    step_at: Timestamp,
    /// Whether the wanted ones are the old ones, which devices had before anything was recorded.
    is_undoing: bool,
}

impl Anchors {
    pub(crate) fn from_rotation(rotation: &Rotation) -> Self {
        let old = rotation.anchors.iter().map(|it| it.old).collect();
        let new = rotation.anchors.iter().map(|it| it.new).collect();
        let is_undoing = rotation.step == RotationStep::Undoing;
        let (wanted, other) = if is_undoing { (old, new) } else { (new, old) };
        Self {
            wanted,
            other,
            step_at: rotation.step_at,
            is_undoing,
        }
    }

    /// What was seen last decides: who fetched the new one and then verified the old did not take it.
    pub(crate) fn state(&self, adoption: &Adoption) -> DeviceState {
        let adopted = &adoption.adopted;
        let of_anchors = |it: &Evidence| {
            self.wanted.contains(&it.fingerprint) || self.other.contains(&it.fingerprint)
        };
        let is_wanted =
            |it: &Option<Evidence>| it.is_some_and(|it| self.wanted.contains(&it.fingerprint));
        let (fetched, verified) = (adopted.fetched.filter(of_anchors), adopted.verified);
        let newest = fetched.into_iter().chain(verified).max_by_key(|it| it.at);
        if is_wanted(&newest) || newest.is_none() && self.is_undoing {
            let is_verified = is_wanted(&verified) || !is_wanted(&fetched);
            return if is_verified {
                DeviceState::Verified
            } else {
                DeviceState::Fetched
            };
        }
        if is_wanted(&adopted.told) {
            DeviceState::Told
        } else if adoption.last_seen < self.step_at {
            DeviceState::Unseen
        } else {
            DeviceState::Other
        }
    }
}

/// By what it was told, or one night after it was seen last; and whether it has missed two of them.
pub(crate) fn expected_call(adoption: &Adoption, now: Timestamp) -> (Timestamp, bool) {
    let rhythm = adoption
        .next_call
        .map(|next| next.duration_since(adoption.last_seen))
        .filter(|it| *it > SignedDuration::ZERO)
        .unwrap_or(DEFAULT_CALL_INTERVAL);
    let missed = now.duration_since(adoption.last_seen).as_secs() / rhythm.as_secs().max(1);
    let calls = i32::try_from(missed.max(0))
        .unwrap_or(i32::MAX)
        .saturating_add(1);
    let expected = rhythm
        .checked_mul(calls)
        .and_then(|after| adoption.last_seen.checked_add(after).ok());
    (expected.unwrap_or(now), missed >= 2)
}

/// A device that was not seen for so long is not counted.
pub(crate) const COUNTED: SignedDuration = SignedDuration::from_hours(30 * 24);

const DEFAULT_CALL_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(byte: u8) -> Fingerprint {
        format!("{byte:02X}").repeat(32).parse().unwrap()
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn evidence(byte: u8, hour: i64) -> Evidence {
        let (fingerprint, at) = (fingerprint(byte), at(hour));
        Evidence { fingerprint, at }
    }

    fn device() -> Adoption {
        Adoption {
            device: "0123456789ABCDEF".parse().unwrap(),
            site: None,
            address: None,
            last_seen: at(20),
            next_call: None,
            is_shared: false,
            adopted: engage_store::Adopted::default(),
        }
    }

    /// The old anchor is 1, the new one 2; the step was taken in hour 10.
    fn anchors(is_undoing: bool) -> Anchors {
        let sets = (
            HashSet::from([fingerprint(1)]),
            HashSet::from([fingerprint(2)]),
        );
        let (other, wanted) = if is_undoing { (sets.1, sets.0) } else { sets };
        Anchors {
            wanted,
            other,
            step_at: at(10),
            is_undoing,
        }
    }

    #[test]
    fn what_was_seen_last_decides_how_far_a_device_is() {
        let anchors = anchors(false);
        let mut device = device();
        assert_eq!(anchors.state(&device), DeviceState::Other);
        device.last_seen = at(9);
        assert_eq!(anchors.state(&device), DeviceState::Unseen);
        device.adopted.verified = Some(evidence(1, 9));
        device.adopted.told = Some(evidence(2, 11));
        assert_eq!(anchors.state(&device), DeviceState::Told);
        device.adopted.fetched = Some(evidence(2, 12));
        assert_eq!(anchors.state(&device), DeviceState::Fetched);
        // Its hash was wrong, and it kept what it had.
        device.adopted.verified = Some(evidence(1, 13));
        assert_eq!(anchors.state(&device), DeviceState::Told);
        device.adopted.verified = Some(evidence(2, 14));
        assert_eq!(anchors.state(&device), DeviceState::Verified);
        // Somebody looks at another certificate.
        device.adopted.fetched = Some(evidence(3, 15));
        assert_eq!(anchors.state(&device), DeviceState::Verified);
    }

    #[test]
    fn on_the_way_back_who_never_had_the_new_anchor_is_ready() {
        let anchors = anchors(true);
        let mut device = device();
        let is_ready = |device: &Adoption| anchors.state(device).is_ready(RotationStep::Undoing);
        assert!(is_ready(&device));
        device.adopted.verified = Some(evidence(2, 12));
        assert!(!is_ready(&device));
        device.adopted.fetched = Some(evidence(1, 13));
        assert!(!is_ready(&device));
        device.adopted.verified = Some(evidence(1, 14));
        assert!(is_ready(&device));
    }

    #[test]
    fn before_a_chain_ends_only_devices_that_verified_the_other_are_ready() {
        for (step, expected) in [
            (RotationStep::Published, 3),
            (RotationStep::Activated, 1),
            (RotationStep::Undoing, 1),
        ] {
            let mut counts = Counts::default();
            for state in [
                DeviceState::Verified,
                DeviceState::Fetched,
                DeviceState::Fetched,
                DeviceState::Told,
            ] {
                counts.add(state);
            }
            assert_eq!(counts.ready(step), expected, "{step}");
            let is_ready = DeviceState::Fetched.is_ready(step);
            assert_eq!(is_ready, expected == 3, "{step}");
        }
    }

    #[test]
    fn the_next_call_follows_the_devices_own_rhythm() {
        let mut device = device();
        assert_eq!(expected_call(&device, at(21)), (at(44), false));
        assert_eq!(expected_call(&device, at(45)), (at(68), false));
        assert_eq!(expected_call(&device, at(70)), (at(92), true));
        device.next_call = Some(at(32));
        assert_eq!(expected_call(&device, at(21)), (at(32), false));
        assert_eq!(expected_call(&device, at(33)), (at(44), false));
    }
}
