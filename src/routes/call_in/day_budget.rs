//! What callers may bring to be stored within a day: `[limits] device_day_bytes`.

use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use engage_store::{Call, DeviceId};
use engage_wire::{CallerNetwork, ShardedLru};

/// Counts what each device brings, wherever it calls from, and what each network brings without
/// credentials, which is eight devices' worth. An event counts as its row, so their number is bounded
/// too.
///
/// Whoever has anything left may bring one body more, however long it is. What was counted is
/// forgotten evenly over a day. Loopback is no network: a proxy on this computer speaks for many
/// devices.
#[derive(Debug)]
pub struct DayBudget {
    devices: Budgets<DeviceId>,
    /// Apart from the devices: strangers who invent those make no network forgotten.
    networks: Budgets<CallerNetwork>,
}

/// One for each device, or for each network.
#[derive(Debug)]
struct Budgets<K> {
    allowed: u64,
    spent: ShardedLru<K, Spent>,
}

/// For whom it is counted. Displayed as "device .." or "network ..".
#[derive(Clone, Copy, Debug)]
pub(super) enum Payer {
    Device(DeviceId),
    Network(CallerNetwork),
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    bytes: u64,
    at: Instant,
}

/// Somebody has brought as much as is allowed.
#[derive(Debug)]
pub(super) struct OverBudget {
    pub(super) payer: Payer,
    /// What it has brought within a day, in bytes.
    pub(super) spent: u64,
    /// What it may bring.
    pub(super) allowed: u64,
}

impl DayBudget {
    /// With so many bytes for each device.
    pub(crate) fn new(device_bytes: usize) -> Self {
        let device_bytes = device_bytes as u64;
        Self {
            devices: Budgets::new(device_bytes),
            networks: Budgets::new(device_bytes * DEVICES_A_NETWORK),
        }
    }

    /// Counts what a call brings, before it is stored: whoever hangs up meanwhile has brought it too.
    pub(super) fn charge(&self, call: &Call, bytes: usize) -> Result<(), OverBudget> {
        self.charge_at(call, bytes as u64, Instant::now())
    }

    /// Uncounts what was not stored after all, or had been before.
    pub(super) fn give_back(&self, call: &Call, bytes: usize) {
        self.devices.give_back(call.device, bytes as u64);
        if let Some(network) = network(call) {
            self.networks.give_back(network, bytes as u64);
        }
    }

    fn charge_at(&self, call: &Call, bytes: u64, now: Instant) -> Result<(), OverBudget> {
        let network = network(call);
        if let Some(network) = network {
            self.networks.charge_at(network, bytes, now)?;
        }
        let charged = self.devices.charge_at(call.device, bytes, now);
        if let (Err(_), Some(network)) = (&charged, network) {
            self.networks.give_back(network, bytes);
        }
        charged
    }
}

impl<K: Copy + Eq + Hash + Into<Payer>> Budgets<K> {
    fn new(allowed: u64) -> Self {
        Self {
            allowed,
            spent: ShardedLru::default(),
        }
    }

    fn charge_at(&self, key: K, bytes: u64, now: Instant) -> Result<(), OverBudget> {
        let allowed = self.allowed;
        let mut shard = self.spent.shard_of(&key);
        let before = shard.get(&key);
        let spent = before.map_or(0, |it| it.left_at(now, allowed));
        if spent >= allowed {
            return Err(OverBudget {
                payer: key.into(),
                spent,
                allowed,
            });
        }
        // Who brings nothing takes nobody's place.
        if bytes > 0 {
            let bytes = spent + bytes;
            shard.insert(key, Spent { bytes, at: now });
        }
        Ok(())
    }

    fn give_back(&self, key: K, bytes: u64) {
        let mut shard = self.spent.shard_of(&key);
        let Some(spent) = shard.get_mut(&key) else {
            return;
        };
        spent.bytes = spent.bytes.saturating_sub(bytes);
        if spent.bytes == 0 {
            shard.remove(&key);
        }
    }
}

impl Spent {
    /// What is not forgotten yet of it.
    fn left_at(self, now: Instant, allowed: u64) -> u64 {
        let millis = now.saturating_duration_since(self.at).as_millis();
        let forgotten = u128::from(allowed) * millis / DAY.as_millis();
        let forgotten = u64::try_from(forgotten).unwrap_or(u64::MAX);
        self.bytes.saturating_sub(forgotten)
    }
}

/// The network that is charged for a call.
fn network(call: &Call) -> Option<CallerNetwork> {
    let is_charged = !call.is_authenticated && !call.peer.to_canonical().is_loopback();
    is_charged.then(|| call.peer.into())
}

impl From<DeviceId> for Payer {
    fn from(device: DeviceId) -> Self {
        Self::Device(device)
    }
}

