//! Who fetched an announcement, and whether it helped.
//!
//! A device asks again whenever a TLS connection fails certificate validation (PROTOCOL.md section
//! 1), so fetches without a TLS session are what a wrong anchor or a wrong site key looks like here.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tracing::warn;

use engage_store::Store;
use engage_wire::{CallerThrottle, ShardedLru};

/// Fetches in clear text since the last TLS session, by address.
#[derive(Debug)]
pub struct AnnouncementFetches {
    without_tls: ShardedLru<IpAddr, WithoutTls>,
    /// To ask the store.
    questions: Semaphore,
    /// Suspicions that have been logged.
    log: CallerThrottle,
}

/// So many fetches without a TLS session here that the device probably finds something wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Suspicion {
    peer: IpAddr,
    count: u32,
    /// Since the first of them.
    age: Duration,
}

/// Fetches in clear text since the last TLS session.
#[derive(Clone, Copy, Debug)]
struct WithoutTls {
    since: Instant,
    count: u32,
    reported: Option<Instant>,
}

impl AnnouncementFetches {
    /// An announcement was fetched from `peer`, in clear text. The third time without a TLS
    /// session is a suspicion to be reported, and then one an hour.
    pub fn fetched_in_clear(&self, peer: IpAddr) -> Option<Suspicion> {
        self.count_without_tls(peer, Instant::now())
    }

    /// Logs a suspicion as a probable mismatch, unless the store knows better: behind a balancer, the
    /// TLS session may have been at another host.
    pub async fn report(&self, suspicion: Suspicion, store: Option<&dyn Store>) {
        let Suspicion { peer, count, age } = suspicion;
        if self.had_session_elsewhere(peer, age, store).await {
            return self.handshake_completed(peer);
        }
        if let Some(others) = self.log.check(peer) {
            warn!(
                %peer, count, others = others.count(),
                "{peer} has fetched the announcement {count} times without a TLS session: its site key or its installed certificate probably does not match{others}",
            );
        }
    }

    async fn had_session_elsewhere(
        &self,
        peer: IpAddr,
        age: Duration,
        store: Option<&dyn Store>,
    ) -> bool {
        // Strangers who ask from everywhere do not fill the store with questions.
        let (Some(store), Ok(_permit)) = (store, self.questions.try_acquire()) else {
            return false;
        };
        let age = SignedDuration::try_from(age).unwrap_or_default();
        let first = Timestamp::now() - age;
        let last = store.last_tls_session(peer).await;
        last.is_ok_and(|at| at.is_some_and(|at| at >= first))
    }

    /// Somebody completed a handshake from `peer`: whatever was wrong is right now.
    pub fn handshake_completed(&self, peer: IpAddr) {
        self.without_tls.shard(peer).remove(&peer.to_canonical());
    }

    fn count_without_tls(&self, peer: IpAddr, now: Instant) -> Option<Suspicion> {
        let mut shard = self.without_tls.shard(peer);
        let fetches = shard
            .entry(peer.to_canonical())
            .or_insert_with(|| WithoutTls::new(now));
        let count = fetches.count(now)?;
        let age = now.duration_since(fetches.since);
        Some(Suspicion { peer, count, age })
    }
}

impl Default for AnnouncementFetches {
    fn default() -> Self {
        Self {
            without_tls: ShardedLru::default(),
            questions: Semaphore::new(MAX_QUESTIONS),
            log: CallerThrottle::default(),
        }
    }
}

impl WithoutTls {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            count: 0,
            reported: None,
        }
    }

    /// One more. Returns how many there are, if that is to be reported.
    fn count(&mut self, now: Instant) -> Option<u32> {
        if now.duration_since(self.since) >= FORGET_AFTER {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        let is_due = self
            .reported
            .is_none_or(|at| now.duration_since(at) >= BETWEEN_REPORTS);
        if self.count < MIN_SUSPICIOUS_FETCHES || !is_due {
            return None;
        }
        self.reported = Some(now);
        Some(self.count)
    }
}

/// Commissioning may ask twice; a third time without TLS is not normal.
const MIN_SUSPICIOUS_FETCHES: u32 = 3;
const MAX_QUESTIONS: usize = 4;
const BETWEEN_REPORTS: Duration = Duration::from_hours(1);
/// Devices call once a night: three fetches in as many nights are still suspicious.
const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_third_fetch_is_reported_and_then_one_an_hour() {
        let start = Instant::now();
        let mut fetches = WithoutTls::new(start);
        let mut at = |seconds| fetches.count(start + Duration::from_secs(seconds));
        assert_eq!((at(0), at(1), at(2), at(3)), (None, None, Some(3), None));
        assert_eq!(at(3603), Some(5));
    }

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn a_handshake_clears_the_suspicion() {
        let (fetches, now) = (AnnouncementFetches::default(), Instant::now());
        fetches.count_without_tls(PEER, now);
        fetches.count_without_tls(PEER, now);
        fetches.handshake_completed(PEER);
        assert_eq!(fetches.count_without_tls(PEER, now), None);
    }

    #[test]
    fn devices_of_one_ipv6_subnet_are_not_taken_for_each_other() {
        let fetches = AnnouncementFetches::default();
        let now = Instant::now();
        for host in 0..20 {
            assert_eq!(fetches.count_without_tls(ipv6(host), now), None);
        }
    }

    fn ipv6(host: u128) -> IpAddr {
        IpAddr::V6((0x2001_0db8_u128 << 96 | host).into())
    }
}
