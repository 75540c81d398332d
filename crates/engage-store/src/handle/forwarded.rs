//! What a store does, once it is there.

use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::StoreHandle;
use crate::{
    AddressEvidence, AdminEvent, AdminEventPage, AdminEventQuery, AdminLog, AdoptionLedger,
    AdoptionPage, AdoptionQuery, Alert, AppendOutcome, AppendedDevices, AuditBatch, BatchLimit,
    Call, CertificateFetch, ConfigUpload, Cursor, Database, DatabaseChange, DatabaseFile,
    DatabaseStore, DbVersion, DeviceId, DeviceObservation, DevicePage, DeviceQuery, DeviceRecord,
    DeviceStore, DeviceSummary, EventBatch, EventLog, EventPage, EventPageToken, EventQuery,
    Health, HostRotation, HourlyCallIns, IdempotencyKey, IdempotencyStore, Lease, PendingDevice,
    RecordedAnswer, Replaced, RequestHash, Reservation, Rotation, RotationReport, RotationStore,
    SetAside, Sighting, StoreError, StoreQueries, StoreSize, StoreWarning, StoredDatabase,
    StoredRotation, Subscriber, UploadKind,
};

#[async_trait]
impl DeviceStore for StoreHandle {
    async fn append_audits(
        &self,
        call: &Call,
        batch: AuditBatch,
    ) -> Result<AppendOutcome, StoreError> {
        self.store().await?.append_audits(call, batch).await
    }

    async fn append_alert(&self, call: &Call, alert: Alert) -> Result<AppendOutcome, StoreError> {
        self.store().await?.append_alert(call, alert).await
    }

    async fn save_config(&self, call: &Call, upload: ConfigUpload) -> Result<(), StoreError> {
        self.store().await?.save_config(call, upload).await
    }

    async fn quarantine(
        &self,
        call: &Call,
        kind: UploadKind,
        body: Bytes,
    ) -> Result<(), StoreError> {
        self.store().await?.quarantine(call, kind, body).await
    }

    async fn database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<Database>, StoreError> {
        self.store().await?.database(device, now).await
    }

    fn observe(&self, device: DeviceId, observation: DeviceObservation, at: Timestamp) {
        if let Some(store) = self.current() {
            return store.observe(device, observation, at);
        }
        let mut state = self.0.state.write();
        match &state.store {
            Some(store) => store.observe(device, observation, at),
            None if state.observed.len() < MAX_OBSERVED => {
                state.observed.push((device, observation, at));
            }
            None => {}
        }
    }

    fn fetched(&self, fetch: CertificateFetch) {
        let state = self.0.state.read();
        match &state.store {
            Some(store) => store.fetched(fetch),
            None => state.fetches.add(fetch),
        }
    }

    async fn last_tls_session(&self, address: IpAddr) -> Result<Option<Timestamp>, StoreError> {
        self.store().await?.last_tls_session(address).await
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

    fn evicted_devices(&self) -> u64 {
        self.current().map_or(0, |store| store.evicted_devices())
    }

    fn size(&self) -> Option<StoreSize> {
        self.current()?.size()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        self.current()
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
            None => state.subscribed.push((subscriber, appended)),
        }
    }

    async fn acquire(
        &self,
        subscriber: Subscriber,
        device: DeviceId,
    ) -> Result<Option<Lease>, StoreError> {
        self.store().await?.acquire(subscriber, device).await
    }

    async fn load_cursor(&self, lease: &Lease) -> Result<Cursor, StoreError> {
        self.store().await?.load_cursor(lease).await
    }

    async fn next_batch(
        &self,
        lease: &Lease,
        cursor: Cursor,
        limit: BatchLimit,
    ) -> Result<Option<EventBatch>, StoreError> {
        self.store().await?.next_batch(lease, cursor, limit).await
    }

    async fn set_aside(
        &self,
        lease: &Lease,
        batch: &EventBatch,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.store().await?.set_aside(lease, batch, reason).await
    }

    async fn release(&self, lease: Lease, taken: Option<Cursor>) -> Result<(), StoreError> {
        self.store().await?.release(lease, taken).await
    }

    async fn pending(&self, subscriber: Subscriber) -> Result<Vec<PendingDevice>, StoreError> {
        self.store().await?.pending(subscriber).await
    }
}

