//! A share of the devices.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// From 0 to 100 percent.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(try_from = "f64")]
pub(crate) struct Percent(f64);

/// It is no share.
#[derive(Debug, thiserror::Error)]
#[error("allowed: 0 to 100 percent")]
pub(crate) struct NoPercent;

impl Percent {
    /// Each of them.
    pub(crate) const ALL: Self = Self(100.0);

    /// Whether a share of so many percent is as large.
    pub(super) fn is_reached_by(self, percent: f64) -> bool {
        percent >= self.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = NoPercent;

    fn try_from(percent: f64) -> Result<Self, NoPercent> {
        if (0.0..=100.0).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(NoPercent)
        }
    }
}

/// `99`, `99.5` or `99%`.
impl FromStr for Percent {
    type Err = NoPercent;

    fn from_str(text: &str) -> Result<Self, NoPercent> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        let percent: f64 = digits.parse().map_err(|_| NoPercent)?;
        percent.try_into()
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
