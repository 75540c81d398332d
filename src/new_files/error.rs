//! Why a file was not written.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

/// Why a file was not written. Whatever it is, nothing was changed.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to {action} `{}`", path.display())]
#[diagnostic(code("unusable-file"), help("{}", file_hint(source)))]
pub(crate) struct NewFileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl NewFileError {
    pub(crate) fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source: without_path(source),
        }
    }

    /// The operating system's reason, for who names the file in another way.
    pub(crate) fn into_source(self) -> io::Error {
        self.source
    }
}

fn file_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "run this as the user that owns the folder and that will run the daemon"
        }
        io::ErrorKind::AlreadyExists => {
            "something else made it in the meantime; nothing was overwritten: run this again"
        }
        io::ErrorKind::NotADirectory => "name a folder: a file of that name stands in the way",
        _ => "is the folder writable, and is there room on the disk?",
    }
}

/// The operating system's own error: `fs_err` names the path again, and here a temporary one.
fn without_path(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    inner
        .and_then(|inner| inner.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
        .map_or(error, io::Error::from_raw_os_error)
}
