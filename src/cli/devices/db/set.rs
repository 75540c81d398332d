//! `engage-host devices db set`: a database without a file in the device's folder.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::super::super::output::{eprint_note, print};
use super::super::error::DevicesError;
use super::super::store_args::StoreArgs;
use super::{counted, next_call, read};
use crate::failure::Failure;
use engage_store::{DeviceId, DroppedDatabase, StoreReader, StoreWriter};

/// Make a file's contents the database that a device is to have.
///
/// Judged as by `db check`; what would not be sent is refused. It is sent at the device's next call,
/// and stays until another `db.json` is dropped into the device's folder or this is run again. Works
/// while the daemon runs, and for a device that has never called.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host devices db set 0123456789ABCDEF db.json --config /etc/engage-host/config.toml"
)]
pub(super) struct Set {
    /// Serial number in hexadecimal, any case; or the IP address of a device that does not send it
    #[arg(value_name = "SERIAL")]
    device: DeviceId,
    /// The database: `{"db":{..},"config":{..}}`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

impl Set {
    pub(super) fn run(self) -> Result<(), Failure> {
        let device = self.device;
        let (contents, database) = read(&self.file)?;
        let location = self.store.locate()?;
        let mut writer = StoreWriter::open(&location.options)?;
        writer.set_database(device, &contents, &database, Timestamp::now())?;
        writer.close()?;
        if !matches!(
            DroppedDatabase::read(&location.directory, device),
            DroppedDatabase::Nothing
        ) {
            let text =
                format!("the `db.json` of device {device} is sent no more until it is changed");
            eprint_note("note", text);
        }
        let record = StoreReader::open(&location.options)?.record(device);
        let record = record.map_err(DevicesError::from)?;
        print(format!(
            "ok: device {device} is to have `{}`, {} bytes, version {}\n{}\n  next call   {}",
            self.file.display(),
            database.contents().size_bytes,
            database.version(),
            counted(&database),
            next_call(record.as_ref())
        ))
    }
}
