//! The routes, as the method list, logs and metrics know them.

/// What a request asks for. Not its path, which is the caller's to choose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
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

impl Route {
    /// The name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Announcement => "announcement",
            Self::Audit => "audit",
            Self::Certificate => "certificate",
            Self::Config => "config",
            Self::Database => "database",
            Self::Unknown => "unknown",
        }
    }
}
