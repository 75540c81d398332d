//! What does not stand against an export, but somebody should look at.

use miette::Diagnostic;

use crate::config::OtlpConfig;
use crate::secret_file::ReadableByOthers;
use engage_wire::HttpUrl;

/// Who could read what only this host and the collector should.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum OtlpWarning {
    #[error(transparent)]
    #[diagnostic(transparent)]
    HeadersReadable(ReadableByOthers),
    #[error(
        "otlp endpoint `{endpoint}` is plain http: who listens on the way reads every span and what headers_file holds"
    )]
    #[diagnostic(code("otlp-plain-http"), help("use https"))]
    PlainHttp { endpoint: HttpUrl },
}

impl OtlpWarning {
    /// All that there are.
    pub(crate) fn all(config: &OtlpConfig) -> Vec<Self> {
        let OtlpConfig {
            endpoint,
            headers_file,
            ca_file: _,
            sample_ratio: _,
        } = config;
        let readable = headers_file.as_deref();
        let readable = readable.and_then(|it| ReadableByOthers::find("otlp headers_file", it));
        let is_plain = !endpoint.is_https() && !endpoint.is_loopback();
        let plain = is_plain.then(|| Self::PlainHttp {
            endpoint: endpoint.clone(),
        });
        readable
            .map(Self::HeadersReadable)
            .into_iter()
            .chain(plain)
            .collect()
    }
}
