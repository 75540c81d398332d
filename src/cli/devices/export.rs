//! `engage-host devices export`: everything as files.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::output::print_result;
use super::left_out::LeftOut;
use super::store_args::StoreArgs;
use crate::failure::Failure;
use engage_store::Exported;

/// Write the JSON files of all devices anew.
///
/// As `[devices] json_files` keeps them: `SERIAL/device.json`, `config.json`, `audits-YYYY-MM.jsonl`
/// and `alerts-YYYY-MM.jsonl`. Uploads may hold Wi-Fi credentials. Works while the daemon runs.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices export /var/tmp/devices\n  engage-host devices export /var/tmp/devices --config /etc/engage-host/config.toml"
)]
pub(super) struct Export {
    /// Directory that does not exist yet, or is empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Export {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Exported {
            devices,
            events,
            left_out: rows,
        } = self.store.open()?.reader.export(&self.directory)?;
        let mut left_out = LeftOut::default();
        left_out.add(rows);
        left_out.finish()?;
        let written = Written {
            directory: self.directory,
            devices,
            events,
        };
        print_result(&written, self.json)
    }
}

#[derive(Serialize)]
struct Written {
    directory: PathBuf,
    devices: usize,
    events: u64,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            directory,
            devices,
            events,
        } = self;
        write!(
            f,
            "ok: wrote {devices} devices with {events} events into `{}`",
            directory.display()
        )
    }
}
