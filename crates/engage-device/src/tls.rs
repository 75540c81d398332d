//! TLS as a device speaks it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use miette::Diagnostic;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{DnsName, ServerName};
use rustls::{AlertDescription, ClientConfig, ProtocolVersion, SupportedProtocolVersion, version};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::socket::DeviceSocket;
use super::verifier::DeviceVerifier;
use super::{CachedTlsClient, ChainRefusal, ConnectError, PeerChain, TlsStack, connect};
use engage_wire::pki::Certificate;
use engage_wire::{HostName, HostPort};

/// A TLS client that trusts one certificate and nothing else.
#[derive(Clone, Debug)]
pub struct TlsClient {
    anchor: Certificate,
    stack: Arc<TlsStack>,
    provider: Arc<CryptoProvider>,
}

/// Which versions of TLS the client offers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3: what this program can.
    #[serde(rename = "1.2 and 1.3")]
    Any,
    /// TLS 1.2 only: what current firmware speaks (PROTOCOL.md section 2).
    #[serde(rename = "1.2")]
    Device,
}

impl TlsClient {
    /// A client that has installed `anchor`.
    pub fn new(anchor: Certificate, versions: TlsVersions) -> Self {
        Self::with_stack(anchor, Arc::new(TlsStack::any(versions)))
    }

    /// A client that has installed `anchor`, and does what `stack` does.
    pub(crate) fn with_stack(anchor: Certificate, stack: Arc<TlsStack>) -> Self {
        Self {
            anchor,
            provider: stack.provider(),
            stack,
        }
    }

    /// The one certificate that is trusted.
    pub fn anchor(&self) -> &Certificate {
        &self.anchor
    }

    /// The same client with its configuration made once, for many connections.
    pub fn cached(&self) -> CachedTlsClient {
        CachedTlsClient::new(self)
    }

    /// Connects and shakes hands; always a full handshake.
    pub async fn connect(
        &self,
        host: &HostPort,
        deadline: Instant,
    ) -> Result<TlsConnection, TlsError> {
        let stream = connect(host, deadline).await?;
        self.handshake(stream, &host.host, deadline).await
    }

    /// Shakes hands on a connection. `name` is sent as SNI unless it is an address.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        name: &HostName,
        deadline: Instant,
    ) -> Result<TlsConnection, TlsError> {
        let peer = stream
            .peer_addr()
            .map_or_else(|_| name.to_string(), |peer| peer.to_string());
        self.handshake_on(stream, peer, name, Arc::default(), deadline)
            .await
    }

    /// Shakes hands through a device's own socket.
    pub(super) async fn shake_hands(
        &self,
        socket: DeviceSocket,
        peer: SocketAddr,
        name: &HostName,
        deadline: Instant,
    ) -> Result<TlsConnection<DeviceSocket>, TlsError> {
        let muted = socket.muted();
        self.handshake_on(socket, peer.to_string(), name, muted, deadline)
            .await
    }

    /// Sets `muted` where the stack says nothing of what it refuses.
    async fn handshake_on<S>(
        &self,
        stream: S,
        peer: String,
        name: &HostName,
        muted: Arc<AtomicBool>,
        deadline: Instant,
    ) -> Result<TlsConnection<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let peer_chain = Arc::new(OnceLock::new());
        let connector = TlsConnector::from(self.config(Arc::clone(&peer_chain), muted));
        let handshake = connector.connect(server_name(name), stream);
        let Ok(shaken) = timeout_at(deadline, handshake).await else {
            return Err(TlsError::Deadline { peer });
        };
        match (shaken, peer_chain.get().cloned()) {
            (Ok(stream), Some(peer_chain)) => Ok(TlsConnection { stream, peer_chain }),
            // The verifier is called in every full handshake, and there are no others.
            (Ok(_), None) => Err(TlsError::handshake(
                peer,
                io::Error::other("no certificate"),
            )),
            (Err(_), Some(chain @ PeerChain { path: Err(_), .. })) => {
                Err(TlsError::refused(peer, chain))
            }
            (Err(source), _) => Err(TlsError::handshake(peer, source)),
        }
    }

    pub(super) fn config(
        &self,
        peer_chain: Arc<OnceLock<PeerChain>>,
        muted: Arc<AtomicBool>,
    ) -> Arc<ClientConfig> {
        let versions: &[&SupportedProtocolVersion] = match self.stack.versions {
            TlsVersions::Any => &[&version::TLS13, &version::TLS12],
            TlsVersions::Device => &[&version::TLS12],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions);
        let Ok(builder) = builder else {
            unreachable!("a stack has a cipher suite for each version that it offers");
        };
        let verifier = DeviceVerifier {
            anchor: self.anchor.clone(),
            stack: Arc::clone(&self.stack),
            provider: Arc::clone(&self.provider),
            peer_chain,
            muted,
        };
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }
}

