//! What does not stand against a delivery, but somebody should look at.

use miette::Diagnostic;

use crate::config::WebhookConfig;
use crate::secret_file::ReadableByOthers;
use engage_wire::HttpUrl;

/// Who could read what only this host and the receiver should.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum WebhookWarning {
    #[error(transparent)]
    #[diagnostic(transparent)]
    SecretReadable(ReadableByOthers),
    #[error("webhook url `{url}` is plain http: who listens on the way reads every audit")]
    #[diagnostic(code("webhook-plain-http"), help("use https"))]
    PlainHttp { url: HttpUrl },
}

impl WebhookWarning {
    /// All that there are.
    pub(crate) fn all(config: &WebhookConfig) -> Vec<Self> {
        let WebhookConfig {
            url,
            secret_file,
            ca_file: _,
        } = config;
        let readable = ReadableByOthers::find("webhook secret_file", secret_file);
        let is_plain = !url.is_https() && !url.is_loopback();
        let plain = is_plain.then(|| Self::PlainHttp { url: url.clone() });
        readable
            .map(Self::SecretReadable)
            .into_iter()
            .chain(plain)
            .collect()
    }
}
