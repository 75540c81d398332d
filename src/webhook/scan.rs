//! Finds what waits, at start and every minute: a wake-up may be lost, and files may be restored
//! from a backup.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Wake;
use super::cursor::Cursor;
use super::tail;
use crate::telemetry::DeliveryMetrics;
use engage_store::{DeviceId, StoreReader};

/// Wakes the deliverer for every device that has undelivered events, for ever.
pub(super) async fn repeat(
    root: PathBuf,
    wake: Arc<Wake>,
    metrics: DeliveryMetrics,
    every: Duration,
) {
    loop {
        let folder = root.clone();
        match tokio::task::spawn_blocking(move || waiting(&folder)).await {
            Ok(Ok(waiting)) => {
                let oldest = waiting.iter().map(|(_, oldest)| *oldest).min();
                metrics.waiting(waiting.len(), oldest.map(Timestamp::as_second));
                for (device, _) in waiting {
                    wake.appended(device);
                }
            }
            Ok(Err(error)) => warn!(%error, "failed to look for undelivered events"),
            // The runtime is ending.
            Err(error) => debug!(%error, "the look for undelivered events was interrupted"),
        }
        sleep(every).await;
    }
}

fn waiting(root: &Path) -> io::Result<Vec<(DeviceId, Timestamp)>> {
    let mut waiting = Vec::new();
    for device in StoreReader::new(root).devices()? {
        let directory = root.join(device.to_string());
        match Cursor::load(&directory).and_then(|cursor| tail::oldest(&directory, &cursor)) {
            Ok(Some(oldest)) => waiting.push((device, oldest)),
            Ok(None) => {}
            // One device's files must not hide the others.
            Err(error) => warn!(%device, %error, "failed to look for undelivered events"),
        }
    }
    Ok(waiting)
}
