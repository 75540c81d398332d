//! The event log of Windows (event viewer, Windows Logs, Application): warnings, errors, and what an
//! administrator looks for there. Never a request: whoever calls could fill it.
//!
//! A thread of its own writes, as the event log is another process and may stand still.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use eventlog::EventLog;
use log::{Level, Log, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::text;
use crate::platform::service_manager::SERVICE_NAME;

/// Has Windows know where the texts of our events come from: this program. Needs an administrator.
pub(crate) fn register_event_source() -> io::Result<()> {
    eventlog::register(SERVICE_NAME).map_err(io::Error::other)
}

/// Undoes it.
pub(crate) fn remove_event_source() -> io::Result<()> {
    eventlog::deregister(SERVICE_NAME).map_err(io::Error::other)
}

/// Waits until what is reported so far is written, at most until `deadline`.
pub(super) fn flush(deadline: Instant) {
    let Some(queue) = QUEUE.get() else {
        return;
    };
    let (done, wait) = sync_channel(1);
    if queue.try_send(Message::Flush(done)).is_ok() {
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Reports events; those that find the queue full are in the log file alone.
#[derive(Debug)]
pub(super) struct EventLogLayer(SyncSender<Message>);

impl EventLogLayer {
    /// Starts the thread that writes. The process has one, so this is called once.
    pub(super) fn start() -> io::Result<Self> {
        let log = EventLog::new(SERVICE_NAME, Level::Info).map_err(io::Error::other)?;
        let (queue, queued) = sync_channel(MAX_QUEUED);
        thread::Builder::new()
            .name("event log".into())
            .spawn(move || write(&log, &queued))?;
        let _ = QUEUE.set(queue.clone());
        Ok(Self(queue))
    }
}

impl<S: Subscriber> Layer<S> for EventLogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(level) = level_of(event.metadata()) else {
            return;
        };
        if let Ok(mut text) = text::message(event) {
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
            let _ = self.0.try_send(Message::Event(level, text));
        }
    }
}

#[derive(Debug)]
enum Message {
    Event(Level, String),
    Flush(SyncSender<()>),
}

fn write(log: &EventLog, queued: &Receiver<Message>) {
    for message in queued {
        match message {
            Message::Event(level, text) => {
                let arguments = format_args!("{text}");
                log.log(&Record::builder().level(level).args(arguments).build());
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// As what an event is reported, if it is.
fn level_of(event: &Metadata<'_>) -> Option<Level> {
    match *event.level() {
        tracing::Level::ERROR => Some(Level::Error),
        tracing::Level::WARN => Some(Level::Warn),
        tracing::Level::INFO if ADMINISTRATIVE.contains(&event.target()) => Some(Level::Info),
        _ => None,
    }
}

/// Whose events at level info are few, and of the daemon as a whole: it listens, reloads, renews,
/// stops.
const ADMINISTRATIVE: [&str; 5] = [
    "engage_host::daemon",
    "engage_host::daemon::auto_renewal",
    "engage_host::daemon::reload",
    "engage_host::reload_outcome",
    "engage_host::server",
];

static QUEUE: OnceLock<SyncSender<Message>> = OnceLock::new();

const MAX_QUEUED: usize = 256;
/// Windows takes 31,839 characters.
const MAX_TEXT_BYTES: usize = 8 * 1024;
