//! The export of traces to a collector: OTLP over HTTP, in JSON (docs/OPERATIONS.md).
//!
//! Off unless `[otlp]` is configured. Whatever the collector does, nothing that answers a device waits
//! for it: spans come by a bounded queue (`telemetry::Tracer`), one batch at a time is under way, and
//! what is not taken after a few attempts is dropped and counted.

mod encode;
mod error;
mod exporter;
mod headers;
mod warning;

use std::fmt;

use http::HeaderMap;

use crate::config::OtlpConfig;
use crate::http_client::{Connector, PostClient, PostError};
use crate::telemetry::Span;

pub(crate) use error::OtlpError;
pub(crate) use exporter::Exporter;
pub(crate) use warning::OtlpWarning;

/// Where spans go. Displayed as its URL without the query.
#[derive(Debug)]
pub(crate) struct Collector {
    shown_url: String,
    client: PostClient,
    headers: HeaderMap,
    host: String,
}

impl Collector {
    /// Reads the header fields and the trusted certificates.
    pub(crate) fn load(config: &OtlpConfig) -> Result<Self, OtlpError> {
        let OtlpConfig {
            endpoint,
            headers_file,
            ca_file,
            sample_ratio: _,
        } = config;
        let headers = headers_file.as_deref().map(headers::load).transpose()?;
        let ca_file = ca_file.as_deref();
        let connector =
            Connector::new(endpoint, "otlp ca_file", ca_file, exporter::CONNECT_TIMEOUT)?;
        Ok(Self {
            shown_url: endpoint.to_string(),
            client: PostClient::new(endpoint.clone(), connector, exporter::ANSWER_TIMEOUT, 1),
            headers: headers.unwrap_or_default(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
        })
    }

    async fn post(&self, spans: &[Span]) -> Result<(), PostError> {
        let body = encode::encode(&self.host, spans);
        let posted = self.client.post(self.headers.clone(), body).await;
        posted.map(|_| ())
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown_url)
    }
}
