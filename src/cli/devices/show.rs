//! `engage-host devices show`: everything that is known of one device.

use std::fmt::Write as _;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::output::{print, print_json};
use super::super::remote::Remote;
use super::error::DevicesError;
use super::path_of;
use super::store_args::StoreArgs;
use crate::failure::Failure;
use crate::pretty_json::pretty_json;
use crate::table::{dated, moment, or_dash};
use engage_store::{DeviceId, DeviceRecord, Timestamped};
use engage_wire::escape_json_for_terminal;

/// Show everything that is known of a device, with its last upload.
///
/// Passwords and other secrets of the upload are masked.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices show 0123456789abcdef\n  engage-host devices show 10.44.0.7 --json"
)]
pub(super) struct Show {
    /// Serial number in hexadecimal, any case; or the IP address of a device that does not send it
    #[arg(value_name = "SERIAL")]
    device: DeviceId,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON, with the upload as `config`
    #[arg(long)]
    pub(super) json: bool,
}

impl Show {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let device = self.device;
        if let Some(remote) = remote {
            let answer = remote.get(&path_of(device))?;
            let Upload { config } = answer.read()?;
            return self.print(answer.read()?, config);
        }
        let (store, record) = self.store.open_with(device)?;
        let config = store.reader.redacted_config(device);
        let config = config.map_err(DevicesError::from)?;
        self.print(
            record,
            config.and_then(|config| RawValue::from_string(config).ok()),
        )
    }

    fn print(&self, record: DeviceRecord, config: Option<Box<RawValue>>) -> Result<(), Failure> {
        if self.json {
            print_json(&Shown { record, config })
        } else {
            print(text(&record, config.as_deref().map(RawValue::get)))
        }
    }
}

/// Of an answer of the API; the members beside it are the device's.
#[derive(Deserialize)]
struct Upload {
    config: Option<Box<RawValue>>,
}

/// Serialises as `devices show --json`.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    record: DeviceRecord,
    config: Option<Box<RawValue>>,
}

fn text(record: &DeviceRecord, config: Option<&str>) -> String {
    let mut text = format!("device {}\n", record.device);
    for (label, value) in facts(record) {
        let _ = writeln!(text, "  {label:<18} {value}");
    }
    match config {
        Some(config) => {
            let _ = write!(
                text,
                "\nlast upload, secrets masked\n{}",
                pretty_json(&escape_json_for_terminal(config))
            );
        }
        None => text.push_str("\nno upload yet"),
    }
    text
}

fn facts(record: &DeviceRecord) -> [(&'static str, String); 16] {
    let DeviceRecord {
        device: _,
        first_seen,
        last_seen,
        address,
        site,
        name,
        model,
        firmware,
        battery,
        certificate,
        tls,
        config_saved_at,
        audits_stored_at,
        database,
        database_refused,
        next_call_in,
    } = record;
    let time = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), moment);
    let address = address.map(|address| address.to_string());
    [
        ("name", or_dash(name.as_deref())),
        ("model", or_dash(model.as_deref())),
        ("firmware", or_dash(firmware.as_deref())),
        ("battery", or_dash(battery.as_deref())),
        ("site", or_dash(site.as_deref())),
        ("address", or_dash(address.as_deref())),
        ("first seen", moment(*first_seen)),
        ("last seen", moment(*last_seen)),
        ("last call-in", time(record.last_call_in())),
        (
            "next call-in",
            dated_or_dash(next_call_in.as_ref(), "told as"),
        ),
        (
            "certificate",
            dated_or_dash(certificate.as_ref(), "fetched"),
        ),
        ("TLS session", dated_or_dash(tls.as_ref(), "version")),
        ("uploaded", time(*config_saved_at)),
        ("audits stored", time(*audits_stored_at)),
        (
            "database answered",
            dated_or_dash(database.as_ref(), "version"),
        ),
        ("database refused", or_dash(database_refused.as_deref())),
    ]
}

fn dated_or_dash(value: Option<&Timestamped>, label: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| dated(value, label))
}
