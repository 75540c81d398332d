//! `[pki]`: how the server's certificates are renewed, and how a root is replaced.

use serde::Deserialize;

/// Renewal and rotation.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PkiConfig {
    /// Whether the daemon renews the server certificate by itself, at two thirds of its life.
    pub auto_renew: bool,
    /// How devices of the old and of the new root are served, unless `rotate prepare` is told.
    pub overlap: Overlap,
}

/// What devices are sent while some trust the old root and some the new.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Each address gets the chain that it can verify.
    #[default]
    Select,
    /// All of them get the new chain, with the new root cross-signed by the old.
    Cross,
}
