//! Where the log goes.

use std::io::{self, IsTerminal, Write};
#[cfg(windows)]
use std::path::PathBuf;

#[cfg(windows)]
use super::{event_log::EventLogLayer, log_files::LogFiles};

/// Where the log goes.
#[derive(Clone, Debug)]
pub(crate) enum LogOutput {
    /// To standard error.
    Stderr,
    /// To files in this folder, and what administrators look for to the event log of Windows: a
    /// service has no console.
    #[cfg(windows)]
    Service(PathBuf),
}

impl LogOutput {
    /// A service whose folder cannot be used serves nevertheless: why is for the event log.
    pub(super) fn open(&self) -> (Box<dyn Write + Send>, Option<io::Error>) {
        match self {
            Self::Stderr => (Box::new(io::stderr()), None),
            #[cfg(windows)]
            Self::Service(folder) => match LogFiles::open(folder) {
                Ok(files) => (Box::new(files), None),
                Err(error) => (Box::new(io::sink()), Some(error)),
            },
        }
    }

    /// Whether it goes where a failure of the command is told too.
    pub(crate) fn is_read_by_caller(&self) -> bool {
        match self {
            Self::Stderr => true,
            #[cfg(windows)]
            Self::Service(_) => false,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_read_by_caller() && io::stderr().is_terminal()
    }

    #[cfg(windows)]
    pub(super) fn event_log(&self) -> Option<EventLogLayer> {
        match self {
            Self::Stderr => None,
            Self::Service(_) => EventLogLayer::start().ok(),
        }
    }
}
