//! The row of the store that says where a rotation stands.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::rotation::RotationFollower;
use engage_store::StoredRotation;

/// The row that says where a rotation stands.
pub(in crate::daemon) struct FollowedRotation {
    pub(super) follower: Arc<RotationFollower>,
    row: watch::Receiver<StoredRotation>,
    /// Of the publication in force.
    pub(super) revision: i64,
}

impl FollowedRotation {
    /// What is published now was made from what the follower knows.
    pub(in crate::daemon) fn new(follower: Arc<RotationFollower>) -> Self {
        let mut row = follower.subscribe();
        let revision = row.borrow_and_update().revision;
        Self {
            follower,
            row,
            revision,
        }
    }

    /// As the store says now, if it does so in time.
    pub(super) async fn now(&mut self) -> StoredRotation {
        let _ = timeout(ROW_TIMEOUT, self.follower.refresh()).await;
        self.row.borrow_and_update().clone()
    }
}

/// Completes when the row has changed. Cancel safe.
pub(super) async fn rotation_changed(rotation: &mut Option<FollowedRotation>) {
    if let Some(FollowedRotation { row, .. }) = rotation
        && row.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// A reload does not wait long for the store.
const ROW_TIMEOUT: Duration = Duration::from_secs(1);
