//! `[otlp]`: where traces are exported to.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use engage_wire::HttpUrl;

/// The collector of traces.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where spans are posted to, as OTLP over HTTP in JSON.
    pub endpoint: HttpUrl,
    /// File with a header field a line, which the collector wants to see: its token, mostly.
    pub headers_file: Option<PathBuf>,
    /// PEM file of certificates that an `https` collector may be signed with, beside those that
    /// the operating system trusts.
    pub ca_file: Option<PathBuf>,
    /// How many requests of devices are traced.
    #[serde(default)]
    pub sample_ratio: SampleRatio,
}

impl OtlpConfig {
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.headers_file.iter_mut().chain(&mut self.ca_file)
    }
}

/// A part of all, more than none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRatio(f64);

impl SampleRatio {
    /// Whether it takes what is at this place, of places that are spread evenly from 0 to 1.
    pub(crate) fn takes(self, fraction: f64) -> bool {
        fraction <= self.0
    }
}

impl Default for SampleRatio {
    fn default() -> Self {
        Self(1.0)
    }
}

impl<'de> Deserialize<'de> for SampleRatio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whole numbers too, which are none to TOML.
        deserializer.deserialize_any(Ratio)
    }
}

struct Ratio;

impl Visitor<'_> for Ratio {
    type Value = SampleRatio;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number above 0 and up to 1")
    }

    fn visit_f64<E: Error>(self, found: f64) -> Result<SampleRatio, E> {
        if found > 0.0 && found <= 1.0 {
            return Ok(SampleRatio(found));
        }
        Err(E::custom(format_args!(
            "it is {found}; allowed: above 0 and up to 1"
        )))
    }

    fn visit_i64<E: Error>(self, found: i64) -> Result<SampleRatio, E> {
        match found {
            1 => Ok(SampleRatio(1.0)),
            _ => Err(E::custom(format_args!(
                "it is {found}; allowed: above 0 and up to 1"
            ))),
        }
    }

    fn visit_u64<E: Error>(self, found: u64) -> Result<SampleRatio, E> {
        self.visit_i64(i64::try_from(found).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(ratio: &str) -> Result<OtlpConfig, toml::de::Error> {
        toml::from_str(&format!(
            "endpoint = \"http://127.0.0.1:4318/v1/traces\"\nsample_ratio = {ratio}\n"
        ))
    }

    #[test]
    fn a_ratio_is_above_0_and_up_to_1() {
        for ratio in ["1", "1.0", "0.001"] {
            assert!(parsed(ratio).is_ok(), "{ratio}");
        }
        for ratio in ["0", "0.0", "-0.1", "1.1", "2", "nan", "inf", "\"1\""] {
            let refused = parsed(ratio).unwrap_err().to_string();
            assert!(refused.contains("line 2, column 16"), "{refused}");
        }
    }

    #[test]
    fn a_ratio_takes_its_part() {
        let half = SampleRatio(0.5);
        assert!(half.takes(0.0) && half.takes(0.5) && !half.takes(0.51));
        assert!(SampleRatio::default().takes(1.0));
    }
}
