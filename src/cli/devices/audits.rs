//! `engage-host devices audits`: what happened at the doors.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::num::NonZeroU64;
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::super::output::{eprint_note, written};
use super::super::remote::Remote;
use super::error::DevicesError;
use super::event_pages::EventPages;
use super::left_out::LeftOut;
use super::path_of;
use super::since::Since;
use super::store_args::{OpenedStore, StoreArgs};
use crate::event_text::{CsvPrinter, json_line, unquote};
use crate::failure::Failure;
use crate::table::{moment, or_dash};
use engage_store::{
    DeviceEvent, DeviceId, EventFilter, EventFollower, EventKind, EventOrder, EventQuery,
    PageLimit, StoreReader, StoredEvent,
};

/// Print the audits that devices delivered, or their alerts.
///
/// By device, and for each in the order in which they arrived; with `--limit` the newest first. Another host tells those
/// of all devices in the order in which it stored them. Times are UTC, except for the lock's own clock.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices audits 0123456789ABCDEF --since 7d\n  engage-host devices audits --since 2026-11-01 --until 2026-12-01 --csv > november.csv\n  engage-host devices audits 0123456789ABCDEF --limit 20\n  engage-host devices audits --alerts --since 0s --follow --json"
)]
pub(super) struct Audits {
    /// Only this device: serial number in hexadecimal, any case, or IP address
    #[arg(value_name = "SERIAL")]
    device: Option<DeviceId>,
    #[command(flatten)]
    store: StoreArgs,
    /// Only what arrived since: `24h`, `7d`, or a date or time (UTC)
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<Since>,
    /// Only what arrived before
    #[arg(long, value_name = "TIME|DURATION", conflicts_with = "follow")]
    until: Option<Since>,
    /// Only so many, the newest first; of all devices together
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    limit: Option<NonZeroU64>,
    /// Then go on with new ones until interrupted; looks once a second
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    pub(super) form: Form,
    /// Alerts instead of audits
    #[arg(long)]
    alerts: bool,
}

/// In which form events are printed; in columns if in none of these.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Form {
    /// Print JSON lines as they are stored, each with its `device`, secrets masked
    #[arg(long, conflicts_with = "csv")]
    pub(super) json: bool,
    /// Print comma-separated values; what a spreadsheet would run is made text
    #[arg(long)]
    csv: bool,
}

impl Audits {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let filter = self.filter();
        let mut printer = Printer::new(self.form);
        let place = match remote {
            Some(remote) => {
                self.print_of(remote, &filter, &mut printer)?;
                remote.place()
            }
            None => self.print_here(filter, &mut printer)?,
        };
        if printer.events == 0 {
            let limit = |word, at: Option<_>| {
                at.map_or_else(String::new, |at| format!(" {word} {}", moment(at)))
            };
            let what = if self.alerts { "alerts" } else { "audits" };
            let (since, until) = (limit("since", filter.since), limit("until", filter.until));
            eprint_note("note", format!("no {what}{since}{until} in `{place}`"));
        }
        Ok(printer.left_out.finish()?)
    }

    fn filter(&self) -> EventFilter {
        let now = Timestamp::now();
        let [since, until] = [self.since, self.until].map(|it| it.map(|it| it.before(now)));
        EventFilter {
            device: self.device,
            kind: Some(if self.alerts {
                EventKind::Alerts
            } else {
                EventKind::Audits
            }),
            since,
            until,
            ..EventFilter::default()
        }
    }

    /// Prints those of this host's store, which it names.
    fn print_here(&self, filter: EventFilter, printer: &mut Printer) -> Result<String, Failure> {
        let OpenedStore { reader, place, .. } = match self.device {
            Some(device) if !self.follow => self.store.open_with(device)?.0,
            // One that has not called yet can be waited for.
            _ => self.store.open()?,
        };
        match self.limit {
            None => printer.print_all(&mut reader.follow(filter), self.follow)?,
            Some(limit) => printer.print_newest(&reader, filter, limit)?,
        }
        Ok(place)
    }

    /// Prints those of another host.
    fn print_of(
        &self,
        remote: &Remote,
        filter: &EventFilter,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        if let Some(device) = self.device.filter(|_| !self.follow) {
            // As here: one that is not known is no device without audits.
            remote.get(&path_of(device))?;
        }
        let mut pages = EventPages::new(remote, filter, self.limit, self.follow);
        let mut printed = printer.out.print_heading();
        while printed.is_ok()
            && let Some(page) = pages.next()?
        {
            printer.left_out.add(page.left_out);
            printed = page.events.iter().try_for_each(|it| printer.print(it));
            printed = printed.and_then(|()| printer.out.flush());
        }
        written(printed)
    }
}

