//! `[limits]`: every wait has a deadline, every buffer a bound.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

/// The deadlines and bounds of both device listeners.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How long a TLS handshake may take. A lock computes its share in software, over Wi-Fi.
    pub tls_handshake: Duration,
    /// How long a request head may take, from its first byte.
    pub request_head: Duration,
    /// Longest pause within a request body.
    pub body_idle: Duration,
    /// How long a whole request body may take.
    pub body_total: Duration,
    /// How long a kept-alive connection may wait for its next request.
    pub keep_alive_idle: Duration,
    /// How long a client may refuse to take more of an answer.
    pub stalled_write: Duration,
    /// Longest request head in bytes.
    pub request_head_bytes: usize,
    /// Most header fields of a request.
    pub request_headers: usize,
    /// Longest request body in bytes, on the routes that take one.
    pub body_bytes: usize,
    /// Most open connections; `None` derives it from the descriptors that the process may open.
    pub connections: Option<usize>,
    /// Most open connections of one address.
    pub connections_per_address: PerAddress,
    /// How long requests in flight may take to finish after a stop was asked for.
    pub drain: Duration,
}

/// How many connections one address may have open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PerAddress {
    /// 64, but loopback addresses are not counted: a proxy or a test on this computer speaks for
    /// many devices.
    Default,
    /// As configured, for every address.
    Configured(usize),
}

impl Default for Limits {
    fn default() -> Self {
        LimitsSection::default().into()
    }
}

/// The section as it is written: seconds and bytes, none of them zero.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    tls_handshake_seconds: NonZeroU32,
    request_head_seconds: NonZeroU32,
    body_idle_seconds: NonZeroU32,
    body_total_seconds: NonZeroU32,
    keep_alive_idle_seconds: NonZeroU32,
    stalled_write_seconds: NonZeroU32,
    request_head_bytes: Bounded<8192, { 1024 * 1024 }>,
    request_headers: Bounded<1, 1024>,
    body_bytes: Bounded<1, { 64 * 1024 * 1024 }>,
    connections: Option<NonZeroUsize>,
    connections_per_address: Option<NonZeroUsize>,
    drain_seconds: NonZeroU32,
}

impl Default for LimitsSection {
    fn default() -> Self {
        const fn some(value: u32) -> NonZeroU32 {
            NonZeroU32::new(value).expect("not zero")
        }
        Self {
            tls_handshake_seconds: some(15),
            request_head_seconds: some(15),
            body_idle_seconds: some(30),
            body_total_seconds: some(120),
            keep_alive_idle_seconds: some(30),
            stalled_write_seconds: some(30),
            request_head_bytes: Bounded(8192),
            request_headers: Bounded(64),
            body_bytes: Bounded(1024 * 1024),
            connections: None,
            connections_per_address: None,
            drain_seconds: some(20),
        }
    }
}

impl From<LimitsSection> for Limits {
    fn from(section: LimitsSection) -> Self {
        let LimitsSection {
            tls_handshake_seconds,
            request_head_seconds,
            body_idle_seconds,
            body_total_seconds,
            keep_alive_idle_seconds,
            stalled_write_seconds,
            request_head_bytes,
            request_headers,
            body_bytes,
            connections,
            connections_per_address,
            drain_seconds,
        } = section;
        let duration = |seconds: NonZeroU32| Duration::from_secs(seconds.get().into());
        Self {
            tls_handshake: duration(tls_handshake_seconds),
            request_head: duration(request_head_seconds),
            body_idle: duration(body_idle_seconds),
            body_total: duration(body_total_seconds),
            keep_alive_idle: duration(keep_alive_idle_seconds),
            stalled_write: duration(stalled_write_seconds),
            request_head_bytes: request_head_bytes.0,
            request_headers: request_headers.0,
            body_bytes: body_bytes.0,
            connections: connections.map(NonZeroUsize::get),
            connections_per_address: connections_per_address.map_or(PerAddress::Default, |most| {
                PerAddress::Configured(most.get())
            }),
            drain: duration(drain_seconds),
        }
    }
}

/// A number within bounds: each connection may cost that much memory, and hyper's read buffer
/// cannot be smaller than 8 KiB.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "usize")]
struct Bounded<const LEAST: usize, const MOST: usize>(usize);

impl<const LEAST: usize, const MOST: usize> TryFrom<usize> for Bounded<LEAST, MOST> {
    type Error = String;

    fn try_from(found: usize) -> Result<Self, Self::Error> {
        if (LEAST..=MOST).contains(&found) {
            Ok(Self(found))
        } else {
            Err(format!("it is {found}; allowed: {LEAST} to {MOST}"))
        }
    }
}
