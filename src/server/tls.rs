//! The TLS handshake of the 443 listener.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum_server::accept::Accept;
use rustls::ProtocolVersion;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::service::ForConnection;
use crate::connection::TlsSession;
use crate::publication::Published;

/// Shakes hands with the identity that is in force when the connection arrives.
///
/// Runs in the connection's own task: a client that stalls delays nobody else.
#[derive(Clone)]
pub(super) struct TlsAcceptor {
    published: Published,
}

impl TlsAcceptor {
    pub(super) fn new(published: Published) -> Self {
        Self { published }
    }
}

impl Accept<TcpStream, ForConnection> for TlsAcceptor {
    type Stream = TlsStream<TcpStream>;
    type Service = ForConnection;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, mut service: ForConnection) -> Self::Future {
        let config = self.published.current().identity().server_config();
        Box::pin(async move {
            let handshake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
            let stream = timeout(HANDSHAKE, handshake).await.map_err(|_| {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "the TLS handshake did not finish within {} s",
                        HANDSHAKE.as_secs()
                    ),
                )
            })??;
            service.connection.tls = Some(TlsSession {
                version: version_name(stream.get_ref().1.protocol_version()),
            });
            Ok((stream, service))
        })
    }
}

/// How long a handshake may take. A lock computes its share in software, over Wi-Fi.
const HANDSHAKE: Duration = Duration::from_secs(15);

fn version_name(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "unknown",
    }
}
