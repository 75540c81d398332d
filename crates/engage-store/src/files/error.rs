//! Why the directory of devices cannot be used.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use engage_wire::diagnostic::Explain;

/// Why the directory of devices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns it.
    #[error(
        "device directory `{}` is in use{}",
        path.parent().unwrap_or(path).display(),
        pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error("failed to open device directory: `{}`", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn unusable(path: &Path, source: io::Error) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            source: source
                .raw_os_error()
                .map_or(source, io::Error::from_raw_os_error),
        }
    }
}

impl Explain for OpenError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Held { .. } => "device-directory-in-use".into(),
            Self::Unusable { .. } => "device-directory-unusable".into(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Held { .. } => {
                "stop the other engage-host, or give this one another `[devices] directory`".into()
            }
            Self::Unusable { .. } => {
                "the user that runs engage-host needs to create, write and read files there".into()
            }
        }
    }
}
