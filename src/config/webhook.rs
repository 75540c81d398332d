//! `[webhook]`: where stored audits and alerts are delivered to.

use std::path::PathBuf;

use serde::Deserialize;

use engage_wire::HttpUrl;

/// The receiver of stored events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where events are posted to.
    pub url: HttpUrl,
    /// File whose bytes, without white space around them, key the signature.
    pub secret_file: PathBuf,
    /// PEM file of certificates that an `https` receiver may be signed with, beside those that
    /// the operating system trusts.
    pub ca_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_with_its_line() {
        let text = "secret_file = \"s\"\nurl = \"ftp://a/\"\n";
        let refused = toml::from_str::<WebhookConfig>(text).unwrap_err();
        assert!(
            refused.to_string().contains("line 2, column 7"),
            "{refused}"
        );
    }
}
