//! The memory that all bodies in flight share, of requests and of the answers that are made for one
//! device: `[limits] body_memory_bytes`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::config::{Limits, PerAddress};
use engage_wire::CallerNetwork;

/// Shares memory out so that callers who let bodies stall leave some for others: one network gets an
/// eighth of what the others leave, or one body of the longest length if that is more.
///
/// As with connections, loopback is one caller only where `connections_per_address` is configured:
/// a proxy on this computer speaks for many devices.
#[derive(Clone, Debug)]
pub struct BodyMemory(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    total: usize,
    longest_body: usize,
    counts_loopback: bool,
    taken: Mutex<Taken>,
}

/// In bytes.
#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_caller: HashMap<CallerNetwork, usize>,
}

/// The memory that one body takes, given back when it is dropped.
#[derive(Debug)]
pub(super) struct BodyPermit {
    memory: BodyMemory,
    caller: Option<CallerNetwork>,
    /// What the caller can have at once in any case, as far as it is there.
    longest: usize,
    bytes: usize,
}

/// A body of which the memory is given back when its last byte has been written.
struct Answer {
    body: Bytes,
    _memory: BodyPermit,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// A body would take more than there is for its caller.
#[derive(Debug)]
pub(super) struct NoMemory {
    /// What the bodies of the caller would take, in bytes.
    pub(super) needed: usize,
    /// What they may take.
    pub(super) allowed: usize,
}

impl BodyMemory {
    /// As much as `limits` allow, and at least two bodies of the longest length.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Budget {
            total: limits.body_memory_bytes.max(2 * limits.body_bytes),
            longest_body: limits.body_bytes,
            counts_loopback: limits.connections_per_address != PerAddress::Default,
            taken: Mutex::default(),
        }))
    }

    /// Takes nothing yet: a client that sends nothing takes nothing from others.
    pub(super) fn permit(&self, caller: IpAddr) -> BodyPermit {
        let is_counted = self.0.counts_loopback || !caller.to_canonical().is_loopback();
        BodyPermit {
            memory: self.clone(),
            caller: is_counted.then(|| caller.into()),
            longest: self.0.longest_body,
            bytes: 0,
        }
    }

    /// The same body, which takes memory until it has been written or given up: a caller that asks
    /// for much and reads nothing takes its share and no more.
    pub(super) fn answer(&self, caller: IpAddr, body: Bytes) -> Result<Bytes, NoMemory> {
        let longest = body.len();
        let mut memory = self.permit(caller);
        memory.longest = longest;
        memory.grow_to(longest)?;
        Ok(Bytes::from_owner(Answer {
            body,
            _memory: memory,
        }))
    }
}

impl BodyPermit {
    /// Takes as much as makes `bytes` in all.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let more = bytes.saturating_sub(self.bytes);
        let Budget {
            total, ref taken, ..
        } = *self.memory.0;
        let mut taken = taken.lock();
        let own = |taken: &Taken| taken.by_caller.get(&self.caller?).copied();
        let own = own(&taken).unwrap_or_default();
        let left_by_others = total.saturating_sub(taken.in_all - own);
        let allowed = match self.caller {
            // Half at most, however long a body may be: the next caller gets something too.
            Some(_) => (left_by_others / 8).max(self.longest.min(left_by_others / 2)),
            None => left_by_others,
        };
        let needed = own + more;
        if needed > allowed {
            return Err(NoMemory { needed, allowed });
        }
        taken.in_all += more;
        if let Some(caller) = self.caller {
            taken.by_caller.insert(caller, needed);
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        let mut taken = self.memory.0.taken.lock();
        taken.in_all -= self.bytes;
        let Some(caller) = self.caller else {
            return;
        };
        if let Some(own) = taken.by_caller.get_mut(&caller) {
            *own -= self.bytes;
            // Or the map would grow with every address that ever called.
            if *own == 0 {
                taken.by_caller.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn memory(connections_per_address: PerAddress) -> BodyMemory {
        BodyMemory::new(&Limits {
            body_bytes: 256 * KIB,
            body_memory_bytes: 1024 * KIB,
            connections_per_address,
            ..Limits::default()
        })
    }

    /// Bodies of `bytes` until there is no memory for another.
    fn fill(memory: &BodyMemory, caller: &str, bytes: usize) -> Vec<BodyPermit> {
        let caller = caller.parse().unwrap();
        let next = || {
            let mut permit = memory.permit(caller);
            permit.grow_to(bytes).ok().map(|()| permit)
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn one_network_leaves_memory_for_others_and_gives_its_own_back() {
        let memory = memory(PerAddress::Default);
        let held = fill(&memory, "2001:db8::1", 64 * KIB);
        assert_eq!(held.len(), 4);
        assert!(fill(&memory, "2001:db8::2", 4 * KIB).is_empty());
        assert_eq!(fill(&memory, "10.0.0.1", 256 * KIB).len(), 1);
        let mut longer = memory.permit([10, 0, 0, 2].into());
        longer.grow_to(4 * KIB).unwrap();
        longer.grow_to(256 * KIB).unwrap();
        drop((held, longer));
        assert_eq!(memory.0.taken.lock().by_caller.len(), 0);
        assert_eq!(memory.0.taken.lock().in_all, 0);
    }

    #[test]
    fn networks_that_take_all_they_can_leave_something_for_the_next() {
        let memory = memory(PerAddress::Default);
        let callers = (1..=6).map(|number| format!("10.0.0.{number}"));
        let held: Vec<_> = callers
            .map(|caller| fill(&memory, &caller, 4 * KIB))
            .collect();
        assert!(held.iter().all(|bodies| !bodies.is_empty()));
        assert!(!fill(&memory, "10.0.1.1", 4 * KIB).is_empty());
    }

    #[test]
    fn answers_that_nobody_reads_take_their_callers_share() {
        let memory = memory(PerAddress::Default);
        let caller = [10, 0, 0, 1].into();
        let answer = || memory.answer(caller, vec![0; 400 * KIB].into());
        let held = answer().unwrap();
        assert_eq!(held.len(), 400 * KIB);
        assert!(answer().is_err());
        assert!(memory.answer([10, 0, 0, 2].into(), held.clone()).is_err());
        drop(held);
        assert!(answer().is_ok());
        assert_eq!(memory.0.taken.lock().in_all, 0);
    }

    #[test]
    fn loopback_is_one_caller_only_when_configured() {
        let all = fill(&memory(PerAddress::Default), "127.0.0.1", 4 * KIB);
        assert_eq!(all.len(), 256);
        let share = fill(&memory(PerAddress::Configured(9)), "127.0.0.1", 4 * KIB);
        assert_eq!(share.len(), 64);
    }
}
