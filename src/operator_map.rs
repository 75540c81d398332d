//! Maps whose keys the operator writes: no stranger can choose keys that collide, so hashing may be
//! quick. A reload of ten thousand sites makes several of them anew.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

pub(crate) type OperatorMap<K, V> = HashMap<K, V, RandomState>;
pub(crate) type OperatorSet<K> = HashSet<K, RandomState>;

/// With room for so many.
pub(crate) fn operator_map<K, V>(capacity: usize) -> OperatorMap<K, V> {
    HashMap::with_capacity_and_hasher(capacity, RandomState::default())
}
