//! What is seen of devices: half a dozen things in a night, written together a few seconds later.

use std::collections::{BTreeMap, HashSet};
use std::mem::take;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;

use super::{certificate_fetches, devices};
use crate::{DeviceId, DeviceObservation};

/// Something that was seen, and when.
pub(super) struct Observed {
    pub(super) device: DeviceId,
    pub(super) observation: DeviceObservation,
    pub(super) at: Timestamp,
}

/// Those that are not written yet.
#[derive(Default)]
pub(super) struct Observations {
    new: Seen,
    /// Of devices of which nothing is stored, and perhaps never will be: serial numbers can be
    /// invented, and a call may break off.
    unstored: Seen,
}

/// In the order in which they came.
type Seen = BTreeMap<DeviceId, Vec<(DeviceObservation, Timestamp)>>;

impl Observations {
    pub(super) fn add(&mut self, observed: Observed) {
        let Observed {
            device,
            observation,
            at,
        } = observed;
        add(&mut self.new, device, [(observation, at)]);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.unstored.is_empty()
    }

    /// Writes those of devices that are known, which it returns.
    pub(super) async fn save(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<HashSet<DeviceId>, sqlx::Error> {
        let devices: HashSet<_> = self
            .new
            .keys()
            .chain(self.unstored.keys())
            .copied()
            .collect();
        let devices: Vec<_> = devices.into_iter().collect();
        let known = devices::known(connection, &devices).await?;
        let moments = known.iter().map(|device| (*device, Timestamp::UNIX_EPOCH));
        let mut rows = devices::lock(connection, &moments.collect()).await?;
        for (device, row) in &mut rows {
            let seen = [&self.unstored, &self.new]
                .into_iter()
                .filter_map(|it| it.get(device));
            for (observation, at) in seen.flatten() {
                row.record.apply(observation.clone(), *at);
            }
        }
        let callers = self.callers(&known);
        certificate_fetches::credit(connection, &mut rows, &callers).await?;
        devices::save(connection, rows.values()).await?;
        Ok(known.into_iter().collect())
    }

    /// Who called in, and from where the last time; whoever called first comes first.
    fn callers(&self, known: &[DeviceId]) -> Vec<(DeviceId, IpAddr)> {
        let seen = |device: &DeviceId| {
            let seen = [&self.unstored, &self.new].into_iter();
            let seen = seen.filter_map(|it| it.get(device)).flatten();
            seen.rev().find_map(|(observation, at)| match observation {
                DeviceObservation::Seen { address, .. } => Some((*at, (*device, *address))),
                _ => None,
            })
        };
        let mut callers: Vec<_> = known.iter().filter_map(seen).collect();
        callers.sort_by_key(|(at, _)| *at);
        callers.into_iter().map(|(_, caller)| caller).collect()
    }

    /// Forgets those of devices that were written, and those that are nobody's by now.
    pub(super) fn settle(&mut self, written: &HashSet<DeviceId>, now: Timestamp) {
        for (device, seen) in take(&mut self.new) {
            add(&mut self.unstored, device, seen);
        }
        self.unstored.retain(|device, seen| {
            let last = seen.last().map(|(_, at)| now.duration_since(*at));
            !written.contains(device) && last.is_some_and(|age| age < KEEP_UNSTORED)
        });
    }
}

/// Only a database that is away, or somebody who invents devices, has so many that some are lost.
fn add(
    to: &mut Seen,
    device: DeviceId,
    seen: impl IntoIterator<Item = (DeviceObservation, Timestamp)>,
) {
    if to.len() < MAX_DEVICES || to.contains_key(&device) {
        let of_device = to.entry(device).or_default();
        of_device.extend(seen);
        of_device.truncate(MAX_EACH);
    }
}

/// A body that takes longer to arrive has met a deadline.
const KEEP_UNSTORED: SignedDuration = SignedDuration::from_mins(5);

const MAX_DEVICES: usize = 1024;

const MAX_EACH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_before_anything_is_stored_is_kept_for_some_minutes() {
        let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut observations = Observations::default();
        let observed = || Observed {
            device,
            observation: DeviceObservation::AuditsStored,
            at: now,
        };
        observations.add(observed());
        let none = HashSet::new();
        for (passed, is_kept) in [(0, true), (4, true), (5, false)] {
            let later = now + SignedDuration::from_mins(passed);
            observations.settle(&none, later);
            assert_eq!(!observations.is_empty(), is_kept, "{passed}");
        }
        observations.add(observed());
        observations.settle(&[device].into(), now);
        assert!(observations.is_empty());
    }
}
