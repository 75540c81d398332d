//! `engage-host devices db check`: what would become of a file.

use std::path::PathBuf;

use clap::Args;

use super::super::super::output::print;
use super::{counted, read};
use crate::failure::Failure;

/// Check a `db.json` as the daemon does, and count what would be sent.
///
/// Exit code 0 when it would be sent, 1 when not.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host devices db check db.json && cp db.json Engage_Data/0123456789ABCDEF/"
)]
pub(super) struct CheckDatabase {
    /// The database: `{"db":{..},"config":{..}}`
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl CheckDatabase {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (_, database) = read(&self.file)?;
        print(format!(
            "ok: `{}` would be sent, {} bytes, version {}\n{}",
            self.file.display(),
            database.contents().size_bytes,
            database.version(),
            counted(database.contents(), database.warnings().len())
        ))
    }
}
