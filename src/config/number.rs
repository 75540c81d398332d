//! Whole numbers within bounds, as `config.toml` has them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

/// A number of at least one.
pub(super) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within::<1, { u32::MAX as usize }, D>(deserializer)
}

/// The same, where the key may be missing.
pub(super) fn optional_positive<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<usize>, D::Error> {
    positive(deserializer).map(Some)
}

/// Whole seconds, at least one.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    positive(deserializer).map(|seconds| Duration::from_secs(seconds as u64))
}

/// A number within bounds that are part of it.
pub(super) fn within<'de, const MIN: usize, const MAX: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<usize, D::Error> {
    deserializer.deserialize_i64(WholeNumber::<MIN, MAX>)
}

struct WholeNumber<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> Visitor<'_> for WholeNumber<MIN, MAX> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, found: i64) -> Result<usize, E> {
        usize::try_from(found)
            .ok()
            .filter(|number| (MIN..=MAX).contains(number))
            .ok_or_else(|| E::custom(format_args!("it is {found}; allowed: {MIN} to {MAX}")))
    }

    fn visit_u64<E: Error>(self, found: u64) -> Result<usize, E> {
        self.visit_i64(i64::try_from(found).unwrap_or(i64::MAX))
    }
}
