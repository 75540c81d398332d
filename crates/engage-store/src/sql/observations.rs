//! What is seen of devices: half a dozen things in a night, written together a few seconds later.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hashlink::LruCache;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::{call_ins, certificate_fetches, devices};
use crate::{DeviceId, DeviceObservation};

/// Something that was seen, and when.
pub(super) struct Observed {
    pub(super) device: DeviceId,
    pub(super) observation: DeviceObservation,
    pub(super) at: Timestamp,
}

/// Those that are not written yet, of so many devices: what was seen of others the longest ago is lost.
pub(super) struct Observations {
    new: ByDevice,
    /// Of devices of which nothing is stored, and perhaps never will be: serial numbers can be
    /// invented, and a call may break off.
    unstored: ByDevice,
}

type ByDevice = LruCache<DeviceId, OfDevice>;

/// What was seen of one device.
struct OfDevice {
    /// In the order in which they came.
    observations: Vec<(DeviceObservation, Timestamp)>,
    /// When the last of them came. Not its time, which is the clock's: that may be set meanwhile.
    added_at: Instant,
}

impl Observations {
    pub(super) fn add(&mut self, observed: Observed, now: Instant) {
        let seen = OfDevice {
            observations: vec![(observed.observation, observed.at)],
            added_at: now,
        };
        add(&mut self.new, observed.device, seen);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.unstored.is_empty()
    }

    /// Whether something is lost with the next device.
    pub(super) fn is_full(&self) -> bool {
        self.new.len() >= MAX_DEVICES
    }

    /// Writes those of devices that are known, which it returns.
    pub(super) async fn save(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<HashSet<DeviceId>, sqlx::Error> {
        let seen = self.new.iter().chain(self.unstored.iter());
        let devices: HashSet<_> = seen.map(|(device, _)| *device).collect();
        let devices: Vec<_> = devices.into_iter().collect();
        let known = devices::known(connection, &devices).await?;
        let moments = known.iter().map(|device| (*device, Timestamp::UNIX_EPOCH));
        let mut rows = devices::lock(connection, &moments.collect()).await?;
        for (device, row) in &mut rows {
            for (observation, at) in self.of_device(*device) {
                row.apply(observation.clone(), *at);
            }
        }
        let callers = self.callers(&known);
        certificate_fetches::credit(connection, &mut rows, &callers).await?;
        devices::save(connection, rows.values()).await?;
        call_ins::add(connection, rows.values()).await?;
        Ok(known.into_iter().collect())
    }

    /// Who called in, and from where the last time; whoever called first comes first.
    fn callers(&self, known: &[DeviceId]) -> Vec<(DeviceId, IpAddr)> {
        let seen = |device: &DeviceId| {
            let mut last_first = self.of_device(*device).rev();
            last_first.find_map(|(observation, at)| match observation {
                DeviceObservation::Seen { address, .. } => Some((*at, (*device, *address))),
                _ => None,
            })
        };
        let mut callers: Vec<_> = known.iter().filter_map(seen).collect();
        callers.sort_by_key(|(at, _)| *at);
        callers.into_iter().map(|(_, caller)| caller).collect()
    }

    /// All that was seen of a device, in the order in which it came.
    fn of_device(
        &self,
        device: DeviceId,
    ) -> impl DoubleEndedIterator<Item = &(DeviceObservation, Timestamp)> {
        [&self.unstored, &self.new]
            .into_iter()
            .filter_map(move |seen| seen.peek(&device))
            .flat_map(|seen| &seen.observations)
    }

    /// Forgets those of devices that were written, and those that are nobody's by now.
    pub(super) fn settle(&mut self, written: &HashSet<DeviceId>, now: Instant) {
        for (device, seen) in self.new.drain() {
            add(&mut self.unstored, device, seen);
        }
        self.unstored.retain(|device, seen| {
            let age = now.duration_since(seen.added_at);
            !written.contains(device) && age < KEEP_UNSTORED
        });
    }
}

impl Default for Observations {
    fn default() -> Self {
        Self {
            new: LruCache::new(MAX_DEVICES),
            unstored: LruCache::new(MAX_DEVICES),
        }
    }
}

/// Only a database that is away, or somebody who invents devices, has so many that some are lost.
fn add(to: &mut ByDevice, device: DeviceId, seen: OfDevice) {
    if let Some(of_device) = to.get_mut(&device) {
        of_device.observations.extend(seen.observations);
        of_device.observations.truncate(MAX_EACH);
        of_device.added_at = seen.added_at;
    } else {
        to.insert(device, seen);
    }
}

/// A body that takes longer to arrive has met a deadline.
const KEEP_UNSTORED: Duration = Duration::from_mins(5);

const MAX_DEVICES: usize = 1024;

const MAX_EACH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Its time may be of long ago: a clock that is set meanwhile drops nothing.
    #[test]
    fn what_is_seen_before_anything_is_stored_is_kept_for_some_minutes_by_no_clock() {
        let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
        let now = Instant::now();
        let mut observations = Observations::default();
        let observed = || Observed {
            device,
            observation: DeviceObservation::AuditsStored,
            at: Timestamp::UNIX_EPOCH,
        };
        observations.add(observed(), now);
        let none = HashSet::new();
        for (passed, is_kept) in [(0, true), (4, true), (5, false)] {
            observations.settle(&none, now + Duration::from_mins(passed));
            assert_eq!(!observations.is_empty(), is_kept, "{passed}");
        }
        observations.add(observed(), now);
        observations.settle(&[device].into(), now);
        assert!(observations.is_empty());
    }

    #[test]
    fn of_strangers_without_number_those_who_came_last_are_remembered() {
        let now = Instant::now();
        let mut observations = Observations::default();
        let mut see = |number: usize| {
            let device: DeviceId = format!("{number:016X}").parse().unwrap();
            let observed = Observed {
                device,
                observation: DeviceObservation::AuditsStored,
                at: Timestamp::UNIX_EPOCH,
            };
            observations.add(observed, now);
            device
        };
        let first = see(0);
        for number in 1..3 * MAX_DEVICES {
            see(number);
        }
        let last = see(3 * MAX_DEVICES);
        assert!(observations.is_full());
        observations.settle(&HashSet::new(), now);
        let seen = |device| observations.of_device(device).count();
        assert_eq!((seen(first), seen(last)), (0, 1));
        assert_eq!(observations.unstored.len(), MAX_DEVICES);
    }
}
