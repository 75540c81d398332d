//! A site's name: a label for people, in configuration, tables and logs.

use std::fmt;

use serde::Deserialize;

/// A site's name: 1 to 100 characters, none of them a control character.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct SiteName(String);

impl SiteName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that is nearest to `text`, such as a file's name.
    pub fn from_lossy(text: &str) -> Self {
        let printable = text.chars().filter(|it| !it.is_control());
        let name: String = printable.take(MAX_CHARS).collect();
        Self(if name.is_empty() { "?".into() } else { name })
    }
}

impl TryFrom<String> for SiteName {
    type Error = SiteNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        // Control characters would break the table and the log line that show the name.
        let is_printable = !name.chars().any(char::is_control);
        if (1..=MAX_CHARS).contains(&name.chars().count()) && is_printable {
            Ok(Self(name))
        } else {
            Err(SiteNameError(name))
        }
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Text that cannot name a site.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "site name {0:?} is empty, longer than {MAX_CHARS} characters, or contains a control character"
)]
pub struct SiteNameError(String);

const MAX_CHARS: usize = 100;
