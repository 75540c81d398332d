//! What the descriptors that the process may open are for.

use miette::Diagnostic;

use crate::platform::raise_descriptor_limit;

/// How many descriptors the process may open (`RLIMIT_NOFILE`), of which devices get what the rest of
/// the daemon does not need: its own, the admin listener, reloads, the store, the log, the webhook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors(usize);

impl Descriptors {
    /// Raises the limit as far as the system lets it.
    pub(crate) fn raise() -> Result<Self, TooFewDescriptors> {
        match raise_descriptor_limit() {
            found @ ..MIN_DESCRIPTORS => Err(TooFewDescriptors { found }),
            found => Ok(Self(found)),
        }
    }

    /// Most connections of devices.
    pub(super) fn connections(self) -> usize {
        self.0 - self.reserved()
    }

    /// So many where none are configured: descriptors may be plenty, and each connection takes memory.
    pub(super) fn default_connections(self) -> usize {
        self.connections().min(MAX_DEFAULT_CONNECTIONS)
    }

    /// Most connections of the admin listener: more than scrapers and people have open.
    pub(super) fn admin_connections(self) -> usize {
        (self.0 / 16).clamp(4, 16)
    }

    /// Most threads that wait for files, with a descriptor or two each.
    pub(crate) fn blocking_threads(self) -> usize {
        (self.0 / 24).clamp(2, 64)
    }

    /// As many as `connections` connections of devices need.
    pub(super) fn for_connections(connections: usize) -> usize {
        connections.saturating_add(MAX_RESERVED)
    }

    /// Grows with what is opened at a time by the admin listener and by threads.
    fn reserved(self) -> usize {
        (MIN_RESERVED + (self.0 - MIN_DESCRIPTORS) / 8).min(MAX_RESERVED)
    }
}

/// The daemon could not serve within its limit of descriptors.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error(
    "the process may open {found} files and sockets; engage-host needs at least {MIN_DESCRIPTORS}"
)]
#[diagnostic(
    code("few-descriptors"),
    help(
        "raise the limit with `LimitNOFILE=` in the unit, or with `ulimit -n`; each connection takes one"
    )
)]
pub(crate) struct TooFewDescriptors {
    found: usize,
}

/// Eight connections, and what must never fail for want of a descriptor.
const MIN_DESCRIPTORS: usize = MIN_RESERVED + 8;

/// Twenty that are open all the time, five of the admin listener; thirteen of the store, whose five
/// connections to SQLite have two each; one to three each for a reload and the files that it reads,
/// JSON files, the webhook, the collector of traces, the watchdog and connections that are accepted to be refused.
const MIN_RESERVED: usize = 52;

const MAX_RESERVED: usize = 128;

/// 0.7 GB of idle TLS connections, and three times what a building of 10,000 locks opens after a power
/// cut.
const MAX_DEFAULT_CONNECTIONS: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_devices_has_its_own() {
        for (limit, connections, admin, threads) in [
            (60, 8, 4, 2),
            (64, 12, 4, 2),
            (256, 180, 16, 10),
            (512, 404, 16, 21),
            (1024, 896, 16, 42),
            (1 << 20, (1 << 20) - 128, 16, 64),
        ] {
            let descriptors = Descriptors(limit);
            assert_eq!(descriptors.connections(), connections, "{limit}");
            let default = descriptors.default_connections();
            assert_eq!(default, connections.min(32_768), "{limit}");
            assert_eq!(descriptors.admin_connections(), admin, "{limit}");
            assert_eq!(descriptors.blocking_threads(), threads, "{limit}");
            let more = admin - 4 + threads - 2;
            assert!(descriptors.reserved() - MIN_RESERVED >= more, "{limit}");
        }
    }
}
