//! `engage-host devices`: a line for each device.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::super::output::{Failure, eprint_note, print, print_json};
use super::error::DevicesError;
use super::store_args::{OpenedStore, StoreArgs};
use super::table::{moment, or_dash, table};
use engage_store::{DeviceRecord, Timestamped, strays};
use engage_wire::diagnostic::causes;

#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    store: StoreArgs,
    /// Print the devices' `device.json` as one JSON array instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

impl List {
    /// Fails where a device's record is missing, but prints the others.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let OpenedStore {
            reader,
            place,
            directory,
        } = self.store.open()?;
        let devices = reader.devices().map_err(DevicesError::from)?;
        if devices.is_empty() {
            let text = format!("no device has called yet: `{place}` holds no device");
            eprint_note("note", text);
        }
        for stray in strays(&directory).map_err(DevicesError::from)? {
            eprint_note("warning", stray);
        }
        let mut records = Vec::with_capacity(devices.len());
        let mut exit_code = ExitCode::SUCCESS;
        for device in devices {
            match reader.record(device) {
                Ok(Some(record)) => records.push(record),
                Ok(None) => {
                    eprint_note("note", format!("device {device} has no `device.json` yet"));
                }
                Err(error) => {
                    exit_code = ExitCode::FAILURE;
                    let causes = causes(&error);
                    let text = format!("`device.json` of device {device} cannot be read: {causes}");
                    eprint_note("warning", text);
                }
            }
        }
        if self.json {
            print_json(&records)?;
        } else if !records.is_empty() {
            print(in_table(&records))?;
        }
        Ok(exit_code)
    }
}

/// The last call that only a call-in makes: anybody asks for the announcement.
pub(super) fn last_call_in(record: &DeviceRecord) -> Option<Timestamp> {
    let database = record.database.as_ref().map(|answered| answered.at);
    [record.config_saved_at, record.audits_stored_at, database]
        .into_iter()
        .flatten()
        .max()
}

fn in_table(records: &[DeviceRecord]) -> String {
    let headings = [
        "DEVICE",
        "SITE",
        "MODEL",
        "FIRMWARE",
        "LAST CALL-IN",
        "NEXT",
        "CERTIFICATE FETCHED",
        "BATTERY",
    ];
    let rows: Vec<_> = records.iter().map(row).collect();
    table(headings, &rows)
}

fn row(record: &DeviceRecord) -> [String; 8] {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), moment);
    let when = |dated: &Option<Timestamped>| time(dated.as_ref().map(|dated| dated.at));
    [
        record.device.to_string(),
        or_dash(record.site.as_deref()),
        or_dash(record.model.as_deref()),
        or_dash(record.firmware.as_deref()),
        time(last_call_in(record)),
        when(&record.next_call_in),
        when(&record.certificate),
        or_dash(record.battery.as_deref()),
    ]
}
