//! One device, in one transaction.

use std::collections::HashMap;
use std::io;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Connection};

use super::super::append::{insert_batches, insert_events, stored_batches};
use super::super::appended::{self, Run};
use super::super::database::{self, DatabaseSource, StoredDatabase};
use super::super::devices::{self, DeviceRow};
use super::super::event_rows::EventRow;
use super::super::json_files::commit;
use super::OwnDirectory;
use crate::import::{Merge, OldDevice, OldLine};
use crate::json_files::cursor::CopyCursor;
use crate::json_files::directory_id::DirectoryId;
use crate::{BatchId, DeviceId, DeviceRecord, DroppedDatabase, EventKind, Subscriber};

/// Why nothing of a device was taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceFailure {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Takes over what is not in the store yet; returns the number of events.
pub(super) async fn import(
    connection: &mut AnyConnection,
    old: &OldDevice,
    own: &OwnDirectory,
) -> Result<u64, DeviceFailure> {
    let mut transaction = connection.begin().await?;
    let first = [(old.device, Timestamp::UNIX_EPOCH)].into();
    let row = devices::lock(&mut transaction, &first).await?;
    let row = row.into_values().next().ok_or(sqlx::Error::RowNotFound)?;
    let mut import = DeviceImport {
        had_events: row.last_seq > 0,
        own,
        old,
        row,
        batches: HashMap::new(),
        events: 0,
        runs: Vec::new(),
        delivered_to: 0,
        received: None,
    };
    import.events(&mut transaction).await?;
    import.database(&mut transaction).await?;
    if import.is_unknown() {
        remove_row(&mut transaction, old.device).await?;
        transaction.commit().await?;
        return Ok(0);
    }
    import.row(&mut transaction).await?;
    import.others(&mut transaction).await?;
    import.cursors(&mut transaction, own.copies).await?;
    appended::number(&mut transaction, &import.runs).await?;
    let events = import.events;
    transaction.commit().await?;
    Ok(events)
}

/// The one that the lock has made.
async fn remove_row(connection: &mut AnyConnection, device: DeviceId) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM devices WHERE device = $1").bind(device.to_string());
    delete.execute(connection).await.map(drop)
}

struct DeviceImport<'a> {
    old: &'a OldDevice,
    row: DeviceRow,
    had_events: bool,
    own: &'a OwnDirectory,
    /// Whether it was stored before, and when its last line was filed.
    batches: HashMap<(BatchId, EventKind), (bool, i64)>,
    /// That are new.
    events: u64,
    runs: Vec<Run>,
    delivered_to: i64,
    /// When the first and the last of them arrived.
    received: Option<(Timestamp, Timestamp)>,
}

