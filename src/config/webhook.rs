//! `[webhook]`: where stored audits and alerts are delivered to.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use engage_wire::HttpUrl;

/// The receiver of stored events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookConfig {
    /// Where events are posted to.
    pub url: HttpUrl,
    /// File whose bytes, without white space around them, key the signature.
    pub secret_file: PathBuf,
    /// PEM file of certificates that an `https` receiver may be signed with, beside those that
    /// the operating system trusts.
    pub ca_file: Option<PathBuf>,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookSection {
    url: HttpUrl,
    secret_file: PathBuf,
    ca_file: Option<PathBuf>,
}

impl WebhookSection {
    /// Makes paths absolute; `folder` is the configuration's.
    pub(super) fn in_folder(self, folder: &Path) -> WebhookConfig {
        let Self {
            url,
            secret_file,
            ca_file,
        } = self;
        WebhookConfig {
            url,
            secret_file: folder.join(secret_file),
            ca_file: ca_file.map(|file| folder.join(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_with_its_line() {
        let text = "secret_file = \"s\"\nurl = \"ftp://a/\"\n";
        let refused = toml::from_str::<WebhookSection>(text).unwrap_err();
        assert!(
            refused.to_string().contains("line 2, column 7"),
            "{refused}"
        );
    }
}
