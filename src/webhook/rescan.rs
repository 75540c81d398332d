//! Finds what waits, at start and every minute: a hint may be lost, and events may be restored from
//! a backup.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::SUBSCRIBER;
use crate::telemetry::DeliveryMetrics;
use engage_store::{AppendedDevices, EventLog};
use engage_wire::diagnostic::causes;

/// Adds every device that has undelivered events, for ever.
pub(super) async fn rescan_loop(
    log: Arc<dyn EventLog>,
    appended: AppendedDevices,
    metrics: DeliveryMetrics,
    interval: Duration,
) {
    loop {
        match log.pending(SUBSCRIBER).await {
            Ok(pending) => {
                let oldest = pending.iter().map(|it| it.oldest.as_second()).min();
                metrics.waiting(pending.len(), oldest);
                for found in pending {
                    appended.add(found.device);
                }
            }
            Err(error) => {
                warn!(error = %causes(&error), "failed to look for undelivered events");
            }
        }
        sleep(interval).await;
    }
}