impl From<CallerNetwork> for Payer {
    fn from(network: CallerNetwork) -> Self {
        Self::Network(network)
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(f, "device {device}"),
            Self::Network(network) => write!(f, "network {network}"),
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

/// A building's locks behind one address are in sync by the next nights.
const DEVICES_A_NETWORK: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u32, peer: &str, is_authenticated: bool) -> Call {
        Call {
            device: format!("{number:016X}").parse().unwrap(),
            peer: peer.parse().unwrap(),
            is_authenticated,
            is_listed: false,
            received_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_device_brings_as_much_as_allowed_and_the_rest_after_a_while() {
        let (budget, now) = (DayBudget::new(2400), Instant::now());
        let lock = call(1, "10.44.0.7", true);
        budget.charge_at(&lock, 2399, now).unwrap();
        // However long it is: else it could never be stored.
        budget.charge_at(&lock, 2401, now).unwrap();
        let over = budget.charge_at(&lock, 1, now).unwrap_err();
        assert_eq!((over.spent, over.allowed), (4800, 2400));
        assert_eq!(over.payer.to_string(), "device 0000000000000001");
        budget
            .charge_at(&call(2, "10.44.0.7", true), 1, now)
            .unwrap();
        // 100 bytes an hour.
        let later = |hours| now + Duration::from_hours(hours);
        assert!(budget.charge_at(&lock, 1, later(24)).is_err());
        budget.charge_at(&lock, 1, later(25)).unwrap();
    }

    #[test]
    fn what_is_given_back_was_never_brought() {
        let (budget, now) = (DayBudget::new(1000), Instant::now());
        let lock = call(1, "10.44.0.7", false);
        for _ in 0..100 {
            budget.charge_at(&lock, 1000, now).unwrap();
            budget.give_back(&lock, 1000);
        }
    }

    #[test]
    fn strangers_of_one_network_share_one_budget_and_take_nobody_elses() {
        let (budget, now) = (DayBudget::new(1000), Instant::now());
        let charge = |number, peer: &str, is_authenticated| {
            budget.charge_at(&call(number, peer, is_authenticated), 1000, now)
        };
        for number in 0..8 {
            charge(number, &format!("2001:db8::{number}"), false).unwrap();
        }
        let over = charge(8, "2001:db8::8", false).unwrap_err();
        assert_eq!((over.spent, over.allowed), (8000, 8000));
        assert_eq!(over.payer.to_string(), "network 2001:db8::");
        charge(8, "2001:db8::8", true).unwrap();
        charge(9, "2001:db8:0:1::", false).unwrap();
        for number in 100..120 {
            charge(number, "::ffff:127.0.0.1", false).unwrap();
        }
    }

    #[test]
    fn who_invents_devices_makes_no_network_forgotten() {
        let (budget, now) = (DayBudget::new(1000), Instant::now());
        let charge = |number: u32, host: u32, bytes| {
            let peer = format!("10.66.0.{host}");
            budget.charge_at(&call(number, &peer, false), bytes, now)
        };
        assert!((0..4000).all(|number| charge(number, 1, 2).is_ok()));
        // More than is remembered of devices, and as many that bring nothing at all.
        for number in 4000..204_000 {
            charge(number, 2 + number % 200, u64::from(number % 2)).unwrap();
        }
        assert!((0..4000).all(|number| charge(number, 1, 2).is_err()));
    }

    #[test]
    fn a_device_has_one_budget_wherever_it_calls_from() {
        let (budget, now) = (DayBudget::new(1000), Instant::now());
        let charge = |host: u32, is_authenticated| {
            let peer = format!("10.44.0.{host}");
            budget.charge_at(&call(1, &peer, is_authenticated), 100, now)
        };
        for host in 0..10 {
            charge(host, host % 2 == 0).unwrap();
        }
        for host in 10..200 {
            let over = charge(host, host % 2 == 0).unwrap_err();
            assert_eq!(over.payer.to_string(), "device 0000000000000001");
        }
        // What was refused is not counted for the network either.
        let networks = budget.networks.spent.take_all();
        assert_eq!(networks.iter().map(|(_, it)| it.bytes).sum::<u64>(), 500);
    }

    #[test]
    fn what_brings_nothing_is_not_remembered() {
        let (budget, now) = (DayBudget::new(1000), Instant::now());
        for number in 0..100 {
            budget
                .charge_at(&call(number, "10.44.0.7", false), 0, now)
                .unwrap();
            let given_back = call(number, "10.44.0.8", false);
            budget.charge_at(&given_back, 9, now).unwrap();
            budget.give_back(&given_back, 9);
        }
        assert_eq!(budget.devices.spent.take_all().len(), 0);
        assert_eq!(budget.networks.spent.take_all().len(), 0);
    }
}
