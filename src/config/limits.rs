//! `[limits]`: every wait has a deadline, every buffer a bound.

use std::time::Duration;

use serde::Deserialize;
use serde::de::Deserializer;

use super::number::{optional_positive, positive, seconds, within};

/// The deadlines and bounds of both device listeners.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long a TLS handshake may take. A lock computes its share in software, over Wi-Fi.
    #[serde(rename = "tls_handshake_seconds", deserialize_with = "seconds")]
    pub tls_handshake: Duration,
    /// How long a request head may take, from its first byte.
    #[serde(rename = "request_head_seconds", deserialize_with = "seconds")]
    pub request_head: Duration,
    /// Longest pause within a request body.
    #[serde(rename = "body_idle_seconds", deserialize_with = "seconds")]
    pub body_idle: Duration,
    /// How long a whole request body may take.
    #[serde(rename = "body_total_seconds", deserialize_with = "seconds")]
    pub body_total: Duration,
    /// How long a kept-alive connection may wait for its next request.
    #[serde(rename = "keep_alive_idle_seconds", deserialize_with = "seconds")]
    pub keep_alive_idle: Duration,
    /// How long a client may refuse to take more of an answer.
    #[serde(rename = "stalled_write_seconds", deserialize_with = "seconds")]
    pub stalled_write: Duration,
    /// Longest request head in bytes: each connection may cost that much memory, and hyper's read
    /// buffer cannot be smaller than 8 KiB.
    #[serde(deserialize_with = "within::<8192, { 1024 * 1024 }, _>")]
    pub request_head_bytes: usize,
    /// Most header fields of a request.
    #[serde(deserialize_with = "within::<1, 1024, _>")]
    pub request_headers: usize,
    /// Longest request body in bytes, on the routes that take one.
    #[serde(deserialize_with = "within::<1, { 64 * 1024 * 1024 }, _>")]
    pub body_bytes: usize,
    /// Memory in bytes that all request bodies in flight may take together; one address an eighth of
    /// what the others leave.
    #[serde(deserialize_with = "within::<{ 1024 * 1024 }, { 1024 * 1024 * 1024 }, _>")]
    pub body_memory_bytes: usize,
    /// What one device may bring to be stored within a day, in bytes of the store; one address without
    /// credentials eight times as much.
    #[serde(deserialize_with = "within::<{ 64 * 1024 }, { 1024 * 1024 * 1024 }, _>")]
    pub device_day_bytes: usize,
    /// Most open connections; `None` derives it from the descriptors that the process may open, up to
    /// 32,768.
    #[serde(deserialize_with = "optional_positive")]
    pub connections: Option<usize>,
    /// Most open connections of one address.
    pub connections_per_address: PerAddress,
    /// How long requests in flight may take to finish after a stop was asked for.
    #[serde(rename = "drain_seconds", deserialize_with = "seconds")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(15),
            request_head: Duration::from_secs(15),
            body_idle: Duration::from_secs(30),
            body_total: Duration::from_mins(2),
            keep_alive_idle: Duration::from_secs(30),
            stalled_write: Duration::from_secs(30),
            request_head_bytes: 8192,
            request_headers: 100,
            body_bytes: 1024 * 1024,
            body_memory_bytes: 128 * 1024 * 1024,
            device_day_bytes: 32 * 1024 * 1024,
            connections: None,
            connections_per_address: PerAddress::Default,
            drain: Duration::from_secs(20),
        }
    }
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

impl<'de> Deserialize<'de> for PerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        positive(deserializer).map(Self::Configured)
    }
}
