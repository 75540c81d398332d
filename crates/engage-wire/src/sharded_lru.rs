//! What is remembered of callers: bounded, and without one lock for all.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use hashlink::LruCache;
use parking_lot::{Mutex, MutexGuard};

use crate::CallerNetwork;

/// A map that forgets what was used longest ago, in shards with a lock each.
///
/// The caller's network decides the [shard](Self::shard): whoever has a whole IPv6 /64 to call from
/// pushes out what one shard remembers, and no more. Where it must not matter who calls, the key does
/// ([`shard_of`](Self::shard_of)). A map is asked in one of the two ways.
#[derive(Debug)]
pub struct ShardedLru<K, V> {
    shards: Box<[Mutex<LruCache<K, V>>]>,
    hasher: RandomState,
}

impl<K: Eq + Hash, V> ShardedLru<K, V> {
    /// With room for so many entries, if they are spread evenly.
    pub fn with_capacity(max_entries: usize) -> Self {
        let shard = || Mutex::new(LruCache::new(max_entries / SHARDS));
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The part of the map that knows about `caller`. Nothing slow may be done while it is held.
    pub fn shard(&self, caller: IpAddr) -> MutexGuard<'_, LruCache<K, V>> {
        self.shard_by(&CallerNetwork::from(caller))
    }

    /// The part of the map that knows about `key`, whoever calls. As above.
    pub fn shard_of(&self, key: &K) -> MutexGuard<'_, LruCache<K, V>> {
        self.shard_by(key)
    }

    fn shard_by(&self, chosen_by: &impl Hash) -> MutexGuard<'_, LruCache<K, V>> {
        let hash = self.hasher.hash_one(chosen_by);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        self.shards[hash as usize % SHARDS].lock()
    }

    /// Takes every entry out, a shard after the other.
    pub fn take_all(&self) -> Vec<(K, V)> {
        let entries = self.shards.iter().flat_map(|shard| {
            let mut shard = shard.lock();
            shard.drain().collect::<Vec<_>>()
        });
        entries.collect()
    }
}

impl<K: Eq + Hash, V> Default for ShardedLru<K, V> {
    fn default() -> Self {
        Self::with_capacity(SHARDS * MAX_ENTRIES_EACH)
    }
}

const SHARDS: usize = 64;
const MAX_ENTRIES_EACH: usize = 1024;
