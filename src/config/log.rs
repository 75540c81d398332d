//! `[log]`: how events are written.

use serde::Deserialize;

/// How events are logged, to standard error.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// One line of text or one JSON object for each event.
    pub format: LogFormat,
    /// Least level, or `tracing` filter directives; `RUST_LOG` overrides it.
    pub level: String,
}

/// The form of a logged event.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line for people.
    #[default]
    Text,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}
