//! `[webhook]`: where stored audits and alerts are delivered to.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The receiver of stored events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookConfig {
    /// `http://` or `https://`, with a path.
    pub url: String,
    /// File whose bytes, without white space around them, key the signature.
    pub secret_file: PathBuf,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookSection {
    url: String,
    secret_file: PathBuf,
}

impl WebhookSection {
    /// Makes the path absolute; `folder` is the configuration's.
    pub(super) fn in_folder(self, folder: &Path) -> WebhookConfig {
        let Self { url, secret_file } = self;
        WebhookConfig {
            url,
            secret_file: folder.join(secret_file),
        }
    }
}
