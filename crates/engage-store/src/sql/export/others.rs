//! What `devices import` needs beside the copies, so that nothing is lost when a store is moved.

use std::io;
use std::path::Path;

use serde::Serialize;
use sqlx::{AnyConnection, Row};

use super::super::connect::Engine;
use super::super::database::{self, DatabaseSource};
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
        let is_server = matches!(self.engine, Engine::Postgres { .. });
        let (delivered, undelivered, database) = self.query(async |it| {
            let delivered = delivered(it, device).await?;
            let undelivered = events::undelivered(it, Subscriber::Webhook, Some(device)).await?;
            Ok((
                delivered,
                undelivered,
                database_of(it, device, is_server).await?,
            ))
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
        files.extend(database.map(|database| (DATABASE_FILE, Ok(database))));
        for (name, contents) in files {
            let contents = contents.map_err(|error| write(error.into()))?;
            folder.replace(name, &contents).map_err(write)?;
        }
        Ok(())
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

/// Not what was dropped in a folder that is this store's alone: there it still is.
async fn database_of(
    connection: &mut AnyConnection,
    device: DeviceId,
    is_server: bool,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    match database::stored(connection, device).await? {
        Some(stored) if is_server || stored.source == DatabaseSource::Command => {
            let body = database::body(connection, device).await?;
            Ok(body.map(|body| body.to_vec()))
        }
        _ => Ok(None),
    }
}
