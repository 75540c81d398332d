//! Why nothing is shown.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use miette::Diagnostic;

use crate::failure::ErrorEntry;
use engage_store::{DbError, DeviceId, StoreError};
use engage_wire::diagnostic::hint;

/// Why a subcommand of `devices` fails.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(in crate::cli) enum DevicesError {
    #[error("device {device} has never called: nothing of it is in `{place}`")]
    #[diagnostic(
        code("unknown-device"),
        help("`engage-host devices` lists those that have")
    )]
    UnknownDevice { device: DeviceId, place: String },
    #[error("not everything could be read: {count} rows of the database were left out")]
    #[diagnostic(
        code("rows-left-out"),
        help(
            "somebody changed them: mend or remove those that the warnings name, or restore a backup"
        )
    )]
    LeftOut { count: usize },
    #[error("no database is stored for device {device}")]
    #[diagnostic(
        code("no-database"),
        help("`engage-host devices db set {device} FILE` stores one")
    )]
    NoDatabase { device: DeviceId },
    #[error("the database of device {device} in the store would not be sent")]
    #[diagnostic(
        code("malformed-database"),
        help("`engage-host devices db set {device} FILE` puts another in its place")
    )]
    StoredDatabase { device: DeviceId, source: DbError },
    #[error(
        "no body of device {device}{} is in quarantine",
        received_at.map_or_else(String::new, |at| format!(" of {at}"))
    )]
    #[diagnostic(
        code("not-in-quarantine"),
        help("`engage-host devices quarantine` lists those that are, with their times")
    )]
    NotInQuarantine {
        device: DeviceId,
        received_at: Option<Timestamp>,
    },
    /// `fs_err` has named the path.
    #[error(transparent)]
    #[diagnostic(code("unusable-file"), help("{}", read_hint(source)))]
    Read { source: io::Error },
    #[error("`{address}` is an address; allowed: a serial number of 16 or 32 hexadecimal digits")]
    #[diagnostic(
        code("not-a-serial-number"),
        help("a device that sends a password sends its serial number as user name")
    )]
    NotASerialNumber { address: String },
    #[error("failed to read standard input")]
    #[diagnostic(
        code("unusable-input"),
        help("write the password as its first line, such as with `< password.txt`")
    )]
    Input(#[source] io::Error),
    #[error("no password on standard input")]
    #[diagnostic(
        code("no-password"),
        help("write it as the first line, such as with `< password.txt`")
    )]
    NoPassword,
    #[error("the password is too long; allowed: {max_bytes} bytes")]
    #[diagnostic(
        code("password-too-long"),
        help("is this the right file? only its first line is read")
    )]
    PasswordTooLong { max_bytes: usize },
    #[error("the password is not UTF-8, and another host takes it as text only")]
    #[diagnostic(
        code("unusable-password"),
        help("run this on the host itself, or choose a password in ASCII")
    )]
    PasswordNotText,
    #[error("`--remove` is given without `--server`")]
    #[diagnostic(
        code("no-server"),
        help("on the host itself remove the device's line from its credentials file")
    )]
    RemoveHere,
    #[error("database `{}` would not be sent", path.display())]
    #[diagnostic(code("malformed-database"), help("{}", hint(source)))]
    Database { path: PathBuf, source: DbError },
}

/// What another host's daemon refuses of what it has written.
#[derive(Debug, thiserror::Error)]
#[error("the line is written, and the daemon does not take it up: {}", .0.message)]
pub(in crate::cli) struct NotTakenUp(pub(super) ErrorEntry);

impl Diagnostic for NotTakenUp {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(&self.0.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(&self.0.hint))
    }
}

impl From<io::Error> for DevicesError {
    fn from(source: io::Error) -> Self {
        Self::Read { source }
    }
}

fn read_hint(error: &io::Error) -> String {
    let store = error
        .get_ref()
        .and_then(|it| it.downcast_ref::<StoreError>());
    if let Some(error) = store {
        return hint(error);
    }
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "is the path right?",
        io::ErrorKind::PermissionDenied => "the user that runs this command needs read permission",
        _ => "is the disk all right?",
    };
    hint.to_owned()
}
