//! Who fetched an announcement before calling in.
//!
//! Announcements are fetched in clear text by anybody. Only what calls in is a device, so only
//! then is the fetch written into its record: a stranger cannot fill the disk with devices.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::pki::Fingerprint;

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
    /// Remembers a fetch, unless too many addresses have fetched without ever calling in.
    pub fn remember(&self, address: IpAddr, fingerprint: Fingerprint, at: Timestamp) {
        let mut sightings = self.locked();
        if sightings.len() < MOST_ADDRESSES || sightings.contains_key(&address) {
            sightings.insert(address, Sighting { fingerprint, at });
        }
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
