//! The store as call-ins see it.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::append::{Upload, UploadBody};
use super::observations::Observed;
use super::quarantine::LIMITS;
use super::store::SqlStore;
use super::{database, devices, quarantine};
use crate::{
    Alert, AppendOutcome, AuditBatch, Call, CertificateFetch, ConfigUpload, Database, DeviceId,
    DeviceObservation, DeviceStore, EventKind, Health, StoreError, StoreSize, StoreWarning,
    UploadKind,
};

#[async_trait]
impl DeviceStore for SqlStore {
    async fn append_audits(
        &self,
        call: &Call,
        batch: AuditBatch,
    ) -> Result<AppendOutcome, StoreError> {
        self.append(call, EventKind::Audits, batch.into_events())
            .await
    }

    async fn append_alert(&self, call: &Call, alert: Alert) -> Result<AppendOutcome, StoreError> {
        self.append(call, EventKind::Alerts, alert.into_events())
            .await
    }

    async fn save_config(&self, call: &Call, upload: ConfigUpload) -> Result<(), StoreError> {
        let stored_bytes = upload.stored_bytes();
        let body = UploadBody::Config(upload);
        let saved = self.upload(Upload { call: *call, body }, stored_bytes);
        saved.await.map(drop)
    }

    async fn quarantine(
        &self,
        call: &Call,
        kind: UploadKind,
        body: Bytes,
    ) -> Result<(), StoreError> {
        self.shared.check_room(call.is_registered())?;
        let (shared, call) = (Arc::clone(&self.shared), *call);
        let waiting = self.shared.quarantining.acquire();
        let waited = self
            .shared
            .limited(async { waiting.await.map_err(|_| sqlx::Error::PoolClosed) });
        let _permit = waited.await?;
        let kept = self.writing(move |connection| {
            Box::pin(async move {
                quarantine::keep(connection, &LIMITS, &call, kind, &body).await?;
                quarantine::make_known(connection, &shared, &call).await
            })
        });
        let kept = kept.await;
        let (mut admitted, evicted) = kept.inspect_err(|error| self.shared.health.failed(error))?;
        admitted.stored(call.device);
        self.shared.evicted(&evicted);
        Ok(())
    }

    async fn database(
        &self,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Option<Database>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let found = self.run(async move {
            let dropped = database::read_dropped(&shared, device).await?;
            shared
                .limited(database::current(&shared, device, dropped, now))
                .await
        });
        let (database, refused) = found.await?;
        let checked = DeviceObservation::DatabaseChecked { refused };
        self.observe(device, checked, now);
        Ok(database)
    }

    fn observe(&self, device: DeviceId, observation: DeviceObservation, at: Timestamp) {
        let observed = Observed {
            device,
            observation,
            at,
        };
        if let Some(queue) = &self.observed
            && queue.try_send(observed).is_err()
        {
            tracing::debug!(%device, "too many observations at once; one is lost");
        }
    }

    fn fetched(&self, fetch: CertificateFetch) {
        self.shared.fetches.add(fetch);
    }

    async fn last_tls_session(&self, address: IpAddr) -> Result<Option<Timestamp>, StoreError> {
        if self.shared.is_only_host() {
            return Ok(None);
        }
        self.reading(move |connection| Box::pin(devices::last_tls_session(connection, address)))
            .await
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn evicted_devices(&self) -> u64 {
        self.shared.evictions.count()
    }

    fn size(&self) -> Option<StoreSize> {
        self.shared.size()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        let copies = self.shared.copies();
        let copies = copies.map(|copies| copies.problems.warnings());
        let mut warnings = self.shared.warnings();
        warnings.extend(copies.unwrap_or_default());
        warnings
    }
}
