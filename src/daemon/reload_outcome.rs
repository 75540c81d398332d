//! What a reload came to, for the log, the service manager, and whoever asked for it.

use std::fmt;

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use engage_wire::diagnostic::{Explain, causes, one_line};

/// The status line of a daemon whose files are in force.
pub(super) const SERVING: &str = "serving";

/// As the daemon tells it to `engage-host reload`: one JSON document.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ReloadOutcome {
    /// None: the new state is in force. Else the previous one stays in force.
    pub(crate) refusals: Vec<ReloadRefusal>,
}

impl From<Result<(), Vec<ReloadRefusal>>> for ReloadOutcome {
    fn from(replaced: Result<(), Vec<ReloadRefusal>>) -> Self {
        Self {
            refusals: replaced.err().unwrap_or_default(),
        }
    }
}

impl ReloadOutcome {
    pub(super) fn is_ok(&self) -> bool {
        self.refusals.is_empty()
    }

    pub(super) fn log(&self) {
        for refusal in &self.refusals {
            error!(
                code = refusal.code,
                "reload refused, the previous state stays in force: {}",
                one_line(refusal)
            );
        }
        if self.is_ok() {
            info!("reloaded: new connections get the new state");
        }
    }

    /// One line for people.
    pub(super) fn status(&self) -> String {
        let Some((first, others)) = self.refusals.split_first() else {
            return SERVING.to_owned();
        };
        // systemd takes no datagram above 4 KiB, and a status line is read at a glance.
        let reason: String = one_line(first).chars().take(MAX_STATUS_CHARS).collect();
        let others = match others.len() {
            0 => String::new(),
            count => format!(" (and {count} more, see the log)"),
        };
        format!("reload refused, serving the previous state: {reason}{others}")
    }
}

/// One thing that is wrong with what would have been served.
#[derive(Debug, Deserialize, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ReloadRefusal {
    code: String,
    message: String,
    hint: String,
}

impl ReloadRefusal {
    pub(super) fn new(error: &dyn Explain) -> Self {
        Self {
            code: error.code().into_owned(),
            message: causes(error),
            hint: error.hint(),
        }
    }
}

impl Diagnostic for ReloadRefusal {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.hint))
    }
}

const MAX_STATUS_CHARS: usize = 500;
