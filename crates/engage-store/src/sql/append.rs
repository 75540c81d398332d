//! What waits together is stored together: one transaction, a few statements.

use std::collections::{BTreeMap, HashSet};
use std::mem::take;

use jiff::Timestamp;
use sqlx::{AnyConnection, Row};

use super::appended::{self, Run};
use super::call_ins;
use super::devices::{self, DeviceRow};
use super::event_rows::EventRow;
use super::statement::{pieces, statement, value_list, value_rows};
use crate::BatchId;
use crate::quota::Newcomer;
use crate::record::{UploadedEvents, stored_events};
use crate::{AppendOutcome, Call, ConfigUpload, DeviceId, DeviceObservation, EventKind};

/// What a device delivers in one call.
pub(super) struct Upload {
    pub(super) call: Call,
    pub(super) body: UploadBody,
}

pub(super) enum UploadBody {
    Config(ConfigUpload),
    Events(EventKind, UploadedEvents),
}

impl Upload {
    /// Its device, if that is new.
    pub(super) fn newcomer(&self) -> Newcomer {
        let is_config = matches!(self.body, UploadBody::Config(_));
        Newcomer {
            call: self.call,
            is_proven: is_config || self.call.is_registered(),
        }
    }

    /// Whether there is anything to store.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.body, UploadBody::Events(_, batch) if batch.events.is_empty())
    }
}

/// What is stored, and what is to be counted and numbered of it.
pub(super) struct Appended {
    pub(super) outcomes: Vec<AppendOutcome>,
    rows: BTreeMap<DeviceId, DeviceRow>,
    runs: Vec<Run>,
}

impl Appended {
    /// At the end of the transaction: other hosts wait for the same rows until it has ended.
    pub(super) async fn count(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        call_ins::add(connection, self.rows.values()).await?;
        appended::number(connection, &self.runs).await
    }
}

/// Stores all of it within the transaction that is begun, but for what is [counted](Appended::count).
pub(super) async fn append(
    connection: &mut AnyConnection,
    uploads: &[&Upload],
) -> Result<Appended, sqlx::Error> {
    let named: Vec<_> = uploads.iter().map(|upload| names(upload)).collect();
    let mut callers: BTreeMap<DeviceId, Timestamp> = BTreeMap::new();
    for Upload { call, .. } in uploads {
        callers.entry(call.device).or_insert(call.received_at);
    }
    let mut plan = Plan {
        devices: devices::lock(connection, &callers).await?,
        ..Plan::default()
    };
    let whole: Vec<_> = named.iter().filter_map(|ids| ids.last().copied()).collect();
    plan.batches = stored_batches(connection, &whole).await?;
    let mut outcomes = Vec::with_capacity(uploads.len());
    for (upload, ids) in uploads.iter().zip(&named) {
        outcomes.push(plan.add(upload, ids)?);
    }
    let (rows, runs) = plan.save(connection).await?;
    Ok(Appended {
        outcomes,
        rows,
        runs,
    })
}

fn names(upload: &Upload) -> Vec<BatchId> {
    match &upload.body {
        UploadBody::Config(_) => Vec::new(),
        UploadBody::Events(_, batch) => batch.prefix_ids(&upload.call.device),
    }
}

/// What a transaction is going to write.
#[derive(Default)]
struct Plan<'a> {
    devices: BTreeMap<DeviceId, DeviceRow>,
    /// Batches that are stored, or will be by this transaction.
    batches: HashSet<(BatchId, EventKind)>,
    new_batches: Vec<(BatchId, EventKind, i64)>,
    events: Vec<EventRow>,
    configs: BTreeMap<DeviceId, (&'a [u8], Timestamp)>,
}

impl<'a> Plan<'a> {
    fn add(&mut self, upload: &'a Upload, ids: &[BatchId]) -> Result<AppendOutcome, sqlx::Error> {
        let Upload { call, body } = upload;
        let row = self.devices.get_mut(&call.device);
        let row = row.ok_or(sqlx::Error::RowNotFound)?;
        row.called(call);
        match body {
            UploadBody::Config(config) => {
                let bytes = (config.as_bytes(), call.received_at);
                self.configs.insert(call.device, bytes);
                let saved = DeviceObservation::ConfigSaved(config.properties());
                row.apply(saved, call.received_at);
                Ok(AppendOutcome::Updated)
            }
            UploadBody::Events(kind, batch) => {
                if *kind == EventKind::Audits {
                    let stored = DeviceObservation::AuditsStored;
                    row.apply(stored, call.received_at);
                }
                self.add_events(call, *kind, batch, ids)
            }
        }
    }

