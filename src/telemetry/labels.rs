//! What metrics are divided by. No label holds a device, a path or a secret.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::connection::ListenerKind;

/// What a request asked for. Not its path, which is the caller's to choose.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Route {
    /// An alert of the call-in.
    Alert,
    /// The announcement.
    Announcement,
    /// Audits of the call-in.
    Audit,
    /// A certificate file.
    Certificate,
    /// Parameters of the call-in.
    Config,
    /// The database of the call-in.
    Database,
    /// Anything else.
    Unknown,
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Alert => "alert",
            Self::Announcement => "announcement",
            Self::Audit => "audit",
            Self::Certificate => "certificate",
            Self::Config => "config",
            Self::Database => "database",
            Self::Unknown => "unknown",
        }
        .encode(encoder)
    }
}

impl EncodeLabelValue for ListenerKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.name().encode(encoder)
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RequestLabels {
    pub(super) route: Route,
    pub(super) listener: ListenerKind,
    pub(super) status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ListenerLabels {
    pub(super) listener: ListenerKind,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RefusalLabels {
    pub(super) listener: ListenerKind,
    pub(super) limit: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct HandshakeLabels {
    pub(super) version: &'static str,
    pub(super) cipher: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct FailureLabels {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ReloadLabels {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct CertificateLabels {
    pub(super) role: String,
    pub(super) subject: String,
}