/// An open TLS connection.
#[derive(Debug)]
pub struct TlsConnection<S = TcpStream> {
    /// For [`super::exchange`].
    pub stream: TlsStream<S>,
    peer_chain: PeerChain,
}

impl<S> TlsConnection<S> {
    /// The certificates that the server presented, with the path to the trust anchor.
    pub fn peer_chain(&self) -> &PeerChain {
        &self.peer_chain
    }

    /// "TLS 1.2" or "TLS 1.3".
    pub fn version(&self) -> &'static str {
        match self.stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "unknown version",
        }
    }

    /// The cipher suite's registered name.
    pub fn cipher_suite(&self) -> String {
        let suite = self.stream.get_ref().1.negotiated_cipher_suite();
        let name = suite.and_then(|suite| suite.suite().as_str());
        // rustls marks the suites of TLS 1.3, which the registry does not.
        name.unwrap_or("unknown suite").replace("TLS13_", "TLS_")
    }
}

/// Why there is no session.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum TlsError {
    /// No connection.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ConnectError),
    /// The handshake did not finish in time.
    #[error("the TLS handshake with {peer} did not finish in time")]
    #[diagnostic(
        code("tls-timeout"),
        help("something accepts connections there but does not speak TLS, or is overloaded")
    )]
    Deadline {
        /// The other end.
        peer: String,
    },
    /// The handshake failed for another reason than the certificates.
    #[error("the TLS handshake with {peer} failed")]
    #[diagnostic(code("tls-handshake"), help("{}", handshake_hint(source)))]
    Handshake {
        /// The other end.
        peer: String,
        /// The TLS library's reason.
        source: io::Error,
    },
    /// A device does not trust the certificates.
    #[error("a device that trusts only the announced certificate refuses those of {peer}")]
    #[diagnostic(forward(source))]
    Refused {
        /// The other end.
        peer: String,
        /// What it presented.
        chain: Box<PeerChain>,
        /// Why.
        source: ChainRefusal,
    },
}

impl TlsError {
    /// Whether the two ends have no version of TLS or no cipher in common.
    pub fn is_incompatible(&self) -> bool {
        matches!(self, Self::Handshake { source, .. } if is_incompatible(source))
    }

    pub(super) fn handshake(peer: String, source: io::Error) -> Self {
        Self::Handshake { peer, source }
    }

    fn refused(peer: String, chain: PeerChain) -> Self {
        match &chain.path {
            Err(refusal) => Self::Refused {
                peer,
                source: refusal.clone(),
                chain: Box::new(chain),
            },
            Ok(_) => Self::handshake(peer, io::Error::other("refused without a reason")),
        }
    }
}

fn is_incompatible(error: &io::Error) -> bool {
    use rustls::Error::{AlertReceived, PeerIncompatible};

    rustls_error(error).is_some_and(|error| {
        matches!(
            error,
            PeerIncompatible(_)
                | AlertReceived(
                    AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure
                )
        )
    })
}

fn handshake_hint(source: &io::Error) -> &'static str {
    if is_incompatible(source) {
        return "the server offers no ECDHE cipher with AES-GCM or ChaCha20 under the version of TLS that devices \
                speak; which other ciphers devices take is not documented";
    }
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return "the server closed the connection instead of shaking hands: see its log, and whether that port speaks TLS";
    }
    match rustls_error(source) {
        Some(rustls::Error::InvalidMessage(_)) => {
            "that port does not speak TLS: is it the plain listener?"
        }
        Some(rustls::Error::InvalidCertificate(_)) => {
            "the server does not have the private key of the certificate that it presents"
        }
        _ => "see the server's log for its side of the handshake",
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl fmt::Display for TlsVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "TLS 1.2 and 1.3",
            Self::Device => "TLS 1.2",
        })
    }
}

pub(super) fn server_name(name: &HostName) -> ServerName<'static> {
    let unnamed = ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into());
    match name {
        HostName::Ip(address) => ServerName::IpAddress((*address).into()),
        // Names that TLS does not take as SNI (RFC 6066 section 3) go without.
        HostName::Dns(name) => DnsName::try_from(name.clone()).map_or(unnamed, ServerName::DnsName),
    }
}