    /// A device that did not hear its acknowledgement delivers the same again, and behind it what
    /// has happened since. Only its last batch can be meant: what came before that was
    /// acknowledged.
    fn add_events(
        &mut self,
        call: &Call,
        kind: EventKind,
        batch: &UploadedEvents,
        ids: &[BatchId],
    ) -> Result<AppendOutcome, sqlx::Error> {
        let (Some(row), Some(&id)) = (self.devices.get_mut(&call.device), ids.last()) else {
            return Ok(AppendOutcome::Unchanged);
        };
        if !self.batches.insert((id, kind)) {
            return Ok(AppendOutcome::Unchanged);
        }
        let filed_at = row.filed_at.max(call.received_at.as_microsecond());
        row.filed_at = filed_at;
        self.new_batches.push((id, kind, filed_at));
        let before = row.last_batch(kind).replace(id);
        let last = before.and_then(|last| ids.iter().position(|id| *id == last));
        let stored = last.map_or(0, |at| at + 1);
        for event in stored_events(batch, stored..batch.events.len(), id, call.received_at) {
            self.events.push(EventRow {
                device: call.device,
                seq: row.next_seq()?,
                kind,
                received_at: event.received_at.as_microsecond(),
                filed_at,
                body: event.to_json(),
                code: event.code,
            });
        }
        Ok(match before {
            None => AppendOutcome::Created,
            Some(_) if stored == batch.events.len() => AppendOutcome::Unchanged,
            Some(_) => AppendOutcome::Updated,
        })
    }

    async fn save(
        mut self,
        connection: &mut AnyConnection,
    ) -> Result<(BTreeMap<DeviceId, DeviceRow>, Vec<Run>), sqlx::Error> {
        let (events, mut runs) = (take(&mut self.events), Vec::new());
        appended::add_runs(&mut runs, &events);
        insert_events(connection, &events).await?;
        insert_batches(connection, &take(&mut self.new_batches)).await?;
        for (device, (body, at)) in take(&mut self.configs) {
            sqlx::query(
                "INSERT INTO configs (device, saved_at, body) VALUES ($1, $2, $3) \
                 ON CONFLICT (device) DO UPDATE SET saved_at = excluded.saved_at, body = excluded.body",
            )
            .bind(device.to_string())
            .bind(at.as_microsecond())
            .bind(body.to_vec())
            .execute(&mut *connection)
            .await?;
        }
        devices::save(connection, self.devices.values()).await?;
        Ok((self.devices, runs))
    }
}

/// Those of the batches that are stored, with the kinds that they are stored as.
pub(super) async fn stored_batches(
    connection: &mut AnyConnection,
    ids: &[BatchId],
) -> Result<HashSet<(BatchId, EventKind)>, sqlx::Error> {
    let mut stored = HashSet::new();
    for ids in pieces(ids, 1) {
        let list = value_list(ids.len());
        let mut query = statement(format!(
            "SELECT batch, kind FROM batches WHERE batch IN ({list})"
        ));
        for id in ids {
            query = query.bind(id.to_string());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let id = BatchId::parse(row.try_get("batch")?);
            let kind = EventKind::parse(row.try_get("kind")?);
            stored.extend(id.zip(kind));
        }
    }
    Ok(stored)
}

pub(super) async fn insert_events(
    connection: &mut AnyConnection,
    events: &[EventRow],
) -> Result<(), sqlx::Error> {
    for events in pieces(events, 7) {
        let values = value_rows(events.len(), 7);
        let mut query = statement(format!(
            "INSERT INTO events (device, seq, kind, received_at, filed_at, code, body) VALUES {values}"
        ));
        for row in events {
            query = query
                .bind(row.device.to_string())
                .bind(row.seq)
                .bind(row.kind.as_str())
                .bind(row.received_at)
                .bind(row.filed_at)
                .bind(row.code.clone())
                .bind(row.body.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn insert_batches(
    connection: &mut AnyConnection,
    batches: &[(BatchId, EventKind, i64)],
) -> Result<(), sqlx::Error> {
    for batches in pieces(batches, 3) {
        let values = value_rows(batches.len(), 3);
        let mut query = statement(format!(
            "INSERT INTO batches (batch, kind, filed_at) VALUES {values}"
        ));
        for (id, kind, filed_at) in batches {
            query = query
                .bind(id.to_string())
                .bind(kind.as_str())
                .bind(*filed_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
