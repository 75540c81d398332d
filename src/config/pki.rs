//! `[pki]`: how the server's certificates are renewed, and how a root is replaced.

use engage_store::Overlap;
use serde::Deserialize;

/// Renewal and rotation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PkiConfig {
    /// Whether the daemon renews the server certificate by itself, at two thirds of its life.
    pub auto_renew: bool,
    /// For how long the clock must have run evenly before that.
    pub steady_clock_minutes: u16,
    /// How devices of the old and of the new root are served, unless `rotate prepare` is told.
    pub overlap: Overlap,
}

impl Default for PkiConfig {
    fn default() -> Self {
        Self {
            auto_renew: false,
            steady_clock_minutes: 60,
            overlap: Overlap::default(),
        }
    }
}
