//! How many connections may be open: in all, and for one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::config::PerAddress;
use engage_wire::CallerNetwork;

/// Counts the open connections of a listener, or of several together.
#[derive(Debug)]
pub(in crate::server) struct ConnectionLimits {
    max: usize,
    max_per_address: usize,
    counts_loopback: bool,
    open: AtomicUsize,
    addresses: Mutex<HashMap<CallerNetwork, usize>>,
}

impl ConnectionLimits {
    /// At most `max` in all.
    pub(in crate::server) fn new(max: usize, per_address: PerAddress) -> Self {
        let (max_per_address, counts_loopback) = match per_address {
            PerAddress::Default => (DEFAULT_PER_ADDRESS, false),
            PerAddress::Configured(max) => (max, true),
        };
        Self {
            max,
            max_per_address,
            counts_loopback,
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
        }
    }

    /// The number behind a limit.
    pub(super) fn value(&self, limit: LimitReached) -> usize {
        match limit {
            LimitReached::Address => self.max_per_address,
            LimitReached::Total => self.max,
        }
    }

    /// A permit for one connection, if there is one.
    pub(in crate::server) fn acquire(self: &Arc<Self>) -> Result<ConnectionPermit, LimitReached> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(LimitReached::Total);
        }
        Ok(ConnectionPermit {
            limits: Arc::clone(self),
            address: None,
        })
    }

    /// The network under which a caller is counted, if it is.
    fn counted(&self, caller: IpAddr) -> Option<CallerNetwork> {
        let is_counted = self.counts_loopback || !caller.to_canonical().is_loopback();
        is_counted.then(|| caller.into())
    }
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(in crate::server) struct ConnectionPermit {
    limits: Arc<ConnectionLimits>,
    address: Option<CallerNetwork>,
}

impl ConnectionPermit {
    /// Counts the connection for its caller, who is known only after a PROXY protocol header.
    pub(super) fn assign_peer(&mut self, caller: IpAddr) -> Result<(), LimitReached> {
        let Some(address) = self.limits.counted(caller) else {
            return Ok(());
        };
        let mut addresses = self.limits.addresses.lock();
        let open = addresses.entry(address).or_default();
        if *open >= self.limits.max_per_address {
            return Err(LimitReached::Address);
        }
        *open += 1;
        drop(addresses);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else {
            return;
        };
        let mut addresses = self.limits.addresses.lock();
        if let Some(open) = addresses.get_mut(&address) {
            *open -= 1;
            // Or the map would grow with every address that ever called.
            if *open == 0 {
                addresses.remove(&address);
            }
        }
    }
}

/// Which limit a connection has met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) enum LimitReached {
    /// `connections_per_address`.
    Address,
    /// `connections`.
    Total,
}

impl LimitReached {
    /// Its name in `[limits]`, in logs and in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Address => "connections_per_address",
            Self::Total => "connections",
        }
    }
}

const DEFAULT_PER_ADDRESS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: usize, per_address: PerAddress) -> Arc<ConnectionLimits> {
        Arc::new(ConnectionLimits::new(total, per_address))
    }

    #[test]
    fn places_return_when_connections_end() {
        let limits = limits(2, PerAddress::Default);
        let first = limits.acquire().unwrap();
        let _second = limits.acquire().unwrap();
        assert_eq!(limits.acquire().unwrap_err(), LimitReached::Total);
        drop(first);
        assert!(limits.acquire().is_ok());
    }

    #[test]
    fn one_address_cannot_take_the_places_of_others() {
        let limits = limits(10, PerAddress::Configured(1));
        let assign = |caller: &str| {
            let mut permit = limits.acquire().unwrap();
            permit.assign_peer(caller.parse().unwrap()).map(|()| permit)
        };
        let first = assign("10.0.0.1").unwrap();
        assert_eq!(
            assign("::ffff:10.0.0.1").unwrap_err(),
            LimitReached::Address
        );
        assert!(assign("10.0.0.2").is_ok());
        let _network = assign("2001:db8::1").unwrap();
        assert_eq!(assign("2001:db8::2").unwrap_err(), LimitReached::Address);
        drop(first);
        assert!(assign("10.0.0.1").is_ok());
        assert_eq!(limits.addresses.lock().len(), 1);
    }

    #[test]
    fn loopback_is_counted_only_when_configured() {
        let uncounted = limits(1000, PerAddress::Default);
        let _open: Vec<_> = (0..200)
            .map(|_| {
                let mut permit = uncounted.acquire().unwrap();
                permit.assign_peer(IpAddr::from([127, 0, 0, 1])).unwrap();
                permit
            })
            .collect();
    }
}
