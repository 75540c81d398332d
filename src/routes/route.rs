//! The routes, as logs and metrics know them.

use engage_wire::paths;

/// What a request asks for. Not its path, which is the caller's to choose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
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
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 7] = [
        Self::Alert,
        Self::Announcement,
        Self::Audit,
        Self::Certificate,
        Self::Config,
        Self::Database,
        Self::Unknown,
    ];

    /// The route that the router finds for a path. Told from the path again, because the layers
    /// around the router do not see what it matched; `tests/it/admin.rs` compares both.
    pub(super) fn from_path(path: &str, answers_call_ins: bool) -> Self {
        match path {
            paths::ANNOUNCEMENT => Self::Announcement,
            _ if is_directly_below(paths::CERTIFICATES, path) => Self::Certificate,
            _ if !answers_call_ins => Self::Unknown,
            paths::AUDIT => Self::Audit,
            paths::ALERT => Self::Alert,
            _ if paths::CONFIG.contains(&path) => Self::Config,
            _ if is_directly_below(paths::DATABASE, path) => Self::Database,
            _ => Self::Unknown,
        }
    }

    /// The path as the router has it; none where it has none.
    pub(super) const fn template(self) -> Option<&'static str> {
        match self {
            Self::Alert => Some(paths::ALERT),
            Self::Announcement => Some(paths::ANNOUNCEMENT),
            Self::Audit => Some(paths::AUDIT),
            Self::Certificate => Some(paths::CERTIFICATE_TEMPLATE),
            Self::Config => Some(paths::CONFIG[0]),
            Self::Database => Some(paths::DATABASE_TEMPLATE),
            Self::Unknown => None,
        }
    }

    /// The name in metrics.
    pub(super) const fn name(self) -> &'static str {
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

/// Whether `path` is `folder` and one more segment.
fn is_directly_below(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_below_a_folder_is_neither_none_nor_two() {
        assert!(is_directly_below("/a/", "/a/b"));
        for path in ["/a/", "/a", "/a/b/", "/a/b/c", "/b/a/b"] {
            assert!(!is_directly_below("/a/", path), "{path}");
        }
    }
}
