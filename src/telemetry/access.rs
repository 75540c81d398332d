//! What is known of a request once it is answered.

use std::fmt;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Uri};

use super::RouteMetrics;
use crate::connection::Connection;
use engage_store::{DeviceId, SerialNumber};

/// A request and what became of it.
#[derive(Debug)]
pub struct AccessEvent<'a> {
    /// What it asked for, as metrics name it.
    pub route: &'a RouteMetrics,
    /// Where it came from.
    pub connection: &'a Connection,
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// Who called in, or for whom a site was selected, where that is known.
    pub device: Option<DeviceId>,
    /// The answer's status.
    pub status: StatusCode,
    /// Length of the answer's body.
    pub size_bytes: Option<u64>,
    /// When its head had been read.
    pub started: Instant,
    /// From then to its answer.
    pub duration: Duration,
}

impl AccessEvent<'_> {
    /// Whose request it is, as it says or as it has proven.
    pub(super) fn serial(&self) -> Option<String> {
        match self.device {
            Some(device) => Some(device.to_string()),
            None => self
                .uri
                .query()
                .and_then(SerialNumber::from_query)
                .map(|serial| serial.to_string()),
        }
    }
}

/// Of what a caller sends, no more than is useful: it may be as long as a head.
pub(crate) struct Shortened<'a>(pub(crate) &'a str);

impl Shortened<'_> {
    /// As it is displayed, without a formatter: every access line has two.
    pub(super) fn write_to(&self, text: &mut impl fmt::Write) -> fmt::Result {
        if self.0.len() <= MAX_SHOWN_BYTES {
            return text.write_str(self.0);
        }
        let shown = &self.0[..self.0.floor_char_boundary(MAX_SHOWN_BYTES)];
        write!(text, "{shown}.. ({} bytes)", self.0.len())
    }
}

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// Three times the longest path that a device asks for.
const MAX_SHOWN_BYTES: usize = 256;
