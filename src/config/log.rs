//! `[log]`: how events are written.

use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// How events are logged, to standard error.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// One line of text or one JSON object for each event.
    pub format: LogFormat,
    /// Least level, or directives by target; `RUST_LOG` overrides it.
    pub level: LogLevel,
}

/// A level, or directives by target.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub struct LogLevel(Targets);

impl LogLevel {
    /// What it lets through.
    pub fn filter(&self) -> &Targets {
        &self.0
    }
}

impl TryFrom<String> for LogLevel {
    type Error = LogLevelError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // `tracing` takes a word that is no level for the name of a target, and would log nothing
        // else at all.
        let is_directive = |part: &&str| {
            part.contains('=') || !part.is_empty() && part.parse::<LevelFilter>().is_ok()
        };
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        match parts.join(",").parse() {
            Ok(targets) if parts.iter().all(is_directive) => Ok(Self(targets)),
            _ => Err(LogLevelError(text)),
        }
    }
}

/// A `[log] level` that is no level.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no level; allowed: error, warn, info, debug, trace, or filter directives such as `info,access=warn`"
)]
pub struct LogLevelError(String);

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
            level: LogLevel(Targets::new().with_default(LevelFilter::INFO)),
        }
    }
}
