//! Which new devices may have a record.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use sqlx::AnyConnection;

use super::device_count::count;
use super::devices::known;
use super::shared::Shared;
use crate::quota::{Admitted, Capacity, Newcomer};
use crate::{DeviceId, StoreError};

/// Counts the callers that are new, and returns those that may not have a record too, with the
/// reason: serial numbers can be invented.
pub(super) async fn admit(
    connection: &mut AnyConnection,
    shared: &Shared,
    mut callers: BTreeMap<DeviceId, Newcomer>,
) -> Result<(Admitted, HashMap<DeviceId, StoreError>), sqlx::Error> {
    let devices: Vec<_> = callers.keys().copied().collect();
    for device in known(connection, &devices).await? {
        callers.remove(&device);
    }
    let room = room(connection, shared, &callers).await?;
    Ok(Admitted::count(&shared.quota, callers.into_values(), room))
}

async fn room(
    connection: &mut AnyConnection,
    shared: &Shared,
    newcomers: &BTreeMap<DeviceId, Newcomer>,
) -> Result<Capacity, sqlx::Error> {
    let now = newcomers.values().map(|new| new.call.received_at).max();
    let Some(now) = now else {
        return Ok(Capacity::default());
    };
    let count = match shared.quota.counted(Instant::now()) {
        Some(count) => count,
        None => count(connection, &shared.quota).await?,
    };
    let wanted = newcomers.len();
    let evictable = if count.has_room_for(wanted) {
        0
    } else {
        let subscribers = shared.subscribers.all();
        let evictions = &shared.evictions;
        evictions
            .evictable(connection, &subscribers, now, wanted)
            .await?
    };
    Ok(Capacity { count, evictable })
}
