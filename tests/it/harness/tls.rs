//! A TLS client that trusts one certificate and nothing else.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use engage_wire::crypto_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::{Response, connect, read_to_end};

type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// Trusts only `anchor`, and speaks only `versions`.
pub(crate) fn client_config(
    anchor: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(anchor.to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Trusts only `anchor`, and speaks TLS 1.2 and 1.3.
pub(crate) fn trusting(anchor: &[u8]) -> Arc<ClientConfig> {
    client_config(anchor, &[&TLS13, &TLS12])
}

/// Connects; the handshake happens with the first byte.
pub(crate) fn tls_connect(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsClient {
    tls_connect_as(address, ServerName::from(address.ip()), config)
}

/// Connects, and compares the certificate with this name.
pub(crate) fn tls_connect_as(
    address: SocketAddr,
    name: ServerName<'static>,
    config: &Arc<ClientConfig>,
) -> TlsClient {
    let session = ClientConnection::new(Arc::clone(config), name);
    StreamOwned::new(session.unwrap(), connect(address))
}

/// `GET target` over TLS, and the answer.
pub(crate) fn tls_get(address: SocketAddr, config: &Arc<ClientConfig>, target: &str) -> Response {
    get_over(tls_connect(address, config), target)
}

/// `GET target` over a session, and the answer.
pub(crate) fn get_over(mut stream: TlsClient, target: &str) -> Response {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    Response::parse(&read_to_end(&mut stream))
}