impl DeviceImport<'_> {
    async fn events(&mut self, connection: &mut AnyConnection) -> Result<(), DeviceFailure> {
        let mut merge = Merge::new(&self.old.logs)?;
        loop {
            let lines = some_lines(&mut merge)?;
            if lines.is_empty() {
                break;
            }
            self.look_up(connection, &lines).await?;
            let mut rows = Vec::with_capacity(lines.len());
            for line in lines {
                rows.extend(self.event(line)?);
            }
            insert_events(connection, &rows).await?;
            appended::add_runs(&mut self.runs, &rows);
        }
        let new = self.batches.iter().filter(|(_, (is_stored, _))| !is_stored);
        let new: Vec<_> = new.map(|((id, kind), (_, at))| (*id, *kind, *at)).collect();
        Ok(insert_batches(connection, &new).await?)
    }

    async fn look_up(
        &mut self,
        connection: &mut AnyConnection,
        lines: &[OldLine],
    ) -> Result<(), sqlx::Error> {
        let names = lines.iter().map(|line| self.name(line));
        let mut unknown: Vec<_> = names.filter(|it| !self.batches.contains_key(it)).collect();
        unknown.dedup();
        let ids: Vec<_> = unknown.iter().map(|(id, _)| *id).collect();
        let stored = stored_batches(connection, &ids).await?;
        let known = unknown.into_iter();
        self.batches
            .extend(known.map(|name| (name, (stored.contains(&name), i64::MIN))));
        Ok(())
    }

    /// What is remembered of a line, so that it is taken over once: its batch; its own text where
    /// lines of its batch are missing, because a device that delivers that batch again is to be heard.
    fn name(&self, line: &OldLine) -> (BatchId, EventKind) {
        let log = self.old.logs.iter().find(|log| log.kind() == line.kind);
        if log.is_some_and(|log| log.complete.contains(&line.event.batch)) {
            return (line.event.batch, line.kind);
        }
        let hash = Sha256::new()
            .chain_update(self.old.device.to_string())
            .chain_update(b"\nline\n")
            .chain_update(&line.event.text)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        (BatchId::new(id), line.kind)
    }

    /// `None` if it is stored already.
    fn event(&mut self, line: OldLine) -> Result<Option<EventRow>, sqlx::Error> {
        let name = self.name(&line);
        let Some((false, filed_at)) = self.batches.get_mut(&name) else {
            return Ok(None);
        };
        *filed_at = line.filed_at;
        let event = line.event.event;
        let seq = self.row.next_seq()?;
        self.row.filed_at = self.row.filed_at.max(line.filed_at);
        self.events += 1;
        if line.is_delivered {
            self.delivered_to = seq;
        }
        let at = event.received_at;
        let (first, last) = self.received.unwrap_or((at, at));
        self.received = Some((first.min(at), last.max(at)));
        Ok(Some(EventRow {
            device: self.old.device,
            seq,
            kind: line.kind,
            received_at: at.as_microsecond(),
            filed_at: line.filed_at,
            code: event.code,
            body: line.event.text,
        }))
    }

    /// What is known of the device: as it was, unless the store knows it already.
    async fn row(&mut self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let is_new = self.row.is_new();
        if !is_new && self.events == 0 {
            return Ok(());
        }
        if let Some((first, last)) = self.received
            && is_new
        {
            let mut record = DeviceRecord::new(self.old.device, first);
            record.last_seen = last;
            self.row.record = record;
        }
        if let Some(at) = self.old.written_at
            && is_new
            && self.received.is_none()
        {
            self.row.record = DeviceRecord::new(self.old.device, at);
        }
        match &self.old.record {
            Some(record) if is_new => {
                self.row.record = DeviceRecord {
                    device: self.old.device,
                    ..record.clone()
                };
            }
            Some(record) => {
                let first_seen = &mut self.row.record.first_seen;
                *first_seen = record.first_seen.min(*first_seen);
            }
            None => {}
        }
        for log in &self.old.logs {
            let last = self.row.last_batch(log.kind());
            *last = last.or(log.last);
        }
        devices::save(connection, [&self.row].into_iter()).await
    }

    /// Whether it never delivered anything: a database and how far the webhook is need no row.
    fn is_unknown(&self) -> bool {
        let is_made = self.row.is_new() && self.row.record.first_seen == Timestamp::UNIX_EPOCH;
        is_made && self.events == 0 && self.old.record.is_none() && self.old.written_at.is_none()
    }

    /// The last good database, unless the store has one.
    async fn database(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let device = self.old.device;
        let Some(old) = &self.old.database else {
            return Ok(());
        };
        if database::stored(connection, device).await?.is_some() {
            return Ok(());
        }
        // Files elsewhere are not looked at again: as if it had been set by command.
        let source = if self.own.is_own {
            DatabaseSource::File
        } else {
            DatabaseSource::Command
        };
        let directory = self.own.dropped_in.as_deref();
        let file_version = directory.and_then(|it| DroppedDatabase::read(it, device).version());
        let stored = StoredDatabase {
            version: old.database.version(),
            source,
            taken_at: old.written_at,
            file_version,
        };
        database::put(connection, device, &stored, &old.file).await
    }

    /// The last upload, what was given up: unless the store has one.
    async fn others(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let device = || self.old.device.to_string();
        let record = &self.row.record;
        if let Some(config) = &self.old.config {
            let saved_at = record.config_saved_at.unwrap_or(record.last_seen);
            sqlx::query(
                "INSERT INTO configs (device, saved_at, body) VALUES ($1, $2, $3) \
                 ON CONFLICT (device) DO NOTHING",
            )
            .bind(device())
            .bind(saved_at.as_microsecond())
            .bind(config.to_vec())
            .execute(&mut *connection)
            .await?;
        }
        if let Some(undelivered) = &self.old.undelivered {
            let body = serde_json::to_string(undelivered)
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            sqlx::query(
                "INSERT INTO undelivered (subscriber, device, body) VALUES ($1, $2, $3) \
                 ON CONFLICT (subscriber, device) DO NOTHING",
            )
            .bind(Subscriber::Webhook.as_str())
            .bind(device())
            .bind(body)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    /// How far the webhook is, and the files of this directory.
    async fn cursors(
        &self,
        connection: &mut AnyConnection,
        copies: Option<DirectoryId>,
    ) -> Result<(), sqlx::Error> {
        // Beside events that came before, no number says which of all were delivered.
        if self.delivered_to > 0 && !self.had_events {
            sqlx::query(
                "INSERT INTO cursors (subscriber, device, seq) VALUES ($1, $2, $3) \
                 ON CONFLICT (subscriber, device) DO NOTHING",
            )
            .bind(Subscriber::Webhook.as_str())
            .bind(self.old.device.to_string())
            .bind(self.delivered_to)
            .execute(&mut *connection)
            .await?;
        }
        let Some(copies) = copies.filter(|_| self.old.is_whole()) else {
            return Ok(());
        };
        let cursor = self.copy_cursor();
        commit(
            connection,
            &copies.to_string(),
            &[(self.old.device, cursor)],
        )
        .await
    }

    /// Files all of whose events were taken over just now are added to; others, whose events the
    /// store has in another order or with more between them, are written anew.
    fn copy_cursor(&self) -> CopyCursor {
        let mut cursor = CopyCursor::beginning();
        if self.had_events {
            return cursor;
        }
        cursor.seq = self.row.last_seq;
        for log in &self.old.logs {
            *cursor.lengths.get_mut(log.kind()) = log.length();
        }
        cursor
    }
}

/// Few at a time: an event may be a mebibyte long.
fn some_lines(merge: &mut Merge<'_>) -> io::Result<Vec<OldLine>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < MAX_LINES && bytes < MAX_BYTES {
        let Some(line) = merge.next()? else { break };
        bytes += line.event.text.len();
        lines.push(line);
    }
    Ok(lines)
}

const MAX_LINES: usize = 256;

const MAX_BYTES: usize = 4 * 1024 * 1024;
