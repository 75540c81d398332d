//! What a reload came to, for the log, the service manager, and whoever asked for it.

use std::fmt;

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use crate::publication::Publication;
use engage_wire::diagnostic::{causes, code, hint, one_line};

/// The status line of a daemon that serves `publication`.
pub(super) fn serving(publication: &Publication) -> String {
    match publication.identity() {
        Ok(_) => "serving".to_owned(),
        Err(refusals) => {
            let reasons: Vec<_> = refusals.iter().map(ToString::to_string).collect();
            let reasons = reasons.join("; ");
            shortened(&format!("serving in clear text only: {reasons}"))
        }
    }
}

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

    /// One line for people about a daemon that serves `publication` now.
    pub(super) fn status(&self, publication: &Publication) -> String {
        let Some((first, others)) = self.refusals.split_first() else {
            return serving(publication);
        };
        let reason = shortened(&one_line(first));
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
    pub(super) fn new(error: &dyn Diagnostic) -> Self {
        Self {
            code: code(error),
            message: causes(error),
            hint: hint(error),
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

/// systemd takes no datagram above 4 KiB, and a status line is read at a glance.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_STATUS_CHARS).collect()
}

const MAX_STATUS_CHARS: usize = 500;
