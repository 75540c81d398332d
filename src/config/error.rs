//! Why a configuration file cannot be used.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use engage_wire::diagnostic::Explain;
use engage_wire::site::SiteName;
use engage_wire::{HostName, ReadError};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A Host header value would select two sites.
    #[error(
        "configuration file `{}` gives {} to two sites, `{one}` and `{other}`; allowed: one site each",
        path.display(),
        host.as_ref().map_or_else(|| "no `hosts`".to_owned(), |host| format!("host `{host}`"))
    )]
    AmbiguousHost {
        /// The file.
        path: PathBuf,
        /// The host; `None` when both sites have no `hosts`.
        host: Option<HostName>,
        /// The site named first.
        one: SiteName,
        /// The site named later.
        other: SiteName,
    },
    /// A key stands in it, or it is a key file: whatever is wrong, it cannot be quoted.
    #[error(
        "configuration file `{}` contains a key, so nothing of it is shown; allowed: the path of a key's file",
        path.display()
    )]
    HoldsKey {
        /// The file.
        path: PathBuf,
    },
    /// No `[[site]]` at all.
    #[error("configuration file `{}` names no site; at least one `[[site]]` is needed", path.display())]
    NoSite {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML, an unknown key, or a value that is not allowed. The source shows line and column.
    #[error("configuration file `{}` cannot be used", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The known key nearest to an unknown one.
        suggestion: Option<String>,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// Not UTF-8.
    #[error("configuration file `{}` is not text in UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ConfigError {
    pub(super) fn not_text(path: &Path) -> Self {
        Self::NotText {
            path: path.to_owned(),
        }
    }

    pub(super) fn syntax(path: &Path, source: toml::de::Error) -> Self {
        Self::Syntax {
            path: path.to_owned(),
            suggestion: nearest_known_key(source.message()),
            source: Box::new(source),
        }
    }

    pub(super) fn holds_key(path: &Path) -> Self {
        Self::HoldsKey {
            path: path.to_owned(),
        }
    }

    pub(super) fn ambiguous_host(
        path: &Path,
        host: Option<HostName>,
        one: SiteName,
        other: SiteName,
    ) -> Self {
        Self::AmbiguousHost {
            path: path.to_owned(),
            host,
            one,
            other,
        }
    }
}

impl Explain for ConfigError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::AmbiguousHost { .. } => "ambiguous-host".into(),
            Self::HoldsKey { .. } => "key-in-config".into(),
            Self::NoSite { .. } => "no-site".into(),
            Self::NotText { .. } | Self::Syntax { .. } => "config-syntax".into(),
            Self::Read(source) => Explain::code(source),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::AmbiguousHost { host: None, .. } => {
                "the one site without `hosts` is the default; give the other its Host header values".into()
            }
            Self::AmbiguousHost { .. } => "remove the host from one of them".into(),
            Self::HoldsKey { .. } => {
                "is this the right file? a key belongs into a file of its own, which `key_file` or `private_key` names"
                    .into()
            }
            Self::NoSite { .. } => {
                "add `[[site]]` with `name`, `key_file` and `certificate`; README.md shows a whole file".into()
            }
            Self::Syntax { suggestion: Some(key), .. } => format!("did you mean `{key}`?"),
            Self::Syntax { source, .. } if source.message().contains("socket address") => {
                "an address is `IP:PORT`, such as `0.0.0.0:80`; names are not looked up".into()
            }
            Self::Syntax { .. } => "README.md lists every key with its allowed values".into(),
            Self::NotText { .. } => {
                "save it as UTF-8: Windows PowerShell's `>` writes UTF-16, `Out-File -Encoding utf8` does not".into()
            }
            Self::Read(source) if source.is_not_found() => {
                "name the file with `--config FILE`, or make one with `engage-host init`".into()
            }
            Self::Read(source) => source.hint(),
        }
    }
}

/// Reads serde's "unknown field `htps`, expected one of `http`, `https`" and picks the nearest.
fn nearest_known_key(message: &str) -> Option<String> {
    let mut quoted = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let unknown = quoted.next()?;
    quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min_by_key(|(distance, _)| *distance)
        // Further apart than this, a suggestion would be a guess.
        .filter(|(distance, known)| *distance <= known.len().max(3) / 2)
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_matched_and_a_foreign_one_is_not() {
        let message =
            |unknown| format!("unknown field `{unknown}`, expected one of `base_url`, `https`");
        assert_eq!(
            nearest_known_key(&message("htps")).as_deref(),
            Some("https")
        );
        assert_eq!(
            nearest_known_key(&message("baseurl")).as_deref(),
            Some("base_url")
        );
        assert_eq!(nearest_known_key(&message("wombat")), None);
        assert_eq!(nearest_known_key("invalid type"), None);
    }
}
