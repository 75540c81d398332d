//! Handshakes that are under way, by address: a device that does not accept a chain may come again before
//! it has been noticed that it did not.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

/// As many as there are connections.
#[derive(Debug, Default)]
pub(super) struct Unfinished(Mutex<HashMap<IpAddr, OfAddress>>);

#[derive(Debug, Default)]
struct OfAddress {
    count: usize,
    ended: Arc<Notify>,
}

/// A handshake in which a chain was chosen; over, with what it says of the client recorded, when dropped.
#[derive(Debug)]
pub(crate) struct UnfinishedHandshake {
    of: Arc<Unfinished>,
    peer: IpAddr,
}

impl Unfinished {
    pub(super) fn begin(self: &Arc<Self>, peer: IpAddr) -> UnfinishedHandshake {
        let peer = peer.to_canonical();
        self.0.lock().entry(peer).or_default().count += 1;
        UnfinishedHandshake {
            of: Arc::clone(self),
            peer,
        }
    }

    /// Waits a moment for what is under way from an address.
    pub(super) async fn settled(&self, peer: IpAddr) {
        let peer = peer.to_canonical();
        let all_ended = async {
            loop {
                let ended = {
                    let unfinished = self.0.lock();
                    let Some(of_address) = unfinished.get(&peer) else {
                        return;
                    };
                    // Made before the lock is let go, it misses none that ends then.
                    Arc::clone(&of_address.ended).notified_owned()
                };
                ended.await;
            }
        };
        let _ = timeout(SETTLE_TIMEOUT, all_ended).await;
    }
}

impl Drop for UnfinishedHandshake {
    fn drop(&mut self) {
        let mut unfinished = self.of.0.lock();
        let Some(of_address) = unfinished.get_mut(&self.peer) else {
            return;
        };
        of_address.count -= 1;
        of_address.ended.notify_waiters();
        if of_address.count == 0 {
            unfinished.remove(&self.peer);
        }
    }
}

/// The alert of an earlier connection is mostly there before the next one's hello is. Others behind the
/// same address wait no longer than this for one that is slow.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[tokio::test(start_paused = true)]
    async fn the_next_from_an_address_waits_for_those_under_way_and_not_for_long() {
        let unfinished = Arc::new(Unfinished::default());
        let started = Instant::now();
        unfinished.settled(PEER).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        let slow = unfinished.begin(PEER);
        let quick = unfinished.begin(PEER);
        let end = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(quick);
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(slow);
        };
        tokio::join!(unfinished.settled(PEER), end);
        assert_eq!(started.elapsed(), Duration::from_millis(10));
        let stalled = unfinished.begin(PEER);
        unfinished.settled([10, 0, 0, 2].into()).await;
        assert_eq!(started.elapsed(), Duration::from_millis(10));
        unfinished.settled(PEER).await;
        assert!(started.elapsed() >= SETTLE_TIMEOUT);
        drop(stalled);
        assert!(unfinished.0.lock().is_empty());
    }
}
