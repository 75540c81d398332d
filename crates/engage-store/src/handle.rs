//! A store that is opened while the daemon already answers.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::{
    Alert, AppendOutcome, AppendedDevices, AuditBatch, BatchLimit, Call, ConfigUpload, Cursor,
    Database, DeviceId, DeviceObservation, DeviceStore, EventBatch, EventLog, Health,
    PendingDevice, Store, StoreError, StoreWarning, Subscriber, UploadKind,
};

/// Stands for a store from the start on: refuses with [`StoreError::Opening`] until it is there.
///
/// A clone is the same store.
#[derive(Clone, Default)]
pub struct StoreHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: RwLock<State>,
    opened: Notify,
}

#[derive(Default)]
struct State {
    store: Option<Arc<dyn Store>>,
    /// Why it is not there, where that is known.
    failure: Option<String>,
    /// Subscribers that came before the store.
    early: Vec<(Subscriber, AppendedDevices)>,
}

impl StoreHandle {
    /// Puts the store behind the handle: from now on call-ins are stored.
    pub fn set(&self, store: Arc<dyn Store>) {
        let mut state = self.0.state.write();
        for (subscriber, appended) in state.early.drain(..) {
            store.subscribe(subscriber, appended);
        }
        state.failure = None;
        state.store = Some(store);
        self.0.opened.notify_waiters();
    }

    /// Says why the store is not there: health shows it until [`set`](Self::set).
    pub fn set_failure(&self, reason: String) {
        self.0.state.write().failure = Some(reason);
    }

    /// Takes the store out, so that its last owner closes it; call-ins are refused again.
    #[must_use]
    pub fn take(&self) -> Option<Arc<dyn Store>> {
        self.0.state.write().store.take()
    }

    /// Completes when the store is there.
    pub async fn opened(&self) {
        let mut opened = pin!(self.0.opened.notified());
        // Before it looks, so that an opening in between is not missed.
        opened.as_mut().enable();
        if self.0.state.read().store.is_none() {
            opened.await;
        }
    }

    fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.0.state.read().store.clone();
        store.ok_or(StoreError::Opening)
    }
}

#[async_trait]
impl DeviceStore for StoreHandle {
    async fn append_audits(
        &self,
        call: &Call,
        batch: AuditBatch,
    ) -> Result<AppendOutcome, StoreError> {
        self.store()?.append_audits(call, batch).await
    }

    async fn append_alert(&self, call: &Call, alert: Alert) -> Result<AppendOutcome, StoreError> {
        self.store()?.append_alert(call, alert).await
    }

    async fn save_config(&self, call: &Call, upload: ConfigUpload) -> Result<(), StoreError> {
        self.store()?.save_config(call, upload).await
    }

    async fn quarantine(
        &self,
        call: &Call,
        kind: UploadKind,
        body: Bytes,
    ) -> Result<(), StoreError> {
        self.store()?.quarantine(call, kind, body).await
    }

    async fn database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<Database>, StoreError> {
        self.store()?.database(device, now).await
    }

    fn observe(&self, device: DeviceId, observation: DeviceObservation, at: Timestamp) {
        if let Ok(store) = self.store() {
            store.observe(device, observation, at);
        }
    }

    fn health(&self) -> Health {
        let state = self.0.state.read();
        match (&state.store, &state.failure) {
            (Some(store), _) => store.health(),
            (None, Some(reason)) => Health::Failing {
                reason: reason.clone(),
            },
            (None, None) => Health::Opening,
        }
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        self.store()
            .map(|store| store.warnings())
            .unwrap_or_default()
    }
}

#[async_trait]
impl EventLog for StoreHandle {
    fn subscribe(&self, subscriber: Subscriber, appended: AppendedDevices) {
        let mut state = self.0.state.write();
        match &state.store {
            Some(store) => store.subscribe(subscriber, appended),
            None => state.early.push((subscriber, appended)),
        }
    }

    async fn load_cursor(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Cursor, StoreError> {
        self.store()?.load_cursor(subscriber, device).await
    }

    async fn next_batch(
        &self,
        device: DeviceId,
        cursor: &Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError> {
        self.store()?.next_batch(device, cursor, limit).await
    }

    async fn commit_cursor(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
        cursor: &Cursor,
    ) -> Result<(), StoreError> {
        self.store()?
            .commit_cursor(subscriber, device, cursor)
            .await
    }

    async fn set_aside(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.store()?
            .set_aside(subscriber, device, batch, reason)
            .await
    }

    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError> {
        self.store()?.pending(subscriber).await
    }
}
