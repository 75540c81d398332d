//! How many connections may be open: in all, and for one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::caller_network::CallerNetwork;
use crate::config::{Limits, PerAddress};

/// Counts open connections of both listeners.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    most_per_address: usize,
    counts_loopback: bool,
    open: AtomicUsize,
    addresses: Mutex<HashMap<CallerNetwork, usize>>,
}

impl Admission {
    /// `descriptors` is how many the process may open (`RLIMIT_NOFILE`).
    pub(crate) fn new(limits: &Limits, descriptors: usize) -> Self {
        let (most_per_address, counts_loopback) = match limits.connections_per_address {
            PerAddress::Default => (DEFAULT_PER_ADDRESS, false),
            PerAddress::Configured(most) => (most, true),
        };
        Self {
            most: limits
                .connections
                .unwrap_or_else(|| affordable(descriptors)),
            most_per_address,
            counts_loopback,
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
        }
    }

    /// Most connections that may be open at a time.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// The number behind a bound.
    pub(super) fn bound(&self, full: Full) -> usize {
        match full {
            Full::Address => self.most_per_address,
            Full::Total => self.most,
        }
    }

    /// A place for one connection, if there is one.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Permit, Full> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Total);
        }
        Ok(Permit {
            admission: Arc::clone(self),
            address: None,
        })
    }

    /// The network under which a caller is counted, if it is.
    fn counted(&self, caller: IpAddr) -> Option<CallerNetwork> {
        let is_counted = self.counts_loopback || !caller.to_canonical().is_loopback();
        is_counted.then(|| caller.into())
    }
}

/// Holds a place until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    address: Option<CallerNetwork>,
}

impl Permit {
    /// Counts the connection for its caller, who is known only after a PROXY protocol header.
    pub(super) fn claim(&mut self, caller: IpAddr) -> Result<(), Full> {
        let Some(address) = self.admission.counted(caller) else {
            return Ok(());
        };
        let mut addresses = self.admission.addresses();
        let open = addresses.entry(address).or_default();
        if *open >= self.admission.most_per_address {
            return Err(Full::Address);
        }
        *open += 1;
        drop(addresses);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else {
            return;
        };
        let mut addresses = self.admission.addresses();
        if let Some(open) = addresses.get_mut(&address) {
            *open -= 1;
            // Or the map would grow with every address that ever called.
            if *open == 0 {
                addresses.remove(&address);
            }
        }
    }
}

impl Admission {
    fn addresses(&self) -> std::sync::MutexGuard<'_, HashMap<CallerNetwork, usize>> {
        // Counting cannot panic half-way, so a poisoned map is still right.
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which bound a connection has met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Full {
    /// `connections_per_address`.
    Address,
    /// `connections`.
    Total,
}

impl Full {
    /// The bound's name in `[limits]`, in logs and in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Address => "connections_per_address",
            Self::Total => "connections",
        }
    }
}

/// Connections that leave descriptors for listeners, files, reloads and the admin listener.
fn affordable(descriptors: usize) -> usize {
    descriptors
        .saturating_sub(RESERVED_DESCRIPTORS)
        .max(descriptors / 2)
        .max(1)
}

const DEFAULT_PER_ADDRESS: usize = 64;
const RESERVED_DESCRIPTORS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, per_address: PerAddress) -> Arc<Admission> {
        let limits = Limits {
            connections: Some(total),
            connections_per_address: per_address,
            ..Limits::default()
        };
        Arc::new(Admission::new(&limits, 0))
    }

    #[test]
    fn places_return_when_connections_end() {
        let admission = admission(2, PerAddress::Default);
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err(), Full::Total);
        drop(first);
        assert!(admission.enter().is_ok());
    }

    #[test]
    fn one_address_cannot_take_the_places_of_others() {
        let admission = admission(10, PerAddress::Configured(1));
        let claim = |caller: &str| {
            let mut permit = admission.enter().unwrap();
            permit.claim(caller.parse().unwrap()).map(|()| permit)
        };
        let first = claim("10.0.0.1").unwrap();
        assert_eq!(claim("::ffff:10.0.0.1").unwrap_err(), Full::Address);
        assert!(claim("10.0.0.2").is_ok());
        let _network = claim("2001:db8::1").unwrap();
        assert_eq!(claim("2001:db8::2").unwrap_err(), Full::Address);
        drop(first);
        assert!(claim("10.0.0.1").is_ok());
        assert_eq!(admission.addresses().len(), 1);
    }

    #[test]
    fn loopback_is_counted_only_when_configured() {
        let uncounted = admission(1000, PerAddress::Default);
        let _open: Vec<_> = (0..200)
            .map(|_| {
                let mut permit = uncounted.enter().unwrap();
                permit.claim(IpAddr::from([127, 0, 0, 1])).unwrap();
                permit
            })
            .collect();
    }

    #[test]
    fn few_descriptors_still_afford_connections() {
        assert_eq!(affordable(1_048_576), 1_048_448);
        assert_eq!(affordable(64), 32);
        assert_eq!(affordable(1), 1);
    }
}
