//! How many devices there may be: serial numbers can be invented.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engage_wire::{CallerNetwork, ShardedLru};
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::{Call, DeviceId, StoreError, StoreWarning};

/// Bounds new devices: all of them, those of which nothing is proven, and those of each network.
///
/// Who is not registered may be anybody: the last places are not for them, and one network takes
/// weeks to fill the others. This computer is no such network: a proxy on it that hides where
/// devices call from must not keep them out.
#[derive(Debug, Default)]
pub(crate) struct DeviceQuota {
    newcomers: ShardedLru<CallerNetwork, Newcomers>,
    /// When they were counted last, and how many there are since.
    counted: Mutex<Option<(Instant, DeviceCount)>>,
}

/// Devices with records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct DeviceCount {
    pub(crate) all: usize,
    pub(crate) unproven: usize,
}

/// A device without a record that delivers something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    pub(crate) call: Call,
    /// Whether it is proven once that is stored.
    pub(crate) is_proven: bool,
}

/// What there is for newcomers.
#[derive(Default)]
pub(crate) struct Capacity {
    pub(crate) count: DeviceCount,
    /// Unproven devices that may go.
    pub(crate) evictable: usize,
}

/// Of one network.
#[derive(Debug)]
struct Newcomers {
    since: Instant,
    count: u32,
}

impl DeviceCount {
    /// Whether so many newcomers, whatever they are, find places.
    pub(crate) fn has_room_for(self, newcomers: usize) -> bool {
        self.all + newcomers <= MAX_DEVICES - RESERVED && self.unproven + newcomers <= MAX_UNPROVEN
    }

    /// Why there is no place for a newcomer, if there is none.
    fn refusal(self, new: &Newcomer) -> Option<StoreError> {
        let reserved = if new.call.is_registered() {
            0
        } else {
            RESERVED
        };
        let (allowed, kind) = if self.all >= MAX_DEVICES - reserved {
            (MAX_DEVICES - reserved, "devices")
        } else if !new.is_proven && self.unproven >= MAX_UNPROVEN {
            (MAX_UNPROVEN, "devices of which nothing is proven")
        } else {
            return None;
        };
        Some(StoreError::TooManyDevices {
            device: new.call.device,
            allowed,
            kind,
        })
    }
}

impl DeviceQuota {
    /// How many there are, if they were counted within the last seconds.
    pub(crate) fn counted(&self, now: Instant) -> Option<DeviceCount> {
        let (at, count) = (*self.counted.lock())?;
        (now.saturating_duration_since(at) < COUNTED_FOR).then_some(count)
    }

    pub(crate) fn set_counted(&self, count: DeviceCount, now: Instant) {
        *self.counted.lock() = Some((now, count));
    }

    /// So many unproven devices are gone.
    pub(crate) fn evicted(&self, devices: usize) {
        if let Some((_, count)) = &mut *self.counted.lock() {
            count.all = count.all.saturating_sub(devices);
            count.unproven = count.unproven.saturating_sub(devices);
        }
    }

    /// Says that unknown devices are, or soon will be, refused.
    pub(crate) fn warning(&self) -> Option<StoreWarning> {
        let devices = (*self.counted.lock())?.1.all;
        (devices >= NEARLY_FULL).then_some(StoreWarning::NearlyFull {
            devices,
            allowed: MAX_DEVICES,
            reserved: RESERVED,
        })
    }

    /// Whether a newcomer may begin a record, and if so whether another device has to go for it.
    fn admit(&self, new: &Newcomer, room: &mut Capacity, now: Instant) -> Result<bool, StoreError> {
        let refusal = room.count.refusal(new);
        let is_full = refusal.is_some();
        if let Some(refusal) = refusal.filter(|_| room.evictable == 0) {
            return Err(refusal);
        }
        self.count_newcomer(&new.call, now)?;
        if is_full {
            room.evictable -= 1;
            room.count.all -= 1;
            room.count.unproven = room.count.unproven.saturating_sub(1);
        }
        room.count.all += 1;
        room.count.unproven += usize::from(!new.is_proven);
        Ok(is_full)
    }

