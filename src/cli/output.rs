//! How every command ends: one place for the words "error" and "hint", and for exit codes.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::publication::Refusals;
use engage_wire::diagnostic::{Explain, explained};

/// A failure that has been put into words for the person at the console.
#[derive(Debug)]
pub(super) struct Failure(Vec<String>);

impl Failure {
    pub(super) fn new(text: impl Display) -> Self {
        Self(vec![text.to_string()])
    }

    /// Everything that a proof refused.
    pub(super) fn refused(refusals: &Refusals) -> Self {
        Self(refusals.iter().map(|it| explained(it)).collect())
    }

    /// Prints it to standard error, each part starting with "error: ".
    pub(super) fn report(&self) -> ExitCode {
        for part in &self.0 {
            eprintln!("error: {part}");
        }
        ExitCode::FAILURE
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(vec![explained(&error)])
    }
}

/// Prints to standard output; a reader that has gone away (`| head`) is no failure.
pub(super) fn print(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints one JSON document.
pub(super) fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(json) => print(json),
        Err(error) => unreachable!("results are plain data: {error}"),
    }
}
