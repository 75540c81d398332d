//! The name of a batch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A batch's name: 128 bits of a hash over device and events. Displayed as 32 hex digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(u128);

impl BatchId {
    pub(super) fn new(hash: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(hash))
    }

    /// Reads hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for BatchId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a batch")
    }
}
