//! `engage-host devices db set`: a database without a file in the device's folder.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use http::Method;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::super::super::output::{eprint_note, print};
use super::super::super::remote::Remote;
use super::super::error::DevicesError;
use super::super::record_of;
use super::super::store_args::StoreArgs;
use super::{counted, next_call, path_of_database, read};
use crate::failure::Failure;
use engage_store::{Database, DeviceId, DeviceRecord, DroppedDatabase, StoreReader, StoreWriter};

/// Make a file's contents the database that a device is to have.
///
/// Checked as by `db check`; what would not be sent is refused. It is sent at the device's next call,
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
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let (contents, database) = read(&self.file)?;
        let record = match remote {
            Some(remote) => self.send(remote, contents)?,
            None => self.store(&contents, &database)?,
        };
        print(format!(
            "ok: device {} is to have `{}`, {} bytes, version {}\n{}\n  next call   {}",
            self.device,
            self.file.display(),
            database.contents().size_bytes,
            database.version(),
            counted(database.contents(), database.warnings().len()),
            next_call(record.as_ref())
        ))
    }

    /// Has another host store it; what that knows of the device.
    fn send(
        &self,
        remote: &Remote,
        contents: Zeroizing<Vec<u8>>,
    ) -> Result<Option<DeviceRecord>, Failure> {
        let path = path_of_database(self.device);
        remote.send(Method::PUT, &path, Some(Bytes::from_owner(contents)))?;
        record_of(remote, self.device)
    }

    /// Stores it here; what is known of the device.
    fn store(&self, contents: &[u8], database: &Database) -> Result<Option<DeviceRecord>, Failure> {
        let device = self.device;
        let location = self.store.locate()?;
        let mut writer = StoreWriter::open(&location.options)?;
        writer.set_database(device, contents, database, Timestamp::now())?;
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
        Ok(record.map_err(DevicesError::from)?)
    }
}