    fn count_newcomer(&self, call: &Call, now: Instant) -> Result<(), StoreError> {
        if call.is_registered() || call.peer.to_canonical().is_loopback() {
            return Ok(());
        }
        let mut shard = self.newcomers.shard(call.peer);
        let fresh = || Newcomers {
            since: now,
            count: 0,
        };
        let newcomers = shard.entry(call.peer.into()).or_insert_with(fresh);
        if now.saturating_duration_since(newcomers.since) >= HOUR {
            *newcomers = fresh();
        }
        if newcomers.count >= MAX_NEW_AN_HOUR {
            return Err(StoreError::TooManyNewDevices {
                device: call.device,
                peer: call.peer,
                allowed: MAX_NEW_AN_HOUR,
            });
        }
        newcomers.count += 1;
        Ok(())
    }

    /// Uncounts a device of which nothing was stored after all.
    fn give_back(&self, call: &Call) {
        let mut shard = self.newcomers.shard(call.peer);
        if !call.is_registered()
            && let Some(newcomers) = shard.get_mut(&call.peer.into())
        {
            newcomers.count = newcomers.count.saturating_sub(1);
        }
    }

    /// Counts a device of which something was stored.
    fn add(&self, new: &Newcomer) {
        if let Some((_, count)) = &mut *self.counted.lock() {
            count.all += 1;
            count.unproven += usize::from(!new.is_proven);
        }
    }
}

/// Newcomers that were counted, each with whether another device has to go for it. Those that are not
/// stored in the end are uncounted when it is dropped.
pub(crate) struct Admitted {
    quota: Arc<DeviceQuota>,
    newcomers: Vec<(Newcomer, bool)>,
}

impl Admitted {
    /// Counts newcomers; returns those that may not have a record too, with the reason.
    pub(crate) fn count(
        quota: &Arc<DeviceQuota>,
        new: impl Iterator<Item = Newcomer>,
        mut room: Capacity,
    ) -> (Self, HashMap<DeviceId, StoreError>) {
        let now = Instant::now();
        let (mut newcomers, mut refused) = (Vec::new(), HashMap::new());
        for new in new {
            match quota.admit(&new, &mut room, now) {
                Ok(displaces) => newcomers.push((new, displaces)),
                Err(error) => drop(refused.insert(new.call.device, error)),
            }
        }
        let quota = Arc::clone(quota);
        (Self { quota, newcomers }, refused)
    }

    /// When each of those of `devices` called for which another has to go.
    pub(crate) fn displacing(&self, devices: &BTreeSet<DeviceId>) -> Vec<Timestamp> {
        let displacing = self
            .newcomers
            .iter()
            .filter(|(new, displaces)| *displaces && devices.contains(&new.call.device));
        displacing.map(|(new, _)| new.call.received_at).collect()
    }

    /// What this device delivered is stored.
    pub(crate) fn stored(&mut self, device: DeviceId) {
        for (new, _) in self
            .newcomers
            .extract_if(.., |(new, _)| new.call.device == device)
        {
            self.quota.add(&new);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        for (new, _) in &self.newcomers {
            self.quota.give_back(&new.call);
        }
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// Two and a half times the largest fleet that this is built for.
const MAX_DEVICES: usize = 250_000;

/// Places for devices that are registered.
const RESERVED: usize = 50_000;

/// Half of what is not reserved: a lock's first call uploads its parameters.
const MAX_UNPROVEN: usize = 100_000;

/// Four fifths of what is not reserved.
const NEARLY_FULL: usize = 160_000;

/// A site whose locks are all new and behind one address is done in a night or two.
const MAX_NEW_AN_HOUR: u32 = 500;

/// What other hosts add meanwhile is little beside the limits.
const COUNTED_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
