//! What is remembered of callers: bounded, and without one lock for all.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use hashlink::LruCache;
use parking_lot::{Mutex, MutexGuard};

use engage_wire::CallerNetwork;

/// A map that forgets what was used longest ago, in shards with a lock each.
///
/// The caller's network decides the shard: whoever has a whole IPv6 /64 to call from pushes out what
/// one shard remembers, and no more.
#[derive(Debug)]
pub(crate) struct ShardedLru<K, V> {
    shards: Box<[Mutex<LruCache<K, V>>]>,
    hasher: RandomState,
}

impl<K: Eq + Hash, V> ShardedLru<K, V> {
    /// The part of the map that knows about `caller`. Nothing slow may be done while it is held.
    pub(crate) fn shard(&self, caller: IpAddr) -> MutexGuard<'_, LruCache<K, V>> {
        let hash = self.hasher.hash_one(CallerNetwork::from(caller));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        self.shards[hash as usize % SHARDS].lock()
    }

    /// Shows every entry, a shard after the other. Nothing slow may be done meanwhile.
    pub(crate) fn for_each(&self, mut show: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            for (key, value) in shard.lock().iter() {
                show(key, value);
            }
        }
    }
}

impl<K: Eq + Hash, V> Default for ShardedLru<K, V> {
    fn default() -> Self {
        let shard = || Mutex::new(LruCache::new(MAX_ENTRIES / SHARDS));
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
        }
    }
}

const SHARDS: usize = 64;
const MAX_ENTRIES: usize = 65_536;
