//! How far copies are.

use serde::{Deserialize, Serialize};

use super::month::Month;
use crate::EventKind;

/// How far the copies of a device are: kept in the store, and never ahead of the files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CopyCursor {
    /// The newest event that was written; 0 before the first.
    pub(crate) seq: i64,
    /// Of the row that `device.json` shows.
    pub(crate) revision: i64,
    pub(crate) lengths: Lengths,
}

/// The files that grow, and what `config.json` shows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Lengths {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alerts: Option<Length>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audits: Option<Length>,
    /// When the upload was stored, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config_saved_at: Option<i64>,
}

/// The newest file of a kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Length {
    pub(crate) month: Month,
    pub(crate) bytes: u64,
}

impl CopyCursor {
    /// Of a folder that is to be written from the beginning.
    pub(crate) fn beginning() -> Self {
        Self {
            seq: 0,
            revision: -1,
            lengths: Lengths::default(),
        }
    }
}

impl Lengths {
    pub(crate) fn get_mut(&mut self, kind: EventKind) -> &mut Option<Length> {
        match kind {
            EventKind::Alerts => &mut self.alerts,
            EventKind::Audits => &mut self.audits,
        }
    }
}
