//! The store as who asks for what it has recorded sees it.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AnyConnection, Row};
use zeroize::Zeroizing;

use super::devices::{self, moment};
use super::store::SqlStore;
use super::{appended, call_ins, device_pages, events, pages, summary};
use crate::{
    DeviceId, DevicePage, DeviceQuery, DeviceRecord, DeviceSummary, EventPage, EventPageToken,
    EventQuery, HourlyCallIns, SetAside, StoreError, StoreQueries, Subscriber, redact,
};

#[async_trait]
impl StoreQueries for SqlStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<DevicePage, StoreError> {
        query.check_token()?;
        let query = query.clone();
        self.reading(move |connection| {
            Box::pin(async move { device_pages::devices(connection, &query).await })
        })
        .await
    }

    async fn events(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        query.check_token()?;
        let query = query.clone();
        self.reading(move |connection| {
            Box::pin(async move { pages::events(connection, &query).await })
        })
        .await
    }

    async fn device(&self, device: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        self.reading(move |connection| Box::pin(devices::record(connection, device)))
            .await
    }

    async fn config_upload(
        &self,
        device: DeviceId,
    ) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.reading(move |connection| Box::pin(config_upload(connection, device)))
            .await
    }

    async fn set_aside_of(&self, device: DeviceId) -> Result<SetAside, StoreError> {
        self.reading(move |connection| Box::pin(set_aside(connection, device)))
            .await
    }

    async fn events_end(&self) -> Result<EventPageToken, StoreError> {
        self.reading(|connection| Box::pin(appended::end(connection)))
            .await
    }

    async fn summary(&self, since: Timestamp) -> Result<DeviceSummary, StoreError> {
        self.reading(move |connection| Box::pin(summary::summary(connection, since)))
            .await
    }

    async fn call_ins_by_hour(&self, since: Timestamp) -> Result<Vec<HourlyCallIns>, StoreError> {
        self.reading(move |connection| Box::pin(call_ins::since(connection, since)))
            .await
    }
}

async fn config_upload(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Option<(Timestamp, String)>, sqlx::Error> {
    let row = sqlx::query("SELECT saved_at, body FROM configs WHERE device = $1")
        .bind(device.to_string())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let body = Zeroizing::new(row.try_get::<Vec<u8>, _>("body")?);
    let saved_at = moment(&row, "saved_at")?.unwrap_or_default();
    Ok(Some((saved_at, redact(&*body))))
}

async fn set_aside(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<SetAside, sqlx::Error> {
    let undelivered = events::undelivered(connection, Subscriber::Webhook, Some(device)).await?;
    let undelivered = undelivered
        .iter()
        .map(|(_, it)| it.dropped.saturating_add(it.events.len() as u64));
    let undelivered = undelivered.sum();
    let row = sqlx::query("SELECT count(*) FROM quarantine WHERE device = $1")
        .bind(device.to_string())
        .fetch_one(connection)
        .await?;
    let quarantined: i64 = row.try_get(0)?;
    Ok(SetAside {
        undelivered,
        quarantined: quarantined.unsigned_abs(),
    })
}
