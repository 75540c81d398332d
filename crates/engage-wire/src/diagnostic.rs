//! How a refusal is told to the person at the console: what failed, why, and what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use miette::Diagnostic;

/// Stable, kebab-case name for scripts and logs.
pub fn code(error: &dyn Diagnostic) -> String {
    let code = error.code().map(|code| code.to_string());
    code.unwrap_or_else(|| "error".to_owned())
}

/// One sentence on what to do, without the word "hint"; empty if there is nothing to do.
pub fn hint(error: &dyn Diagnostic) -> String {
    error
        .help()
        .map(|help| help.to_string())
        .unwrap_or_default()
}

/// Message, causes and hint in one text.
///
/// ```text
/// failed to read private key `/etc/engage-host/pki/partner_server.key`: Permission denied
///   hint: the user that runs engage-host needs read permission
/// ```
pub fn explained(error: &dyn Diagnostic) -> String {
    let mut text = causes(error);
    let _ = write!(text, "\n  hint: {}", hint(error));
    text
}

/// The same on one line, for the log: without the margin and the caret of the TOML parser.
pub fn one_line(error: &dyn Diagnostic) -> String {
    let causes = causes(error);
    let lines = causes.lines().map(str::trim);
    let told: Vec<_> = lines.filter(|line| !line.starts_with('|')).collect();
    format!("{}; hint: {}", told.join(": "), hint(error))
}

/// The message and those of its sources, joined by colons.
pub fn causes<E: Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // The TOML parser ends its report with an empty line.
        let _ = write!(text, ": {}", cause.to_string().trim_end());
        source = cause.source();
    }
    text
}

/// What can be done about an operating system's refusal to read or write a file.
pub fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path: there is no file or folder of this name",
        io::ErrorKind::PermissionDenied => {
            "give the user that runs engage-host permission for the file and for every folder above it"
        }
        io::ErrorKind::IsADirectory => "name the file itself, not its folder",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk",
        _ => "check what the path leads to: its links, its mount and the disk",
    }
}
