//! Many TLS connections of devices that trust the same certificate: load.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::server_name;
use super::{TlsClient, TlsError};
use engage_wire::HostName;

/// A [`TlsClient`] whose configuration is made once.
///
/// Every handshake is full and every chain is verified as by a [`TlsClient`]; only what the first
/// server presented is kept.
#[derive(Clone)]
pub struct CachedTlsClient {
    connector: TlsConnector,
}

impl CachedTlsClient {
    pub(super) fn new(client: &TlsClient) -> Self {
        let config = client.config(Arc::new(OnceLock::new()), Arc::default());
        Self {
            connector: TlsConnector::from(config),
        }
    }

    /// Shakes hands on a connection to `peer`. `name` is sent as SNI unless it is an address.
    pub async fn handshake<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        name: &HostName,
        deadline: Instant,
    ) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name: ServerName<'static> = server_name(name);
        match timeout_at(deadline, self.connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(source)) => Err(TlsError::handshake(peer.to_string(), source)),
            Err(_) => Err(TlsError::Deadline {
                peer: peer.to_string(),
            }),
        }
    }
}
