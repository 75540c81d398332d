//! `engage-host devices quarantine`: bodies that were answered 400.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Deserialize;

use super::super::output::{eprint_note, print, print_json, written};
use super::super::remote::Remote;
use super::error::DevicesError;
use super::store_args::StoreArgs;
use crate::failure::Failure;
use crate::table::table;
use engage_store::{DeviceId, QuarantinedBody};
use engage_wire::escape_for_terminal;

/// List the bodies that were refused because they could not be read.
///
/// The newest 16 of each device are kept, 4096 in all, as they arrived. Times are UTC.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  engage-host devices quarantine\n  engage-host devices quarantine show 0123456789ABCDEF > body"
)]
pub(super) struct Quarantine {
    #[command(flatten)]
    list: List,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    store: StoreArgs,
    /// Print one JSON array instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
}

/// Write a body as it arrived to standard output.
///
/// Byte for byte, and with escapes where that is a terminal. It may hold Wi-Fi credentials.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices quarantine show 0123456789ABCDEF | less\n  engage-host devices quarantine show 10.44.0.7 2026-11-23T02:13:05.123456Z > body"
)]
struct Show {
    /// Serial number in hexadecimal, any case; or the IP address of a device that does not send it
    #[arg(value_name = "SERIAL")]
    device: DeviceId,
    /// When it arrived, as it is listed; without it, the device's newest
    #[arg(value_name = "TIME")]
    received_at: Option<Timestamp>,
    #[command(flatten)]
    store: StoreArgs,
}

impl Quarantine {
    pub(super) fn is_json(&self) -> bool {
        self.command.is_none() && self.list.json
    }

    /// Whether only the host itself can do it: a body may hold credentials, and the API shows none.
    pub(super) fn is_of_files(&self) -> bool {
        self.command.is_some()
    }

    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        match self.command {
            None => self.list.run(remote),
            Some(Command::Show(show)) => show.run(),
        }
    }
}

/// As the API lists them.
#[derive(Deserialize)]
struct RemoteList {
    bodies: Vec<QuarantinedBody>,
}

impl List {
    fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let bodies = if let Some(remote) = remote {
            remote.get("/quarantine")?.read::<RemoteList>()?.bodies
        } else {
            let reader = self.store.open()?.reader;
            reader.quarantined_bodies().map_err(DevicesError::from)?
        };
        if bodies.is_empty() {
            eprint_note("note", "no body is in quarantine");
        }
        if self.json {
            return print_json(&bodies);
        }
        if bodies.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = bodies.iter().map(row).collect();
        print(table(["RECEIVED", "DEVICE", "CALL", "BYTES"], &rows))
    }
}

fn row(body: &QuarantinedBody) -> [String; 4] {
    [
        // To the microsecond: `show` finds it by this.
        body.received_at.to_string(),
        body.device.to_string(),
        body.kind.as_str().to_owned(),
        body.size_bytes.to_string(),
    ]
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let Self {
            device,
            received_at,
            store,
        } = self;
        let reader = store.open()?.reader;
        let body = reader.quarantined_body(device, received_at);
        let body = body.map_err(DevicesError::from)?;
        let body = body.ok_or(DevicesError::NotInQuarantine {
            device,
            received_at,
        })?;
        let mut stdout = io::stdout().lock();
        let shown = if stdout.is_terminal() {
            escaped(&body).into_bytes()
        } else {
            body
        };
        written(stdout.write_all(&shown).and_then(|()| stdout.flush()))
    }
}

/// What cannot be seen as escapes, and line feeds as they are; with one at the end.
fn escaped(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len() + 1);
    for chunk in body.utf8_chunks() {
        for (at, line) in chunk.valid().split('\n').enumerate() {
            text.push_str(if at == 0 { "" } else { "\n" });
            text.push_str(&escape_for_terminal(line));
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_moves_no_cursor_and_its_bytes_can_be_told() {
        assert_eq!(
            escaped(b"{\"a\":\n\x1b[2J\xff\xc3\x28T\xc3\xbcr\0"),
            "{\"a\":\n\\u{1b}[2J\\xff\\xc3(Tür\\0\n"
        );
        assert_eq!(escaped(b"a\n"), "a\n");
    }
}