/// Prints events as they come; keeps none.
struct Printer {
    out: Output,
    events: u64,
    left_out: LeftOut,
}

/// Standard output in one of the forms.
enum Output {
    Csv(Box<CsvPrinter<StdoutLock<'static>>>),
    Json(BufWriter<StdoutLock<'static>>),
    Text(BufWriter<StdoutLock<'static>>),
}

impl Printer {
    fn new(form: Form) -> Self {
        let stdout = io::stdout().lock();
        Self {
            out: match form {
                Form { json: true, .. } => Output::Json(BufWriter::new(stdout)),
                Form { csv: true, .. } => Output::Csv(Box::new(CsvPrinter::new(stdout))),
                Form { .. } => Output::Text(BufWriter::new(stdout)),
            },
            events: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Comes back when all is printed, or, following, when it fails or its reader has gone away.
    fn print_all(&mut self, events: &mut EventFollower<'_>, follow: bool) -> Result<(), Failure> {
        let mut unwritten = self.out.print_heading().err();
        loop {
            let read = events.read(&mut |event| {
                self.print(event).map_err(|error| {
                    let kind = error.kind();
                    unwritten = Some(error);
                    kind.into()
                })
            });
            if let Some(error) = unwritten.or_else(|| self.out.flush().err()) {
                return written(Err(error));
            }
            read.map_err(DevicesError::from)?;
            self.left_out.add(events.take_left_out());
            if !follow {
                return Ok(());
            }
            unwritten = None;
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn print_newest(
        &mut self,
        reader: &StoreReader,
        filter: EventFilter,
        limit: NonZeroU64,
    ) -> Result<(), Failure> {
        let mut left = limit.get();
        let mut query = EventQuery {
            filter,
            order: EventOrder::NewestFirst,
            ..EventQuery::default()
        };
        let mut printed = self.out.print_heading();
        while printed.is_ok() && left > 0 {
            query.limit = PageLimit::clamped(left);
            let page = reader.events(&query).map_err(DevicesError::from)?;
            left -= page.events.len() as u64;
            self.left_out.add(page.left_out);
            printed = page.events.iter().try_for_each(|event| self.print(event));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        written(printed.and_then(|()| self.out.flush()))
    }

    fn print(&mut self, event: &DeviceEvent) -> io::Result<()> {
        let DeviceEvent { device, seq, .. } = event;
        let Ok(stored) = event.parse() else {
            let text = format!("event {seq} of device {device} is not an event; passed over");
            eprint_note("warning", text);
            return Ok(());
        };
        self.events += 1;
        self.out.print(event, &stored)
    }
}

impl Output {
    fn print_heading(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.print_heading(),
            Self::Json(_) => Ok(()),
            Self::Text(out) => writeln!(
                out,
                "{:<20}  {:<19}  {:<8}  {:<MEANING_CHARS$}  DEVICE",
                "RECEIVED", "BY THE LOCK'S CLOCK", "EVENT", "MEANING"
            ),
        }
    }

    fn print(&mut self, event: &DeviceEvent, stored: &StoredEvent) -> io::Result<()> {
        let device = event.device;
        match self {
            Self::Csv(csv) => csv.print(device, stored),
            Self::Json(out) => writeln!(out, "{}", json_line(event)),
            Self::Text(out) => {
                let [code, time] = [&stored.event, &stored.time].map(|raw| unquote(raw.as_deref()));
                writeln!(
                    out,
                    "{:<20}  {:<19}  {:<8}  {:<MEANING_CHARS$}  {device}",
                    moment(stored.received_at),
                    or_dash(stored.at.as_deref().or(Some(&time))),
                    or_dash(stored.code.as_deref().or(Some(&code))),
                    or_dash(stored.name.as_deref()),
                )
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush(),
            Self::Json(out) | Self::Text(out) => out.flush(),
        }
    }
}

const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest that is known.
const MEANING_CHARS: usize = "host connected or disconnected".len();
