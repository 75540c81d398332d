//! One device's turn: a few deliveries over one connection, then the cursor.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::Receiver;
use super::client::{Connection, Failure, Head};
use super::cursor::Cursor;
use super::tail::{self, Batch};
use crate::telemetry::DeliveryMetrics;
use engage_store::{DeviceId, EventKind};

/// What a turn needs.
pub(super) struct Turn {
    pub(super) receiver: Arc<Receiver>,
    pub(super) device: DeviceId,
    /// The device's.
    pub(super) directory: PathBuf,
    /// The cursor, where it is further than the file.
    pub(super) unsaved: Option<Cursor>,
    pub(super) metrics: DeliveryMetrics,
    /// Turns true when the daemon stops.
    pub(super) stop: watch::Receiver<bool>,
}

/// How a turn ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// Events that were taken.
    pub(super) delivered: usize,
    /// The cursor and the reason, where it could not be saved.
    pub(super) unsaved: Option<(Cursor, io::Error)>,
}

pub(super) enum Outcome {
    /// Nothing waits any more.
    Drained,
    /// More waits, and others are to have their turn.
    More,
    /// The next delivery failed.
    Failed(Failure),
    /// The device's files could not be read.
    Unreadable(io::Error),
    /// The daemon stops.
    Stopped,
}

impl Turn {
    pub(super) async fn take(mut self) -> Ended {
        let directory = self.directory.clone();
        let known = self.unsaved.take();
        let was_unsaved = known.is_some();
        let loaded = match known {
            Some(cursor) => Ok(cursor),
            None => blocking(move || Cursor::load(&directory)).await,
        };
        let mut cursor = match loaded {
            Ok(cursor) => cursor,
            Err(error) => {
                return Ended {
                    outcome: Outcome::Unreadable(error),
                    delivered: 0,
                    unsaved: None,
                };
            }
        };
        let (outcome, delivered) = self.deliver(&mut cursor).await;
        let mut unsaved = None;
        if delivered > 0 || was_unsaved {
            let (directory, saved) = (self.directory, cursor.clone());
            if let Err(error) = blocking(move || saved.save(&directory)).await {
                unsaved = Some((cursor, error));
            }
        }
        Ended {
            outcome,
            delivered,
            unsaved,
        }
    }

    /// The number of events that were taken, whatever the outcome.
    async fn deliver(&mut self, cursor: &mut Cursor) -> (Outcome, usize) {
        let mut connection = Connection::default();
        let mut delivered = 0;
        for _ in 0..MAX_DELIVERIES {
            let (directory, from) = (self.directory.clone(), cursor.clone());
            let batch = match blocking(move || tail::next(&directory, &from)).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return (Outcome::Drained, delivered),
                Err(error) => return (Outcome::Unreadable(error), delivered),
            };
            let posted = tokio::select! {
                // What was answered counts, even if we are to stop now.
                biased;
                posted = post(&self.receiver, self.device, &mut connection, &batch) => posted,
                _ = self.stop.wait_for(|stop| *stop) => return (Outcome::Stopped, delivered),
            };
            if let Err(failure) = posted {
                return (Outcome::Failed(failure), delivered);
            }
            self.metrics.delivered(batch.events.len());
            delivered += batch.events.len();
            if let Some(last) = batch.events.into_iter().next_back() {
                cursor.advance(batch.log, last.position);
            }
        }
        (Outcome::More, delivered)
    }
}

async fn post(
    receiver: &Receiver,
    device: DeviceId,
    connection: &mut Connection,
    batch: &Batch,
) -> Result<(), Failure> {
    let body = body(device, batch);
    let head = Head {
        signature: receiver
            .secret
            .signature(Timestamp::now().as_second(), &body),
        delivery: HEXLOWER.encode(&Sha256::digest(&body)[..16]),
    };
    connection.post(receiver, &head, &body).await
}

/// The lines go out as they are stored, byte for byte.
fn body(device: DeviceId, batch: &Batch) -> Bytes {
    let log = match batch.log {
        EventKind::Alerts => "alerts",
        EventKind::Audits => "audits",
    };
    // Neither needs an escape.
    let mut body = format!(r#"{{"device":"{device}","log":"{log}","events":["#).into_bytes();
    for (at, event) in batch.events.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event.text);
    }
    body.extend_from_slice(b"]}");
    body.into()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Deliveries between two writes of the cursor, which cost as much as one: what a crash makes go
/// out twice, in hundreds of events.
const MAX_DELIVERIES: usize = 10;
