//! A store of each kind, empty.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;

use super::postgres::{TestDatabase, postgres};
use crate::{
    Database, DatabaseUrl, DeviceId, DeviceQuery, DeviceRecord, EventFilter, EventKind, KeepDays,
    SqlOptions, SqlStore, Store, StoreReader, StoreWriter,
};

pub(super) struct TestEngine {
    folder: TempDir,
    kind: Kind,
}

enum Kind {
    Postgres(TestDatabase),
    Sqlite,
}

impl TestEngine {
    pub(super) fn sqlite() -> Self {
        Self::new(Kind::Sqlite)
    }

    pub(super) fn postgres() -> Option<Self> {
        let server = postgres()?;
        Some(Self::new(Kind::Postgres(server.create_database())))
    }

    fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, kind }
    }

    /// Several daemons may have it open, or only one.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Postgres(_))
    }

    /// Where `db.json` is dropped.
    pub(super) fn directory(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn open(&self) -> Arc<dyn Store> {
        self.open_with(None)
    }

    /// One that may take so many bytes.
    pub(super) fn open_with(&self, max_bytes: Option<u64>) -> Arc<dyn Store> {
        let options = SqlOptions {
            max_bytes,
            ..self.options()
        };
        Arc::new(SqlStore::open(options, KeepDays::default()).unwrap())
    }

    fn options(&self) -> SqlOptions {
        let url = match &self.kind {
            Kind::Sqlite => DatabaseUrl::Sqlite(self.folder.path().join("engage-host.db")),
            Kind::Postgres(database) => database.url().parse().unwrap(),
        };
        SqlOptions {
            url,
            password_file: None,
            ca_file: None,
            directory: Some(self.folder.path().to_owned()),
            json_files: false,
            max_bytes: None,
        }
    }

    /// For other programs.
    pub(super) fn url(&self) -> String {
        match &self.kind {
            // A URL has no backslashes, and nothing in front of a drive.
            Kind::Sqlite => {
                let file = self.directory().join("engage-host.db");
                format!("sqlite:{}", file.display()).replace('\\', "/")
            }
            Kind::Postgres(database) => database.url(),
        }
    }

    /// Reads on a thread that may block.
    pub(super) fn read<T: Send>(&self, work: impl FnOnce(StoreReader) -> T + Send) -> T {
        let reader = || StoreReader::open(&self.options()).unwrap();
        std::thread::scope(|scope| scope.spawn(|| work(reader())).join().unwrap())
    }

    /// As commands do, beside a store that is open and without one.
    pub(super) fn write<T: Send>(&self, work: impl FnOnce(&mut StoreWriter) -> T + Send) -> T {
        let write = || {
            let mut writer = StoreWriter::open(&self.options()).unwrap();
            let done = work(&mut writer);
            writer.close().unwrap();
            done
        };
        std::thread::scope(|scope| scope.spawn(write).join().unwrap())
    }

    /// The devices that have records, by name.
    pub(super) fn known(&self) -> Vec<DeviceId> {
        let page = self.read(|reader| reader.devices(&DeviceQuery::default()).unwrap());
        page.devices.iter().map(|record| record.device).collect()
    }

    /// As the command does, beside a store that is open.
    pub(super) fn set_database(&self, device: DeviceId, file: &str) {
        let database = Database::parse(file.as_bytes()).unwrap();
        self.write(|writer| {
            let set = writer.set_database(device, file.as_bytes(), &database, Timestamp::now());
            set.unwrap();
        });
    }

    pub(super) fn record(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.read(|reader| reader.record(device).unwrap())
    }

    /// The codes of a device's events, in order.
    pub(super) fn codes(&self, kind: EventKind, device: DeviceId) -> Vec<String> {
        self.events(kind, device)
            .iter()
            .map(|text| {
                let event: serde_json::Value = serde_json::from_str(text).unwrap();
                event["code"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    /// The events of a device as they are stored.
    pub(super) fn events(&self, kind: EventKind, device: DeviceId) -> Vec<String> {
        let filter = EventFilter {
            device: Some(device),
            kind: Some(kind),
            ..EventFilter::default()
        };
        let mut events = Vec::new();
        self.read(|reader| {
            reader
                .follow(filter)
                .read(&mut |event| {
                    events.push(event.text.clone());
                    Ok(())
                })
                .unwrap();
        });
        events
    }
}
