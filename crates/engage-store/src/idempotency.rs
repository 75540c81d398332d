//! Requests that are sent again because their answer was not heard: done once, answered twice.

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::StoreError;

/// Answers by the key that came with a request, for 24 hours and of the last 10,000.
///
/// Whoever [reserves](Self::reserve_answer) a key does what was asked, and then records the answer, or
/// releases the key if nothing was done.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Reserves a key, unless it was used before. A reservation whose host ends before it records an
    /// answer lapses after 2 minutes: then it is not known whether anything was done.
    async fn reserve_answer(
        &self,
        key: &IdempotencyKey,
        request: RequestHash,
        now: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// Records what the request with a reserved key was answered, durably. A body longer than
    /// [`MAX_ANSWER_BYTES`] is not kept: the key is released.
    async fn record_answer(
        &self,
        key: &IdempotencyKey,
        answer: RecordedAnswer,
    ) -> Result<(), StoreError>;

    /// Makes a reserved key free again.
    async fn release_key(&self, key: &IdempotencyKey) -> Result<(), StoreError>;
}

/// The key of a request. Everybody has keys of their own.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IdempotencyKey {
    actor: String,
    key: String,
}

/// A key that is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("allowed: 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The key that the owner of a token sent: 1 to 255 visible ASCII characters.
    pub fn new(actor: &str, key: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || !(1..=255).contains(&key.len()) {
            return Err(InvalidIdempotencyKey);
        }
        Ok(Self {
            actor: actor.replace('\0', "\u{fffd}"),
            key: key.to_owned(),
        })
    }

    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

/// What a request asks for, as a hash: another request with the same key is a mistake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestHash([u8; 32]);

impl RequestHash {
    /// Of all that matters: method, path, preconditions, body.
    pub fn from_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(crate) fn to_text(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

/// What a request was answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Of its body, if it has one.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is known of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reservation {
    /// It is new, and the caller's.
    Reserved,
    /// A request with it is being worked at.
    InProgress,
    /// The same request was answered so.
    Answered(RecordedAnswer),
    /// Another request came with it.
    OtherRequest,
}

/// The longest body that is kept.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_text_of_bounded_length() {
        let key = |text: &str| IdempotencyKey::new("gate", text).is_ok();
        assert!(key("3f1c-9") && key(&"x".repeat(255)));
        for text in ["", "a b", "\u{e9}", "\n", &"x".repeat(256)] {
            assert!(!key(text), "{text:?}");
        }
    }

    #[test]
    fn where_one_part_ends_matters() {
        assert_ne!(
            RequestHash::from_parts(&[b"ab", b"c"]),
            RequestHash::from_parts(&[b"a", b"bc"])
        );
    }
}
