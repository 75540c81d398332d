//! Where somebody wanted to go before they had to sign in.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A path of this listener, with its query; never another origin, wherever the text comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// `text`, or the first page where it is anything else than a local path.
    ///
    /// `//host` and `/\host` are other origins to a browser, which also takes out tabs and line ends
    /// before it looks (URL Standard section 4.4).
    pub(super) fn parse(text: &str) -> Self {
        let is_local = text.starts_with('/')
            && !text.starts_with("//")
            && text.len() <= MAX_BYTES
            && text.bytes().all(|it| it.is_ascii_graphic() && it != b'\\');
        if is_local {
            Self(text.to_owned())
        } else {
            Self::default()
        }
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LocalPath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LocalPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

/// As long as an address of ours gets.
const MAX_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_listener_are_gone_to() {
        for path in [
            "/",
            "/devices?site=a&page=2",
            "/devices/0123456789ABCDEF",
            "/a//b",
        ] {
            assert_eq!(LocalPath::parse(path).as_str(), path);
        }
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        for other in [
            "",
            "devices",
            "//attacker.example",
            "/\\attacker.example",
            "/\t/attacker.example",
            "/\n/attacker.example",
            "\\\\attacker.example",
            "https://attacker.example/",
            "javascript:alert(1)",
            " /",
            "/a\r\nSet-Cookie: a=b",
            "/\u{fc}",
            &long,
        ] {
            assert_eq!(LocalPath::parse(other), LocalPath::default(), "{other:?}");
        }
    }
}
