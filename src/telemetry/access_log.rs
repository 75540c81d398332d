//! The access log: a line for each request, between the events and in their form (docs/LOGGING.md).
//!
//! Not an event of `tracing`, whose layers and fields, each through `core::fmt`, take more than twice
//! as long: every request has this line.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::sync::OnceLock;

use engage_wire::escape_for_terminal;
use serde::Serialize;
use tracing::Level;

use super::access::{AccessEvent, Shortened};
use super::log_buffer::Priority;
use super::log_writer::NonBlockingWriter;
use super::{clock, text};
use crate::config::LogFormat;

/// Has requests logged from now on. The process has one log, so this is called once.
pub(super) fn start(format: LogFormat, in_colour: bool, writer: NonBlockingWriter) {
    let _ = STARTED.set(AccessLog {
        format,
        in_colour,
        writer,
    });
}

#[derive(Debug)]
struct AccessLog {
    format: LogFormat,
    in_colour: bool,
    writer: NonBlockingWriter,
}

impl AccessEvent<'_> {
    /// Logs it, if requests are logged.
    pub fn log(&self) {
        let Some(log) = STARTED.get() else {
            return;
        };
        LINE.with_borrow_mut(|line| {
            line.clear();
            let written = match log.format {
                LogFormat::Text => write_text(line, log.in_colour, self),
                LogFormat::Json => write_json(line, self),
            };
            if written.is_ok() {
                line.push('\n');
                log.writer.push(line.as_bytes(), Priority::Access);
            }
        });
    }

    fn duration_us(&self) -> u64 {
        u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX)
    }

    fn tls(&self) -> Option<&'static str> {
        self.connection.tls.map(|tls| tls.version)
    }
}

fn write_text(line: &mut String, in_colour: bool, access: &AccessEvent<'_>) -> fmt::Result {
    text::begin_line(line, LEVEL, TARGET, in_colour)?;
    let begin = line.len();
    push_message(line, access)?;
    line.push_str(" listener=");
    line.push_str(access.connection.listener.name());
    line.push_str(" peer=");
    push_peer(line, access.connection.peer)?;
    if let Some(serial) = access.serial() {
        line.push_str(" device.serial=\"");
        line.push_str(&serial);
        line.push('"');
    }
    if let Some(tls) = access.tls() {
        line.push_str(" tls=\"");
        line.push_str(tls);
        line.push('"');
    }
    line.push_str(" status=");
    push_number(line, access.status.as_u16());
    if let Some(size) = access.size_bytes {
        line.push_str(" size_bytes=");
        push_number(line, size);
    }
    line.push_str(" duration_us=");
    push_number(line, access.duration_us());
    if !is_printable(&line[begin..]) {
        let escaped = escape_for_terminal(&line[begin..]).into_owned();
        line.truncate(begin);
        line.push_str(&escaped);
    }
    Ok(())
}

/// As `tracing-subscriber` writes an event, flattened.
#[derive(Serialize)]
struct JsonLine<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'a str,
    listener: &'a str,
    peer: SocketAddr,
    #[serde(rename = "device.serial", skip_serializing_if = "Option::is_none")]
    device_serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    duration_us: u64,
    target: &'a str,
}

fn write_json(line: &mut String, access: &AccessEvent<'_>) -> fmt::Result {
    let (mut timestamp, mut message) = (String::new(), String::new());
    clock::write_now(&mut timestamp)?;
    push_message(&mut message, access)?;
    let json = serde_json::to_string(&JsonLine {
        timestamp: &timestamp,
        level: LEVEL.as_str(),
        message: &message,
        listener: access.connection.listener.name(),
        peer: access.connection.peer,
        device_serial: access.serial(),
        tls: access.tls(),
        status: access.status.as_u16(),
        size_bytes: access.size_bytes,
        duration_us: access.duration_us(),
        target: TARGET,
    });
    line.push_str(&json.map_err(|_| fmt::Error)?);
    Ok(())
}

/// `GET /path -> 200`
fn push_message(line: &mut String, access: &AccessEvent<'_>) -> fmt::Result {
    Shortened(access.method.as_str()).write_to(line)?;
    line.push(' ');
    Shortened(access.uri.path()).write_to(line)?;
    line.push_str(" -> ");
    push_number(line, access.status.as_u16());
    Ok(())
}

