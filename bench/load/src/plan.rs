//! How much is measured.

use std::time::Duration;

/// A part of the comparison that can be measured on its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Part {
    /// CPU time of each kind of request
    Requests,
    /// Memory, and idle connections beside a load
    Idle,
    /// From start to the first answer
    Start,
    /// Reloads under load
    Reload,
    /// A whole building after a power cut
    Night,
}

#[derive(Debug)]
pub(crate) struct Plan {
    only: Vec<Part>,
    pub(crate) quick: bool,
    /// Rounds A B A B of each kind of request.
    pub(crate) rounds: usize,
    /// Requests of a round: full handshakes.
    pub(crate) handshakes: usize,
    /// Requests of a round: fresh plain connections.
    pub(crate) fresh: usize,
    /// Requests of a round: on kept connections.
    pub(crate) kept: usize,
    /// Idle sockets beside the load.
    pub(crate) idle_sockets: usize,
    /// How long a load beside them lasts, and how often each case is repeated: 12 for all
    /// orders of three cases and two servers.
    pub(crate) half_load: Duration,
    pub(crate) half_load_rounds: usize,
    /// Idle connections whose memory is measured: plain, TLS.
    pub(crate) memory_plain: usize,
    pub(crate) memory_tls: usize,
    pub(crate) starts: usize,
    /// Sites of the large installation, and how often it is started.
    pub(crate) sites: usize,
    pub(crate) large_starts: usize,
    pub(crate) reloads: usize,
    /// Devices that return, and within what time.
    pub(crate) devices: usize,
    pub(crate) returning: Duration,
    pub(crate) hostile_sockets: usize,
}

impl Plan {
    pub(crate) fn new(quick: bool, only: Vec<Part>) -> Self {
        let pick = |full, short| if quick { short } else { full };
        Self {
            only,
            quick,
            rounds: pick(9, 3),
            handshakes: pick(1_500, 300),
            fresh: pick(10_000, 2_000),
            kept: pick(48_000, 16_000),
            idle_sockets: pick(10_000, 1_000),
            half_load: Duration::from_millis(pick(2_000, 500) as u64),
            half_load_rounds: pick(12, 6),
            memory_plain: pick(5_000, 1_000),
            memory_tls: pick(2_000, 400),
            starts: pick(9, 3),
            sites: pick(10_000, 1_000),
            large_starts: pick(5, 2),
            reloads: pick(20, 4),
            devices: pick(10_000, 500),
            returning: Duration::from_secs(pick(10, 1) as u64),
            hostile_sockets: pick(2_000, 200),
        }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
