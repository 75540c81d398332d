//! Which of the two listeners of devices, and one value for each.

use std::fmt;
use std::ops::Index;

/// One of the two listeners that devices speak with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ListenerKind {
    /// Clear text, port 80.
    Http,
    /// TLS, port 443.
    Https,
}

impl ListenerKind {
    /// "http" or "https": the name in logs, metrics and URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value for each of the two listeners, found without a look-up.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerListener<T> {
    http: T,
    https: T,
}

impl<T> PerListener<T> {
    /// Asks `value` for each listener's own.
    pub(crate) fn new(value: impl Fn(ListenerKind) -> T) -> Self {
        Self {
            http: value(ListenerKind::Http),
            https: value(ListenerKind::Https),
        }
    }
}

impl<T> Index<ListenerKind> for PerListener<T> {
    type Output = T;

    fn index(&self, listener: ListenerKind) -> &T {
        match listener {
            ListenerKind::Http => &self.http,
            ListenerKind::Https => &self.https,
        }
    }
}
