//! What `devices import` needs beside the copies, so that nothing is lost when a store is moved.

use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use sqlx::{AnyConnection, Row};

use super::super::database::{self, DatabaseSource, StoredDatabase};
use super::super::engine::Engine;
use super::super::events;
use super::super::reader::StoreReader;
use super::ExportError;
use crate::import::{DATABASE_FILE, QUARANTINE, UNDELIVERED_FILE, WEBHOOK_FILE};
use crate::json_files::folder::Folder;
use crate::json_files::month::Month;
use crate::{DeviceId, EventKind, StoredEvent, Subscriber, mode};

/// How far the webhook is; the form is that of 0.1.0.
#[derive(Default, Serialize)]
struct Delivered {
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audits: Option<Position>,
}

#[derive(Serialize)]
struct Position {
    file: String,
    /// Not known, and looked for by `batch` and `line` where it is wrong.
    start: u64,
    end: u64,
    batch: String,
    line: usize,
}

impl StoreReader {
    /// How far the webhook is with a device, what it gave up, and the database that was set for it.
    pub(super) fn export_others(&self, root: &Path, device: DeviceId) -> Result<(), ExportError> {
        let write = |source| ExportError::Write {
            directory: root.to_owned(),
            source,
        };
        let (delivered, undelivered) = self.query(async |it| {
            let delivered = delivered(it, device).await?;
            let undelivered = events::undelivered(it, Subscriber::Webhook, Some(device)).await?;
            Ok((delivered, undelivered))
        })?;
        let folder = Folder::find(root, device).map_err(write)?;
        let folder = folder
            .ok_or(io::ErrorKind::NotFound.into())
            .map_err(write)?;
        let mut files = Vec::new();
        if delivered.alerts.is_some() || delivered.audits.is_some() {
            files.push((WEBHOOK_FILE, serde_json::to_vec(&delivered)));
        }
        for (_, undelivered) in undelivered {
            files.push((UNDELIVERED_FILE, serde_json::to_vec(&undelivered)));
        }
        for (name, contents) in files {
            let contents = contents.map_err(|error| write(error.into()))?;
            folder.replace(name, &contents).map_err(write)?;
        }
        self.export_database(root, device, &folder)
    }

    /// Databases of devices that never called; returns how many.
    pub(super) fn export_databases_alone(&self, root: &Path) -> Result<usize, ExportError> {
        let write = |source| ExportError::Write {
            directory: root.to_owned(),
            source,
        };
        let devices = self.query(never_called)?;
        for device in &devices {
            let folder = Folder::create(root, *device).map_err(write)?;
            self.export_database(root, *device, &folder)?;
        }
        Ok(devices.len())
    }

    /// The database, as a file that was written when it was set. Not what was dropped in a folder that
    /// is this store's alone: there it still is.
    fn export_database(
        &self,
        root: &Path,
        device: DeviceId,
        folder: &Folder,
    ) -> Result<(), ExportError> {
        let write = |source| ExportError::Write {
            directory: root.to_owned(),
            source,
        };
        let is_server = matches!(self.engine, Engine::Postgres { .. });
        let found = self.query(async |it| {
            let stored = database::stored(it, device).await?;
            Ok(stored.zip(database::body(it, device).await?))
        })?;
        let is_exported = |it: &StoredDatabase| is_server || it.source == DatabaseSource::Command;
        let Some((stored, body)) = found.filter(|(stored, _)| is_exported(stored)) else {
            return Ok(());
        };
        folder.replace(DATABASE_FILE, &body).map_err(write)?;
        let mut options = fs_err::OpenOptions::new();
        let file = options.write(true).open(folder.path(DATABASE_FILE));
        let file = file.map_err(write)?.into_file();
        let micros = u64::try_from(stored.taken_at.as_microsecond()).unwrap_or(0);
        let taken_at = UNIX_EPOCH + Duration::from_micros(micros);
        file.set_modified(taken_at).map_err(write)
    }

    /// Bodies that were refused, under the names that 0.1.0 gave them.
    pub(super) fn export_quarantine(&self, root: &Path) -> Result<(), ExportError> {
        let write = |source| ExportError::Write {
            directory: root.to_owned(),
            source,
        };
        for refused in self.quarantined_bodies().map_err(write)? {
            let (device, at) = (refused.device, refused.received_at);
            let Some(body) = self.quarantined_body(device, Some(at)).map_err(write)? else {
                continue;
            };
            let (moment, kind) = (at.strftime("%Y%m%dT%H%M%S.%9fZ"), refused.kind.as_str());
            let folder = root.join(QUARANTINE);
            mode::create_dir(&folder).map_err(write)?;
            let path = folder.join(format!("{moment}-{device}-{kind}.body"));
            mode::write_file(&path, &body).map_err(write)?;
        }
        Ok(())
    }
}

async fn delivered(
    connection: &mut AnyConnection,
    device: DeviceId,
) -> Result<Delivered, sqlx::Error> {
    Ok(Delivered {
        alerts: last_delivered(connection, device, EventKind::Alerts).await?,
        audits: last_delivered(connection, device, EventKind::Audits).await?,
    })
}

async fn last_delivered(
    connection: &mut AnyConnection,
    device: DeviceId,
    kind: EventKind,
) -> Result<Option<Position>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT min(e.filed_at) FROM events e \
         JOIN cursors c ON c.device = e.device AND c.subscriber = $1 \
         WHERE e.device = $2 AND e.kind = $3 AND e.seq > c.seq",
    )
    .bind(Subscriber::Webhook.as_str())
    .bind(device.to_string())
    .bind(kind.as_str())
    .fetch_one(&mut *connection)
    .await?;
    let undelivered: Option<i64> = row.try_get(0)?;
    // An import brings older months behind newer ones, and a position counts what is before it in
    // the files: rather too little is counted than too much.
    let end = undelivered.map_or(i64::MAX, |at| Month::from_micros(at).micros().end);
    let row = sqlx::query(
        "SELECT e.filed_at, e.body FROM events e \
         JOIN cursors c ON c.device = e.device AND c.subscriber = $1 \
         WHERE e.device = $2 AND e.kind = $3 AND e.seq <= c.seq AND e.filed_at < $4 \
         ORDER BY e.filed_at DESC, e.seq DESC LIMIT 1",
    )
    .bind(Subscriber::Webhook.as_str())
    .bind(device.to_string())
    .bind(kind.as_str())
    .bind(end)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let body: String = row.try_get("body")?;
    let event: StoredEvent =
        serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Some(Position {
        file: Month::from_micros(row.try_get("filed_at")?).file_name(kind),
        start: 0,
        end: 0,
        batch: event.batch,
        line: event.line,
    }))
}

async fn never_called(connection: &mut AnyConnection) -> Result<Vec<DeviceId>, sqlx::Error> {
    let query = "SELECT device FROM databases \
                 WHERE device NOT IN (SELECT device FROM devices) ORDER BY device";
    let rows = sqlx::query(query).fetch_all(connection).await?;
    let devices = rows.iter().map(|row| row.try_get::<String, _>(0));
    let devices: Vec<_> = devices.collect::<Result<_, _>>()?;
    Ok(devices.iter().flat_map(|device| device.parse()).collect())
}
