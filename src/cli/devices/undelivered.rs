//! `engage-host devices undelivered`: what the webhook's receiver does not take.

use std::io::{self, BufWriter, Write};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::output::{eprint_note, written};
use super::super::remote::Remote;
use super::error::DevicesError;
use super::path_of;
use super::store_args::StoreArgs;
use crate::failure::Failure;
use crate::table::{moment, or_dash, table};
use engage_store::{DeviceId, Subscriber, Undelivered, UndeliveredEvent, redact};
use engage_wire::escape_json_for_terminal;

/// List events that the webhook's receiver refused again and again.
///
/// They were set aside so that later events of their devices are delivered. They are still in the
/// audits. Times are UTC.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices undelivered\n  engage-host devices undelivered 0123456789ABCDEF --json"
)]
pub(super) struct UndeliveredArgs {
    /// Only this device: serial number in hexadecimal, any case, or IP address
    #[arg(value_name = "SERIAL")]
    device: Option<DeviceId>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON lines, secrets masked
    #[arg(long)]
    pub(super) json: bool,
}

impl UndeliveredArgs {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let found = listed(match remote {
            Some(remote) => there(remote, self.device)?,
            None => self.here()?,
        });
        if found.is_empty() {
            eprint_note("note", "no event was set aside");
        }
        written(print(&found, self.json))
    }

    fn here(&self) -> Result<Vec<(DeviceId, Undelivered)>, Failure> {
        let store = match self.device {
            Some(device) => self.store.open_with(device)?.0,
            None => self.store.open()?,
        };
        let found = store.reader.undelivered(Subscriber::Webhook, self.device);
        Ok(found.map_err(DevicesError::from)?)
    }
}

/// Those of another host, device by device.
fn there(
    remote: &Remote,
    device: Option<DeviceId>,
) -> Result<Vec<(DeviceId, Undelivered)>, Failure> {
    let devices = match device {
        Some(device) => vec![device],
        None => devices_there(remote)?,
    };
    let found = devices.into_iter().map(|device| {
        let path = format!("{}/undelivered", path_of(device));
        Ok((device, remote.get(&path)?.read()?))
    });
    found.collect()
}

fn devices_there(remote: &Remote) -> Result<Vec<DeviceId>, Failure> {
    let mut devices = Vec::new();
    remote.pages("/undelivered", |page: Page| {
        devices.extend(page.devices.into_iter().map(|it| it.device));
        page.next
    })?;
    Ok(devices)
}

#[derive(Deserialize)]
struct Page {
    devices: Vec<DeviceOfPage>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct DeviceOfPage {
    device: DeviceId,
}

#[derive(Serialize)]
struct Found {
    device: DeviceId,
    #[serde(flatten)]
    undelivered: UndeliveredEvent,
}

fn listed(all: Vec<(DeviceId, Undelivered)>) -> Vec<Found> {
    let mut found = Vec::new();
    for (device, Undelivered { events, dropped }) in all {
        if dropped > 0 {
            let text = format!("{dropped} older events of device {device} are not listed");
            eprint_note("note", text);
        }
        found.extend(events.into_iter().map(|undelivered| Found {
            device,
            undelivered,
        }));
    }
    found
}

fn print(found: &[Found], json: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        for found in found {
            // Members that nobody knows can be secrets too.
            let text = redact(&serde_json::to_string(found)?);
            writeln!(out, "{}", escape_json_for_terminal(&text))?;
        }
    } else if !found.is_empty() {
        let rows: Vec<_> = found.iter().map(row).collect();
        writeln!(out, "{}", table(HEADINGS, &rows))?;
    }
    out.flush()
}

fn row(found: &Found) -> [String; 6] {
    let UndeliveredEvent {
        set_aside_at,
        log,
        reason,
        event,
    } = &found.undelivered;
    [
        moment(event.received_at),
        found.device.to_string(),
        log.as_str().to_owned(),
        or_dash(event.code.as_deref()),
        moment(*set_aside_at),
        or_dash(Some(reason)),
    ]
}

const HEADINGS: [&str; 6] = ["RECEIVED", "DEVICE", "LOG", "EVENT", "SET ASIDE", "REASON"];