#[async_trait]
impl StoreQueries for StoreHandle {
    async fn devices(&self, query: &DeviceQuery) -> Result<DevicePage, StoreError> {
        self.store().await?.devices(query).await
    }

    async fn events(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        self.store().await?.events(query).await
    }

    async fn device(&self, device: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        self.store().await?.device(device).await
    }

    async fn config_upload(
        &self,
        device: DeviceId,
    ) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.store().await?.config_upload(device).await
    }

    async fn set_aside_of(&self, device: DeviceId) -> Result<SetAside, StoreError> {
        self.store().await?.set_aside_of(device).await
    }

    async fn events_end(&self) -> Result<EventPageToken, StoreError> {
        self.store().await?.events_end().await
    }

    async fn summary(&self, since: Timestamp) -> Result<DeviceSummary, StoreError> {
        self.store().await?.summary(since).await
    }

    async fn call_ins_by_hour(&self, since: Timestamp) -> Result<Vec<HourlyCallIns>, StoreError> {
        self.store().await?.call_ins_by_hour(since).await
    }
}

#[async_trait]
impl AdminLog for StoreHandle {
    async fn record_admin_event(&self, event: AdminEvent) -> Result<(), StoreError> {
        self.store().await?.record_admin_event(event).await
    }

    async fn admin_events(&self, query: AdminEventQuery) -> Result<AdminEventPage, StoreError> {
        self.store().await?.admin_events(query).await
    }
}

#[async_trait]
impl IdempotencyStore for StoreHandle {
    async fn reserve_answer(
        &self,
        key: &IdempotencyKey,
        request: RequestHash,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        self.store().await?.reserve_answer(key, request, now).await
    }

    async fn record_answer(
        &self,
        key: &IdempotencyKey,
        answer: RecordedAnswer,
    ) -> Result<(), StoreError> {
        self.store().await?.record_answer(key, answer).await
    }

    async fn release_key(&self, key: &IdempotencyKey) -> Result<(), StoreError> {
        self.store().await?.release_key(key).await
    }
}

#[async_trait]
impl DatabaseStore for StoreHandle {
    async fn stored_database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<(StoredDatabase, Zeroizing<Vec<u8>>)>, StoreError> {
        self.store().await?.stored_database(device, now).await
    }

    async fn set_database(
        &self,
        device: DeviceId,
        file: DatabaseFile,
        if_match: Option<DbVersion>,
        now: Timestamp,
    ) -> Result<DatabaseChange, StoreError> {
        let store = self.store().await?;
        store.set_database(device, file, if_match, now).await
    }

    async fn remove_database(
        &self,
        device: DeviceId,
        if_match: Option<DbVersion>,
        now: Timestamp,
    ) -> Result<DatabaseChange, StoreError> {
        let store = self.store().await?;
        store.remove_database(device, if_match, now).await
    }
}

#[async_trait]
impl RotationStore for StoreHandle {
    async fn rotation(&self) -> Result<StoredRotation, StoreError> {
        self.store().await?.rotation().await
    }

    async fn replace_rotation(
        &self,
        expected_revision: i64,
        next: Option<Rotation>,
    ) -> Result<Replaced, StoreError> {
        let store = self.store().await?;
        store.replace_rotation(expected_revision, next).await
    }

    async fn report_rotation(&self, report: RotationReport) -> Result<(), StoreError> {
        self.store().await?.report_rotation(report).await
    }

    async fn rotation_reports(&self) -> Result<Vec<HostRotation>, StoreError> {
        self.store().await?.rotation_reports().await
    }
}

#[async_trait]
impl AdoptionLedger for StoreHandle {
    fn sighted(&self, sighting: Sighting) {
        let state = self.0.state.read();
        match &state.store {
            Some(store) => store.sighted(sighting),
            None => state.sightings.add(sighting),
        }
    }

    async fn evidence_since(&self, since: Timestamp) -> Result<Vec<AddressEvidence>, StoreError> {
        self.store().await?.evidence_since(since).await
    }

    async fn adoption(&self, query: &AdoptionQuery) -> Result<AdoptionPage, StoreError> {
        self.store().await?.adoption(query).await
    }
}

const MAX_OBSERVED: usize = 1024;
