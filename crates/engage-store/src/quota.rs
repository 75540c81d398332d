//! How many devices there may be: serial numbers can be invented.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engage_wire::CallerNetwork;
use parking_lot::Mutex;

use crate::{Call, DeviceId, StoreError, StoreWarning};

/// Bounds new devices, in all and for each network that brings them.
///
/// Who gives no credentials may be anybody: the last places are not for them, and one network
/// takes weeks to fill the others. This computer is no such network: a proxy on it that hides where
/// devices call from must not keep them out.
#[derive(Debug, Default)]
pub(crate) struct DeviceQuota {
    newcomers: HashMap<CallerNetwork, Newcomers>,
}

#[derive(Debug)]
struct Newcomers {
    since: Instant,
    count: u32,
}

impl DeviceQuota {
    /// Whether a device that is not among the `known` ones may begin a record; counts it if so.
    fn admit(&mut self, call: &Call, known: usize, now: Instant) -> Result<(), StoreError> {
        let reserved = if call.is_authenticated { 0 } else { RESERVED };
        let allowed = MAX_DEVICES - reserved;
        let device = call.device;
        if known >= allowed {
            return Err(StoreError::TooManyDevices { device, allowed });
        }
        if call.is_authenticated || call.peer.to_canonical().is_loopback() {
            return Ok(());
        }
        if self.newcomers.len() >= MAX_NETWORKS {
            self.newcomers
                .retain(|_, newcomers| newcomers.is_current(now));
        }
        let network = CallerNetwork::from(call.peer);
        let is_known = self.newcomers.contains_key(&network);
        let refused = StoreError::TooManyNewDevices {
            device,
            peer: call.peer,
            allowed: MAX_NEW_AN_HOUR,
        };
        if !is_known && self.newcomers.len() >= MAX_NETWORKS {
            return Err(refused);
        }
        let newcomers = self.newcomers.entry(network).or_insert(Newcomers {
            since: now,
            count: 0,
        });
        if !newcomers.is_current(now) {
            *newcomers = Newcomers {
                since: now,
                count: 0,
            };
        }
        if newcomers.count >= MAX_NEW_AN_HOUR {
            return Err(refused);
        }
        newcomers.count += 1;
        Ok(())
    }

    /// Uncounts a device of which nothing was stored after all.
    fn give_back(&mut self, call: &Call) {
        let network = CallerNetwork::from(call.peer);
        if !call.is_authenticated
            && let Some(newcomers) = self.newcomers.get_mut(&network)
        {
            newcomers.count = newcomers.count.saturating_sub(1);
        }
    }

    /// Says that unknown devices are, or soon will be, refused.
    pub(crate) fn warning(known: usize) -> Option<StoreWarning> {
        (known >= NEARLY_FULL).then_some(StoreWarning::NearlyFull {
            devices: known,
            allowed: MAX_DEVICES,
            reserved: RESERVED,
        })
    }
}

/// New devices that were counted. Those that are not stored in the end are uncounted when it is
/// dropped.
pub(crate) struct Admitted {
    quota: Arc<Mutex<DeviceQuota>>,
    calls: Vec<Call>,
}

impl Admitted {
    /// Counts the `new` devices beside the `known` ones; returns those that may not have a record
    /// too, with the reason.
    pub(crate) fn count(
        quota: &Arc<Mutex<DeviceQuota>>,
        new: impl Iterator<Item = Call>,
        mut known: usize,
    ) -> (Self, HashMap<DeviceId, StoreError>) {
        let mut admitted = Self {
            quota: Arc::clone(quota),
            calls: Vec::new(),
        };
        let (mut quota, now) = (quota.lock(), Instant::now());
        let mut refused = HashMap::new();
        for call in new {
            match quota.admit(&call, known, now) {
                Ok(()) => {
                    known += 1;
                    admitted.calls.push(call);
                }
                Err(error) => drop(refused.insert(call.device, error)),
            }
        }
        (admitted, refused)
    }

    /// What this device delivered is stored.
    pub(crate) fn stored(&mut self, device: DeviceId) {
        self.calls.retain(|call| call.device != device);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut quota = self.quota.lock();
        for call in &self.calls {
            quota.give_back(call);
        }
    }
}

impl Newcomers {
    fn is_current(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < HOUR
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// Two and a half times the largest fleet that this is built for.
const MAX_DEVICES: usize = 250_000;

/// Places for devices that give their credentials.
const RESERVED: usize = 50_000;

/// Four fifths of what is not reserved.
const NEARLY_FULL: usize = 160_000;

/// A site whose locks are all new and behind one address is done in a night or two.
const MAX_NEW_AN_HOUR: u32 = 500;

/// Networks that bring new devices within an hour; a few dozen bytes each.
const MAX_NETWORKS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u32, peer: &str, is_authenticated: bool) -> Call {
        Call {
            device: format!("{number:016X}").parse().unwrap(),
            peer: peer.parse().unwrap(),
            is_authenticated,
            received_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn one_network_brings_no_more_new_devices_an_hour_than_allowed_and_hinders_no_other() {
        let (mut quota, now) = (DeviceQuota::default(), Instant::now());
        let mut admit = |number, peer: &str, at| quota.admit(&call(number, peer, false), 0, at);
        for number in 0..MAX_NEW_AN_HOUR {
            let peer = format!("2001:db8::{number:x}");
            admit(number, &peer, now).unwrap();
        }
        let refused = admit(900_000, "2001:db8::ffff", now).unwrap_err();
        assert!(
            matches!(refused, StoreError::TooManyNewDevices { .. }),
            "{refused}"
        );
        admit(900_000, "2001:db8:0:1::1", now).unwrap();
        admit(900_000, "10.44.0.7", now).unwrap();
        admit(900_000, "2001:db8::ffff", now + HOUR).unwrap();
        for number in 0..=MAX_NEW_AN_HOUR {
            admit(number, "::ffff:127.0.0.1", now).unwrap();
        }
    }

    #[test]
    fn the_last_places_are_for_devices_with_credentials() {
        let (mut quota, now) = (DeviceQuota::default(), Instant::now());
        let full = MAX_DEVICES - RESERVED;
        let mut admit = |known, auth| quota.admit(&call(1, "10.44.0.7", auth), known, now);
        admit(full - 1, false).unwrap();
        assert!(matches!(
            admit(full, false),
            Err(StoreError::TooManyDevices { .. })
        ));
        admit(full, true).unwrap();
        assert!(admit(MAX_DEVICES, true).is_err());
        assert!(DeviceQuota::warning(full).is_some() && DeviceQuota::warning(1000).is_none());
    }

    #[test]
    fn strangers_from_everywhere_fill_a_bounded_memory() {
        let (mut quota, now) = (DeviceQuota::default(), Instant::now());
        for number in 0..u32::try_from(MAX_NETWORKS).unwrap() + 10 {
            let peer = std::net::Ipv4Addr::from(number).to_string();
            let _ = quota.admit(&call(number, &peer, false), 0, now);
        }
        assert_eq!(quota.newcomers.len(), MAX_NETWORKS);
        let later = now + HOUR;
        quota.admit(&call(1, "10.44.0.7", false), 0, later).unwrap();
    }
}
