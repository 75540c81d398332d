//! W3C Trace Context: the id by which the receiver's traces and this log name the same delivery.

use std::fmt;

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::http_client::PostError;
use engage_store::{DeviceId, EventBatch};

/// Names the delivery of a device's next events, whatever attempts it takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TraceId([u8; 16]);

impl TraceId {
    /// Follows from the first event, of which there is no second: so it stays the same for an attempt
    /// with more events or fewer, after a restart, and by another host.
    pub(super) fn of(device: DeviceId, batch: &EventBatch) -> Self {
        let mut hash = Sha256::new_with_prefix(format!("trace of {device} "));
        if let Some(first) = batch.events.first() {
            hash.update(&first.text);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        id[15] |= NOT_ZERO;
        Self(id)
    }

    /// The header of one attempt, which is a span of its own (W3C Trace Context section 3.2). It asks to be
    /// recorded: receivers that follow it would record nothing else. Fails without random numbers.
    pub(super) fn traceparent(self) -> Result<String, PostError> {
        let mut span = [0; 8];
        rand::fill(&mut span)
            .map_err(|_| PostError::Unanswered("there are no random numbers".into()))?;
        span[7] |= NOT_ZERO;
        Ok(format!("00-{self}-{}-01", HEXLOWER.encode(&span)))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// An id of zeros alone is none.
const NOT_ZERO: u8 = 1;
