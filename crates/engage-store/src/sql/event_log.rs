//! The store as subscribers of its events see it.

use std::sync::Arc;

use async_trait::async_trait;

use super::store::SqlStore;
use super::{events, hosts};
use crate::{
    AppendedDevices, BatchLimit, Cursor, DeviceId, EventBatch, EventLog, Lease, PendingDevice,
    StoreError, Subscriber,
};

#[async_trait]
impl EventLog for SqlStore {
    fn subscribe(&self, subscriber: Subscriber, appended: AppendedDevices) {
        self.shared.subscribers.add(subscriber, appended);
    }

    async fn acquire(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Option<Lease>, StoreError> {
        let mut lease = Lease {
            subscriber,
            device,
            term: None,
        };
        if self.shared.is_only_host() {
            return Ok(Some(lease));
        }
        let shared = Arc::clone(&self.shared);
        self.run(async move {
            let acquired = shared.limited(shared.acquire(&lease.name())).await?;
            Ok(acquired.map(|term| {
                lease.term = Some(term);
                lease
            }))
        })
        .await
    }

    async fn load_cursor(&self, lease: &Lease) -> Result<Cursor, StoreError> {
        let (subscriber, device) = (lease.subscriber, lease.device);
        self.reading(move |connection| {
            Box::pin(events::load_cursor(connection, subscriber, device))
        })
        .await
    }

    async fn next_batch(
        &self,
        lease: &Lease,
        cursor: Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError> {
        let device = lease.device;
        self.reading(move |connection| {
            Box::pin(events::next_batch(connection, device, cursor, limit))
        })
        .await
    }

    async fn set_aside(
        &self,
        lease: &Lease,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (batch, reason) = (batch.clone(), reason.to_owned());
        let Lease {
            subscriber, device, ..
        } = *lease;
        let held = lease.clone();
        let is_held = self.writing(move |connection| {
            Box::pin(async move {
                if let Some(term) = &held.term
                    && !hosts::lock(connection, &held.name(), term).await?
                {
                    return Ok(false);
                }
                events::set_aside(connection, subscriber, device, &batch, &reason).await?;
                Ok(true)
            })
        });
        require(is_held.await?, device)
    }

    async fn release(&self, lease: Lease, taken: Option<Cursor>) -> Result<(), StoreError> {
        let Lease {
            subscriber, device, ..
        } = lease;
        if lease.term.is_none() && taken.is_none() {
            return Ok(());
        }
        let is_held = self.writing(move |connection| {
            Box::pin(async move {
                if let Some(term) = &lease.term
                    && !hosts::release(connection, &lease.name(), term).await?
                {
                    return Ok(false);
                }
                if let Some(cursor) = taken {
                    events::commit_cursor(connection, subscriber, device, cursor).await?;
                }
                Ok(true)
            })
        });
        require(is_held.await?, device)
    }

    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError> {
        let pending =
            self.reading(move |connection| Box::pin(events::pending(connection, subscriber)));
        let (pending, left_out) = pending.await?;
        self.shared.warn_of_left_out(left_out);
        Ok(pending)
    }
}

fn require(is_held: bool, device: DeviceId) -> Result<(), StoreError> {
    is_held
        .then_some(())
        .ok_or(StoreError::LeaseLost { device })
}
