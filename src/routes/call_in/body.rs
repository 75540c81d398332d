//! Reading a request's body within its limits: its own length, and the memory of all that are in
//! flight.

use std::sync::Arc;

use axum::body::HttpBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory that all bodies in flight share, in KiB: `[limits] body_memory_bytes`.
#[derive(Debug)]
pub struct BodyMemory(Arc<Semaphore>);

/// A body, and the memory that it takes until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    memory: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read whole.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It broke off, or a deadline of `[limits]` passed.
    Broken,
    /// Other bodies take all the memory that there is for bodies.
    NoMemory,
    /// It is longer than allowed.
    TooLong {
        /// As much as is allowed.
        beginning: Received,
    },
}

impl BodyMemory {
    /// As much as `[limits]` allows, and at least one body of the longest length.
    #[must_use]
    pub fn new(body_memory_bytes: usize, body_bytes: usize) -> Self {
        let kib = kib(body_memory_bytes.max(body_bytes)).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(kib)))
    }
}

/// Reads at most `max` bytes. The socket keeps the deadlines.
///
/// Memory is taken as the body grows, not as it announces itself: a client that sends nothing takes
/// nothing from others.
pub(super) async fn collect<B>(
    mut body: B,
    max: usize,
    memory: &BodyMemory,
) -> Result<Received, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut received = Received::default();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            // Trailers carry nothing that is stored.
            continue;
        };
        let room = max - received.bytes.len();
        received.append(&piece[..piece.len().min(room)], max, memory)?;
        if piece.len() > room {
            return Err(BodyError::TooLong {
                beginning: received,
            });
        }
    }
    Ok(received)
}

impl Received {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, and what holds their memory: what was parsed from them is about as large.
    pub(super) fn into_parts(self) -> (Bytes, Option<OwnedSemaphorePermit>) {
        (self.bytes.into(), self.memory)
    }

    fn append(&mut self, piece: &[u8], max: usize, memory: &BodyMemory) -> Result<(), BodyError> {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.next_power_of_two().clamp(MIN_CAPACITY.min(max), max);
            self.take_memory(capacity, memory)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn take_memory(&mut self, capacity: usize, memory: &BodyMemory) -> Result<(), BodyError> {
        let held = self
            .memory
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(kib(capacity).saturating_sub(held));
        let more = more.map_err(|_| BodyError::NoMemory)?;
        let taken = Arc::clone(&memory.0).try_acquire_many_owned(more);
        let taken = taken.map_err(|_| BodyError::NoMemory)?;
        match &mut self.memory {
            Some(held) => held.merge(taken),
            None => self.memory = Some(taken),
        }
        Ok(())
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// Most bodies are shorter.
const MIN_CAPACITY: usize = 4096;

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_body_of_the_longest_length_is_read_and_one_more_byte_is_not() {
        let memory = BodyMemory::new(1024, 5);
        let whole = collect(Full::from("12345"), 5, &memory).await.unwrap();
        assert_eq!(whole.as_slice(), b"12345");
        drop(whole);
        let error = collect(Full::from("123456"), 5, &memory).await.unwrap_err();
        assert!(
            matches!(error, BodyError::TooLong { beginning } if beginning.as_slice() == b"12345")
        );
    }

    #[tokio::test]
    async fn bodies_share_their_memory_and_give_it_back() {
        let memory = BodyMemory::new(10_000, 5000);
        let body = || collect(Full::from(vec![b'x'; 5000]), 5000, &memory);
        let first = body().await.unwrap();
        let second = body().await.unwrap();
        assert!(matches!(body().await, Err(BodyError::NoMemory)));
        let (bytes, held) = first.into_parts();
        drop(bytes);
        assert!(matches!(body().await, Err(BodyError::NoMemory)));
        drop(held);
        assert!(body().await.is_ok());
        drop(second);
    }
}
