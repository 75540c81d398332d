//! How far each device is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use engage_store::{
    Adoption, AdoptionQuery, DeviceId, Evidence, Rotation, RotationStep, StoreError, StoreReader,
};
use engage_wire::pki::Fingerprint;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How far a device is on its way to the anchor that is announced now, the farthest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeviceState {
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
    pub(super) fn name(self, step: RotationStep) -> &'static str {
        match self {
            Self::Other if step == RotationStep::Undoing => "still new",
            Self::Other => "still old",
            Self::Verified => "verified",
            Self::Fetched => "fetched",
            Self::Told => "told",
            Self::Unseen => "unseen",
        }
    }

    /// Whether the device loses nothing when the other chain is gone.
    pub(super) fn is_ready(self) -> bool {
        matches!(self, Self::Verified | Self::Fetched)
    }
}

/// The devices of a site, or of all.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) devices: u64,
    pub(super) verified: u64,
    pub(super) fetched: u64,
    pub(super) told: u64,
    pub(super) other: u64,
    pub(super) unseen: u64,
}

impl Counts {
    fn add(&mut self, state: DeviceState) {
        self.devices += 1;
        *match state {
            DeviceState::Verified => &mut self.verified,
            DeviceState::Fetched => &mut self.fetched,
            DeviceState::Told => &mut self.told,
            DeviceState::Other => &mut self.other,
            DeviceState::Unseen => &mut self.unseen,
        } += 1;
    }

    pub(super) fn ready(self) -> u64 {
        self.verified + self.fetched
    }

    /// 100 where there is no device.
    pub(super) fn ready_percent(self) -> f64 {
        if self.devices == 0 {
            return 100.0;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of at most 250,000 devices"
        )]
        let share = self.ready() as f64 / self.devices as f64;
        share * 100.0
    }
}

/// A device that would be locked out.
#[derive(Debug, Serialize)]
pub(super) struct Behind {
    pub(super) device: DeviceId,
    pub(super) site: Option<String>,
    pub(super) address: Option<IpAddr>,
    pub(super) state: DeviceState,
    pub(super) last_seen: Timestamp,
    /// When it will call in next, by its own rhythm.
    pub(super) expected: Timestamp,
    /// Whether it has missed its last two call-ins.
    pub(super) is_overdue: bool,
    /// How its last handshake ended that failed, if it came after the last that did not.
    pub(super) failure: Option<String>,
}

/// All devices that were seen in 30 days.
pub(super) struct Devices {
    pub(super) all: Counts,
    pub(super) sites: BTreeMap<String, Counts>,
    /// Those that are not ready, the latest expected first.
    pub(super) behind: Vec<Behind>,
    /// Devices behind one address, where there are several; the most first.
    pub(super) shared: Vec<(IpAddr, u32)>,
}

impl Devices {
    pub(super) fn read(
        reader: &StoreReader,
        rotation: &Rotation,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let anchors = Anchors::of(rotation);
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
                devices.add(adoption, &anchors, now);
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

    fn add(&mut self, adoption: Adoption, anchors: &Anchors, now: Timestamp) {
        let state = anchors.state(&adoption);
        self.all.add(state);
        let site = adoption.site.clone().unwrap_or_else(|| "-".to_owned());
        self.sites.entry(site).or_default().add(state);
        if state.is_ready() {
            return;
        }
        let (expected, is_overdue) = next_call(&adoption, now);
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
    pub(super) fn last_expected(&self) -> Option<Timestamp> {
        let on_time = self.behind.iter().filter(|it| !it.is_overdue);
        on_time.map(|it| it.expected).max()
    }
}

/// Those of all sites alike: a device may have been told under either.
struct Anchors {
    wanted: HashSet<Fingerprint>,
    other: HashSet<Fingerprint>,
    step_at: Timestamp,
    /// Whether the wanted ones are the old ones, which devices had before anything was recorded.
    is_undoing: bool,
}

impl Anchors {
    fn of(rotation: &Rotation) -> Self {
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
    fn state(&self, adoption: &Adoption) -> DeviceState {
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
fn next_call(adoption: &Adoption, now: Timestamp) -> (Timestamp, bool) {
    let rhythm = adoption
        .next_call
        .map(|next| next.duration_since(adoption.last_seen))
        .filter(|it| *it > SignedDuration::ZERO)
        .unwrap_or(A_NIGHT);
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
const COUNTED: SignedDuration = SignedDuration::from_hours(30 * 24);

const A_NIGHT: SignedDuration = SignedDuration::from_hours(24);

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
        assert!(anchors.state(&device).is_ready());
        device.adopted.verified = Some(evidence(2, 12));
        assert!(!anchors.state(&device).is_ready());
        device.adopted.fetched = Some(evidence(1, 13));
        assert!(anchors.state(&device).is_ready());
    }

    #[test]
    fn the_next_call_follows_the_devices_own_rhythm() {
        let mut device = device();
        assert_eq!(next_call(&device, at(21)), (at(44), false));
        assert_eq!(next_call(&device, at(45)), (at(68), false));
        assert_eq!(next_call(&device, at(70)), (at(92), true));
        device.next_call = Some(at(32));
        assert_eq!(next_call(&device, at(21)), (at(32), false));
        assert_eq!(next_call(&device, at(33)), (at(44), false));
    }
}
