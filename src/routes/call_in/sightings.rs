//! Who fetched an announcement before calling in.
//!
//! Announcements are fetched in clear text by anybody. Only what calls in is a device, so only
//! then is the fetch written into its record: a stranger cannot fill the disk with devices.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use engage_wire::pki::Fingerprint;

/// The last announcement that each address fetched.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<HashMap<IpAddr, Sighting>>);

/// An announcement was fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Fingerprint of the announced certificate.
    pub fingerprint: Fingerprint,
    /// When.
    pub at: Timestamp,
}

impl Sightings {
    /// Remembers a fetch. Where too many addresses have fetched without ever calling in, any one
    /// of them is forgotten for it.
    pub fn remember(&self, address: IpAddr, fingerprint: Fingerprint, at: Timestamp) {
        let mut sightings = self.locked();
        if sightings.len() >= MOST_ADDRESSES
            && !sightings.contains_key(&address)
            && let Some(forgotten) = sightings.keys().next().copied()
        {
            sightings.remove(&forgotten);
        }
        sightings.insert(address, Sighting { fingerprint, at });
    }

    /// What an address fetched since it was last asked about.
    pub fn take(&self, address: IpAddr) -> Option<Sighting> {
        self.locked().remove(&address)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<IpAddr, Sighting>> {
        // An entry is whole at every moment, so a poisoned map is still right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About 4 MB at the most.
const MOST_ADDRESSES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use engage_wire::pki::Certificate;
    use engage_wire::pki::issue::{Issued, Lifetimes, ServerDays};

    #[test]
    fn strangers_from_everywhere_do_not_keep_a_device_from_being_remembered() {
        let lifetimes =
            Lifetimes::starting(engage_wire::pki::Timestamp::now(), ServerDays::Default);
        let root = Issued::root(&lifetimes).unwrap();
        let fingerprint = Certificate::fingerprint(root.certificate());
        let (sightings, now) = (Sightings::default(), Timestamp::now());
        for number in 0..u32::try_from(MOST_ADDRESSES).unwrap() {
            sightings.remember(IpAddr::V4(number.into()), fingerprint, now);
        }
        let device = IpAddr::from([200, 0, 0, 1]);
        sightings.remember(device, fingerprint, now);
        assert_eq!(sightings.locked().len(), MOST_ADDRESSES);
        assert_eq!(
            sightings.take(device),
            Some(Sighting {
                fingerprint,
                at: now
            })
        );
        assert_eq!(sightings.take(device), None);
    }
}
