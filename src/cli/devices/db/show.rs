//! `engage-host devices db show`: what a device is to have.

use clap::Args;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::super::output::{eprint_note, print, print_json};
use super::super::super::remote::Remote;
use super::super::error::DevicesError;
use super::super::record_of;
use super::super::store_args::StoreArgs;
use super::{counted, next_call, path_of_database};
use crate::failure::Failure;
use crate::recording::StoreLocation;
use crate::table::{moment, or_dash};
use engage_store::{
    Database, DatabaseSource, DatabaseUrl, DbContents, DeviceId, DeviceRecord, DroppedDatabase,
    StoreReader, StoredDatabase, Timestamped, redact,
};

/// Show the database that a device is to have, where it came from, and whether it was answered.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices db show 0123456789ABCDEF\n  engage-host devices db show 10.44.0.7 --json"
)]
pub(super) struct Show {
    /// Serial number in hexadecimal, any case; or the IP address of a device that does not send it
    #[arg(value_name = "SERIAL")]
    device: DeviceId,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON with the database, secrets masked
    #[arg(long)]
    pub(super) json: bool,
}

impl Show {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let device = self.device;
        if let Some(remote) = remote {
            return self.print_of(remote);
        }
        let location = self.store.locate()?;
        let reader = StoreReader::open(&location.options)?;
        let stored = reader.database(device).map_err(DevicesError::from)?;
        let dropped = DroppedDatabase::read(&location.directory, device);
        tell_of_file(stored.as_ref(), &dropped);
        let body = reader.database_body(device).map_err(DevicesError::from)?;
        let (Some(stored), Some(body)) = (stored, body) else {
            return Err(DevicesError::NoDatabase { device }.into());
        };
        let shown = Shown {
            device,
            version: stored.version.to_string(),
            source: stored.source,
            taken_at: stored.taken_at,
            is_sent: is_sent(&stored, &dropped, &location),
            record: reader.record(device).map_err(DevicesError::from)?,
            redacted: RawValue::from_string(redact(&body)).ok(),
        };
        if self.json {
            return print_json(&shown.json());
        }
        let database = Database::parse(&body)
            .map_err(|source| DevicesError::StoredDatabase { device, source })?;
        print(shown.text(database.contents(), database.warnings().len()))
    }

    fn print_of(&self, remote: &Remote) -> Result<(), Failure> {
        let device = self.device;
        let answer: DatabaseAnswer = remote.get(&path_of_database(device))?.read()?;
        let shown = Shown {
            device,
            version: answer.version,
            source: answer.source,
            taken_at: answer.taken_at,
            // One that is not is not shown.
            is_sent: true,
            record: record_of(remote, device)?,
            redacted: answer.database,
        };
        if self.json {
            return print_json(&shown.json());
        }
        print(shown.text(answer.contents, answer.warnings.len()))
    }
}

/// As another host has it.
#[derive(Deserialize)]
struct DatabaseAnswer {
    version: String,
    source: DatabaseSource,
    taken_at: Timestamp,
    contents: DbContents,
    warnings: Vec<IgnoredAny>,
    database: Option<Box<RawValue>>,
}

/// What the device's next call does with the file.
fn tell_of_file(stored: Option<&StoredDatabase>, dropped: &DroppedDatabase) {
    match dropped {
        DroppedDatabase::Good { database, .. } => {
            let taken = stored.and_then(|stored| stored.file_version);
            if taken != Some(database.version()) {
                let version = database.version();
                let text =
                    format!("its `db.json`, version {version}, is taken at the device's next call");
                eprint_note("note", text);
            }
        }
        DroppedDatabase::Refused { path, reason } => {
            let text = format!("`{}` is refused: {reason}", path.display());
            eprint_note("warning", text);
        }
        DroppedDatabase::Nothing => {}
    }
}

/// A server's other hosts do not have the file.
fn is_sent(stored: &StoredDatabase, dropped: &DroppedDatabase, location: &StoreLocation) -> bool {
    let is_only_host = matches!(location.options.url, DatabaseUrl::Sqlite(_));
    let is_gone = matches!(dropped, DroppedDatabase::Nothing);
    !(stored.source == DatabaseSource::File && is_only_host && is_gone)
}

struct Shown {
    device: DeviceId,
    version: String,
    source: DatabaseSource,
    taken_at: Timestamp,
    /// A file that is removed takes its database back.
    is_sent: bool,
    record: Option<DeviceRecord>,
    redacted: Option<Box<RawValue>>,
}

/// Serialises as `devices db show --json`.
#[derive(Serialize)]
struct ShownJson<'a> {
    device: DeviceId,
    version: &'a str,
    source: DatabaseSource,
    is_sent: bool,
    taken_at: Timestamp,
    answered: Option<&'a Timestamped>,
    next_call_in: Option<&'a Timestamped>,
    database: Option<&'a RawValue>,
}

impl Shown {
    fn answered(&self) -> Option<&Timestamped> {
        self.record.as_ref()?.database.as_ref()
    }

    fn json(&self) -> ShownJson<'_> {
        ShownJson {
            device: self.device,
            version: &self.version,
            source: self.source,
            is_sent: self.is_sent,
            taken_at: self.taken_at,
            answered: self.answered(),
            next_call_in: self.record.as_ref().and_then(|it| it.next_call_in.as_ref()),
            database: self.redacted.as_deref(),
        }
    }

    fn text(&self, contents: DbContents, warnings: usize) -> String {
        let version = &self.version;
        let answered = match self.answered() {
            Some(answered) if answered.value == *version => moment(answered.at),
            Some(answered) => format!(
                "not yet: version {} was on {}",
                or_dash(Some(&answered.value)),
                moment(answered.at)
            ),
            None => "not yet".to_owned(),
        };
        let from = match self.source {
            DatabaseSource::Command => "`devices db set`",
            DatabaseSource::File if self.is_sent => "`db.json`",
            DatabaseSource::File => "`db.json`, which was removed: nothing is sent",
        };
        format!(
            "device {}\n  version     {version}\n  from        {from}\n  taken       {}\n  \
             answered    {answered}\n  next call   {}\n  size        {} bytes\n{}",
            self.device,
            moment(self.taken_at),
            next_call(self.record.as_ref()),
            contents.size_bytes,
            counted(contents, warnings)
        )
    }
}
