//! How every command ends: the one place for the words "error" and "hint", and for exit codes.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use miette::{Diagnostic, Severity};
use serde::Serialize;

use crate::failure::{ErrorEntry, Failure};
use engage_wire::diagnostic::{causes, hint};
use engage_wire::{escape_for_terminal, escape_json_for_terminal};

impl Failure {
    /// Prints each error with its causes and its hint: for people to standard error, for scripts
    /// to standard output, where they await the result.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        if !json || self.print_json().is_err() {
            self.print_text();
        }
        ExitCode::from(if self.is_usage_error() { 2 } else { 1 })
    }

    fn print_text(&self) {
        let mut stderr = io::stderr().lock();
        for error in self.errors() {
            // Where even standard error cannot be written, the exit code tells.
            let error_word = word(Severity::Error);
            let _ = writeln!(stderr, "{error_word}: {}", escape_lines(&causes(error)));
            let hint = hint(error);
            if !hint.is_empty() {
                let _ = writeln!(stderr, "{}", hint_line(2, escape_lines(&hint)));
            }
        }
    }

    /// One line, so that it fits behind JSON lines too.
    fn print_json(&self) -> Result<(), Failure> {
        let refusals = self.errors().map(|it| ErrorEntry::new(it));
        let report = FailureReport {
            ok: false,
            refusals: refusals.collect(),
        };
        print_escaped(&serde_json::to_string(&report).map_err(OutputError::from)?)
    }
}

/// What every command with `--json` prints when it fails; `check --json` has the same members.
#[derive(Serialize)]
struct FailureReport {
    ok: bool,
    refusals: Vec<ErrorEntry>,
}

/// Why a result did not reach its reader.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum OutputError {
    #[error("failed to write the result as JSON")]
    #[diagnostic(code("output"), help("run the command without `--json`"))]
    Json(#[from] serde_json::Error),
    #[error("failed to write to standard output")]
    #[diagnostic(code("output"), help("is there room where it goes?"))]
    Write(#[from] io::Error),
}

/// Why a command cannot run, whatever its arguments.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to {action}")]
#[diagnostic(
    code("system"),
    help("the system is out of a resource: memory, processes or descriptors?")
)]
pub(super) struct SystemError {
    pub(super) action: &'static str,
    #[source]
    pub(super) source: io::Error,
}

impl SystemError {
    pub(super) fn new(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, source }
    }
}

/// What stands against a result, or should be looked at, within the text of one. Without a line break at its end.
pub(super) fn entry_text(severity: Severity, entry: &ErrorEntry) -> String {
    let ErrorEntry {
        code,
        message,
        hint,
    } = entry;
    let (word, hint) = (word(severity), hint_line(2, hint));
    format!("{word}[{code}]: {message}\n{hint}")
}

/// What to do, below what is said.
pub(super) fn hint_line(indent: usize, hint: impl Display) -> String {
    format!("{:indent$}hint: {hint}", "")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Advice => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// Prints a result to standard output.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()))
}

/// Prints a result for scripts or for people.
pub(super) fn print_result(result: &(impl Display + Serialize), json: bool) -> Result<(), Failure> {
    if json {
        print_json(result)
    } else {
        print(result)
    }
}

/// Prints one JSON document.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print_escaped(&serde_json::to_string_pretty(value).map_err(OutputError::from)?)
}

fn print_escaped(json: &str) -> Result<(), Failure> {
    print(escape_json_for_terminal(json))
}

/// The outcome of writing to standard output: a reader that has gone away (`| head`) is no failure.
pub(super) fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if !is_reader_gone(&error) => Err(OutputError::from(error).into()),
        _ => Ok(()),
    }
}

/// Windows has three words for it, of which Rust knows one.
fn is_reader_gone(error: &io::Error) -> bool {
    /// `ERROR_NO_DATA` and `ERROR_PIPE_NOT_CONNECTED` of `winerror.h`.
    const CLOSED_PIPE: [i32; 2] = [232, 233];
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::BrokenPipe
        || cfg!(windows) && code.is_some_and(|code| CLOSED_PIPE.contains(&code))
}

/// Something that the reader should know, and that is not the result: to standard error.
pub(super) fn eprint_note(kind: &str, text: impl Display) {
    let _ = writeln!(
        io::stderr().lock(),
        "{kind}: {}",
        escape_lines(&text.to_string())
    );
}

/// What was found in a file or sent by a peer may be part of a message, whose line breaks are ours.
fn escape_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(escape_for_terminal).collect();
    lines.join("\n")
}
