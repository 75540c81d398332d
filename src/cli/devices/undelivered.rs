//! `engage-host devices undelivered`: what the webhook's receiver does not take.

use std::io::{self, BufWriter, Write};

use clap::Args;
use serde::Serialize;

use super::super::output::{Failure, eprint_note, written};
use super::error::DevicesError;
use super::store_args::{OpenedStore, StoreArgs};
use super::table::{moment, or_dash, table};
use engage_store::{DeviceId, Subscriber, UndeliveredEvent, redact};
use engage_wire::diagnostic::causes;
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
    pub(super) fn run(self) -> Result<(), Failure> {
        let (store, devices) = if let Some(device) = self.device {
            (self.store.open_with(device)?, vec![device])
        } else {
            let store = self.store.open()?;
            let devices = store.reader.devices().map_err(DevicesError::from)?;
            (store, devices)
        };
        let (found, unreadable) = find(&store, devices);
        if found.is_empty() && unreadable == 0 {
            eprint_note("note", "no event was set aside");
        }
        written(print(&found, self.json))?;
        match unreadable {
            0 => Ok(()),
            devices => Err(DevicesError::Incomplete { devices }.into()),
        }
    }
}

#[derive(Serialize)]
struct Found {
    device: DeviceId,
    #[serde(flatten)]
    undelivered: UndeliveredEvent,
}

/// What was set aside, and the number of devices of which it cannot be read.
fn find(store: &OpenedStore, devices: Vec<DeviceId>) -> (Vec<Found>, usize) {
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for device in devices {
        match store.reader.undelivered(Subscriber::Webhook, device) {
            Ok(undelivered) => {
                if undelivered.dropped > 0 {
                    let dropped = undelivered.dropped;
                    let text = format!("{dropped} older events of device {device} are not listed");
                    eprint_note("note", text);
                }
                let events = undelivered.events.into_iter();
                found.extend(events.map(|undelivered| Found {
                    device,
                    undelivered,
                }));
            }
            Err(error) => {
                unreadable += 1;
                let causes = causes(&error);
                let text =
                    format!("what was set aside of device {device} cannot be read: {causes}");
                eprint_note("warning", text);
            }
        }
    }
    (found, unreadable)
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
