//! What callers may bring to be stored within a day: `[limits] device_day_bytes`.

use std::fmt;
use std::time::{Duration, Instant};

use engage_store::{Call, DeviceId};
use engage_wire::{CallerNetwork, ShardedLru};

/// Counts what each device brings, and what each network brings without credentials, which is eight
/// devices' worth. An event counts as its row, so their number is bounded too.
///
/// Whoever has anything left may bring one body more, however long it is. What was counted is
/// forgotten evenly over a day. Loopback is no network: a proxy on this computer speaks for many
/// devices.
#[derive(Debug)]
pub struct DayBudget {
    device_bytes: u64,
    spent: ShardedLru<Payer, Spent>,
}

/// For whom it is counted. Displayed as "device .." or "network ..".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
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
        Self {
            device_bytes: device_bytes as u64,
            spent: ShardedLru::default(),
        }
    }

    /// Counts what a call brings, before it is stored: whoever hangs up meanwhile has brought it too.
    pub(super) fn charge(&self, call: &Call, bytes: usize) -> Result<(), OverBudget> {
        self.charge_at(call, bytes, Instant::now())
    }

    /// Uncounts what was not stored after all, or had been before.
    pub(super) fn give_back(&self, call: &Call, bytes: usize) {
        let mut shard = self.spent.shard(call.peer);
        for payer in payers(call) {
            if let Some(spent) = shard.get_mut(&payer) {
                spent.bytes = spent.bytes.saturating_sub(bytes as u64);
            }
        }
    }

    fn charge_at(&self, call: &Call, bytes: usize, now: Instant) -> Result<(), OverBudget> {
        // The device's and its network's are in the same one.
        let mut shard = self.spent.shard(call.peer);
        let spent: Vec<_> = payers(call)
            .map(|payer| {
                let allowed = self.allowed(payer);
                let before = shard.get(&payer);
                (payer, before.map_or(0, |it| it.left_at(now, allowed)))
            })
            .collect();
        for &(payer, spent) in &spent {
            let allowed = self.allowed(payer);
            if spent >= allowed {
                return Err(OverBudget {
                    payer,
                    spent,
                    allowed,
                });
            }
        }
        for (payer, spent) in spent {
            let bytes = spent + bytes as u64;
            shard.insert(payer, Spent { bytes, at: now });
        }
        Ok(())
    }

    fn allowed(&self, payer: Payer) -> u64 {
        match payer {
            Payer::Device(_) => self.device_bytes,
            Payer::Network(_) => self.device_bytes * DEVICES_A_NETWORK,
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

fn payers(call: &Call) -> impl Iterator<Item = Payer> {
    let is_counted = !call.is_authenticated && !call.peer.to_canonical().is_loopback();
    let network = is_counted.then(|| Payer::Network(call.peer.into()));
    std::iter::once(Payer::Device(call.device)).chain(network)
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
    fn who_invents_devices_does_not_make_its_network_forgotten() {
        let (budget, now) = (DayBudget::new(1000), Instant::now());
        let charge = |number| budget.charge_at(&call(number, "10.66.0.1", false), 2, now);
        assert!((0..4000).all(|number| charge(number).is_ok()));
        assert!((0..4000).all(|number| charge(number).is_err()));
    }
}
