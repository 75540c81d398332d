//! Reading a request's body within its limits: its own length, and the memory of all that are in
//! flight.

use axum::body::HttpBody;
use bytes::Bytes;
use http_body_util::BodyExt;

use super::body_memory::{BodyPermit, NoMemory};

/// A body, and the memory that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    memory: BodyPermit,
}

/// Why a body was not read whole.
#[derive(Debug)]
pub(super) enum ReceiveError {
    /// It broke off, or a deadline of `[limits]` passed.
    Broken,
    /// Other bodies take the memory that there is for bodies.
    NoMemory(NoMemory),
    /// It is longer than allowed.
    TooLong {
        /// As much as is allowed.
        beginning: Received,
    },
}

/// Reads at most `max` bytes. The socket keeps the deadlines.
///
/// Memory is taken as the body grows, not as it announces itself: a client that sends nothing takes
/// nothing from others.
pub(super) async fn collect<B>(
    mut body: B,
    max: usize,
    memory: BodyPermit,
) -> Result<Received, ReceiveError>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut received = Received {
        bytes: Vec::new(),
        memory,
    };
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| ReceiveError::Broken)?.into_data() else {
            // Trailers carry nothing that is stored.
            continue;
        };
        let room = max - received.bytes.len();
        received.append(&piece[..piece.len().min(room)], max)?;
        if piece.len() > room {
            return Err(ReceiveError::TooLong {
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
    pub(super) fn into_parts(self) -> (Bytes, BodyPermit) {
        (self.bytes.into(), self.memory)
    }

    fn append(&mut self, piece: &[u8], max: usize) -> Result<(), ReceiveError> {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.next_power_of_two().clamp(MIN_CAPACITY.min(max), max);
            self.memory
                .grow_to(capacity)
                .map_err(ReceiveError::NoMemory)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

/// Most bodies are shorter.
const MIN_CAPACITY: usize = 4096;

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::super::body_memory::BodyMemory;
    use super::*;
    use crate::config::Limits;

    #[tokio::test]
    async fn a_body_of_the_longest_length_is_read_and_one_more_byte_is_not() {
        let limits = Limits {
            body_bytes: 5,
            ..Limits::default()
        };
        let memory = BodyMemory::new(&limits);
        let permit = || memory.permit([10, 0, 0, 1].into());
        let whole = collect(Full::from("12345"), 5, permit()).await.unwrap();
        assert_eq!(whole.as_slice(), b"12345");
        let error = collect(Full::from("123456"), 5, permit())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ReceiveError::TooLong { beginning } if beginning.as_slice() == b"12345")
        );
    }
}