/// As the address is displayed, in a sixth of the time where it is IPv4.
fn push_peer(line: &mut String, peer: SocketAddr) -> fmt::Result {
    let SocketAddr::V4(peer) = peer else {
        return write!(line, "{peer}");
    };
    for (octet, end) in peer.ip().octets().into_iter().zip(['.', '.', '.', ':']) {
        push_number(line, octet);
        line.push(end);
    }
    push_number(line, peer.port());
    Ok(())
}

fn push_number(line: &mut String, number: impl itoa::Integer) {
    line.push_str(itoa::Buffer::new().format(number));
}

/// Visible ASCII and spaces. Looks at all of it, which takes less than to stop early.
fn is_printable(text: &str) -> bool {
    text.bytes()
        .fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// What `[log] level` calls these lines.
pub(super) const TARGET: &str = "access";
/// At which level they are.
pub(super) const LEVEL: Level = Level::INFO;

static STARTED: OnceLock<AccessLog> = OnceLock::new();

thread_local! {
    /// The last line, whose room the next one takes.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http::{Method, StatusCode, Uri};
    use proptest::prelude::*;

    use super::*;
    use crate::connection::{Connection, ListenerKind, TlsSession};
    use crate::telemetry::RouteMetrics;

    /// What is written of a request for `path`, behind the time.
    fn written(
        path: &str,
        has_facts: bool,
        write: impl FnOnce(&mut String, &AccessEvent<'_>) -> fmt::Result,
    ) -> String {
        let mut connection = Connection::unguarded(
            ListenerKind::Https,
            if has_facts {
                "10.44.68.20:49152"
            } else {
                "[fe80::1]:80"
            }
            .parse()
            .unwrap(),
        );
        connection.tls = has_facts.then_some(TlsSession {
            version: "1.2",
            verified: None,
        });
        let (uri, mut line): (Uri, _) = (path.parse().unwrap(), String::new());
        let access = AccessEvent {
            route: &RouteMetrics::new("other"),
            connection: &connection,
            method: &Method::GET,
            uri: &uri,
            device: None,
            status: StatusCode::OK,
            size_bytes: has_facts.then_some(156),
            started: Instant::now(),
            duration: Duration::from_micros(41),
        };
        write(&mut line, &access).unwrap();
        let end_of_time = line.find('Z').unwrap() + 1;
        line.split_off(end_of_time)
    }

    #[test]
    fn a_line_of_text_has_the_form_of_an_event() {
        let path = "/a\u{2028}\"\\?sn=ASNFZ4mrze8=";
        let line = written(path, true, |line, access| write_text(line, true, access));
        assert_eq!(
            line,
            " \u{1b}[32m INFO\u{1b}[0m access: GET /a\\u{2028}\"\\ -> 200 listener=https peer=10.44.68.20:49152 \
             device.serial=\"0123456789ABCDEF\" tls=\"1.2\" status=200 size_bytes=156 duration_us=41"
        );
        let line = written("/", false, |line, access| write_text(line, false, access));
        assert_eq!(
            line,
            "  INFO access: GET / -> 200 listener=https peer=[fe80::1]:80 status=200 duration_us=41"
        );
    }

    #[test]
    fn a_line_of_json_has_the_form_of_an_event() {
        let line = written("/a\"\\?sn=ASNFZ4mrze8=", true, write_json);
        assert_eq!(
            line,
            r#"","level":"INFO","message":"GET /a\"\\ -> 200","listener":"https","peer":"10.44.68.20:49152","device.serial":"0123456789ABCDEF","tls":"1.2","status":200,"size_bytes":156,"duration_us":41,"target":"access"}"#
        );
        let line = written("/", false, write_json);
        assert_eq!(
            line,
            r#"","level":"INFO","message":"GET / -> 200","listener":"https","peer":"[fe80::1]:80","status":200,"duration_us":41,"target":"access"}"#
        );
    }

    proptest! {
        #[test]
        fn a_peer_is_written_as_its_address(peer: SocketAddr) {
            let mut line = String::new();
            push_peer(&mut line, peer).unwrap();
            prop_assert_eq!(line, peer.to_string());
        }
    }
}
