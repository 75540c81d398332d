//! `engage-host devices`: a line for each device.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::num::NonZeroU64;

use clap::Args;
use jiff::Timestamp;

use super::super::output::{eprint_note, written};
use super::super::remote::Remote;
use super::device_pages::DevicePages;
use super::error::DevicesError;
use super::left_out::LeftOut;
use super::since::Since;
use super::store_args::StoreArgs;
use crate::failure::Failure;
use crate::table::{Columns, moment, or_dash};
use engage_store::{DeviceQuery, DeviceRecord, SerialPrefix, Timestamped, strays};
use engage_wire::escape_json_for_terminal;
use engage_wire::pki::Fingerprint;

#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    conditions: Conditions,
    /// At most so many; all of them otherwise
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,
    /// Print one JSON array instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// What devices are to meet, all of it.
#[derive(Args, Debug)]
struct Conditions {
    /// Only devices whose serial number begins so: hexadecimal digits, any case
    #[arg(long, value_name = "PREFIX")]
    serial: Option<SerialPrefix>,
    /// Only devices of this site
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// Only devices of this model, spelled as in the table
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Only devices that fetched this certificate last: its SHA-256 fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    certificate: Option<Fingerprint>,
    /// Only devices that called since: `24h`, `7d`, or a date or time (UTC)
    #[arg(long, value_name = "TIME|DURATION")]
    seen_since: Option<Since>,
    /// Only devices that have not called since
    #[arg(long, value_name = "TIME|DURATION")]
    not_seen_since: Option<Since>,
}

impl List {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let query = self.conditions.query();
        let mut pages = match remote {
            Some(remote) => DevicePages::there(remote, &query),
            None => DevicePages::here(self.store.open()?, query),
        };
        if let Some(directory) = &pages.directory {
            for stray in strays(directory).map_err(DevicesError::from)? {
                eprint_note("warning", stray);
            }
        }
        let mut left = self.limit.map_or(u64::MAX, NonZeroU64::get);
        let mut printer = Printer::new(self.json);
        let mut left_out = LeftOut::default();
        while left > 0
            && let Some(page) = pages.next(left)?
        {
            left = left.saturating_sub(page.devices.len() as u64);
            left_out.add(page.left_out);
            if let Err(error) = printer.print(&page.devices) {
                return written(Err(error));
            }
        }
        if printer.columns.is_none() {
            let place = &pages.place;
            let text = if pages.has_any()? {
                format!("no device in `{place}` meets these conditions")
            } else {
                format!("no device has called yet: `{place}` holds no device")
            };
            eprint_note("note", text);
        }
        written(printer.finish())?;
        Ok(left_out.finish()?)
    }
}

impl Conditions {
    fn query(self) -> DeviceQuery {
        let now = Timestamp::now();
        let moment = |since: Option<Since>| since.map(|since| since.before(now));
        DeviceQuery {
            serial: self.serial,
            site: self.site,
            model: self.model,
            certificate: self.certificate,
            seen_since: moment(self.seen_since),
            not_seen_since: moment(self.not_seen_since),
            ..DeviceQuery::default()
        }
    }
}

/// Prints page after page: there may be 100,000 devices.
struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    json: bool,
    /// As the first page needs them; unknown before the first device.
    columns: Option<Columns<8>>,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self {
            out: BufWriter::new(io::stdout().lock()),
            json,
            columns: None,
        }
    }

    fn print(&mut self, records: &[DeviceRecord]) -> io::Result<()> {
        let rows: Vec<_> = records.iter().map(row).collect();
        for (record, row) in records.iter().zip(&rows) {
            let is_first = self.columns.is_none();
            let columns = self
                .columns
                .get_or_insert_with(|| Columns::new(HEADINGS, &rows));
            if self.json {
                let json = serde_json::to_string_pretty(record)?;
                let json = escape_json_for_terminal(&json).replace('\n', "\n  ");
                let before = if is_first { "[" } else { "," };
                write!(self.out, "{before}\n  {json}")?;
            } else {
                if is_first {
                    let headings = HEADINGS.map(str::to_owned);
                    writeln!(self.out, "{}", columns.line(&headings))?;
                }
                writeln!(self.out, "{}", columns.line(row))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        match (self.json, self.columns) {
            (true, None) => writeln!(self.out, "[]")?,
            (true, Some(_)) => writeln!(self.out, "\n]")?,
            (false, _) => {}
        }
        self.out.flush()
    }
}

fn row(record: &DeviceRecord) -> [String; 8] {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), moment);
    let when = |dated: &Option<Timestamped>| time(dated.as_ref().map(|dated| dated.at));
    [
        record.device.to_string(),
        or_dash(record.site.as_deref()),
        or_dash(record.model.as_deref()),
        or_dash(record.firmware.as_deref()),
        time(record.last_call_in()),
        when(&record.next_call_in),
        when(&record.certificate),
        or_dash(record.battery.as_deref()),
    ]
}

const HEADINGS: [&str; 8] = [
    "DEVICE",
    "SITE",
    "MODEL",
    "FIRMWARE",
    "LAST CALL-IN",
    "NEXT",
    "CERTIFICATE FETCHED",
    "BATTERY",
];
