//! Connections of the TLS listener: doorway, then handshake.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::Acceptor;
use rustls::{ProtocolVersion, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::accepting::Reception;
use super::doorway::Doorway;
use super::pacing::{Paced, Record};
use super::service::Answers;
use crate::connection::{Connection, ListenerKind, Phase, TlsSession};
use crate::routes::App;
use crate::tls::hello::ClientHello;
use crate::tls::{Diagnosis, FailureReason, Repertoire, TlsIdentity, diagnose};

/// Shakes hands with the identity that is in force when the connection arrives.
///
/// Runs in the connection's own task: a client that stalls delays nobody else.
pub(super) struct TlsReception {
    pub(super) doorway: Doorway,
    pub(super) app: Arc<App>,
}

impl Reception for TlsReception {
    type Stream = TlsStream<Paced>;
    type Service = Answers;

    async fn receive(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<(TlsStream<Paced>, Answers)> {
        let started = Instant::now();
        let (mut stream, mut connection) = self
            .doorway
            .enter(socket, ListenerKind::Https, peer)
            .await?;
        stream.start_record();
        let identity = self.app.published.current().identity().clone();
        let mut stream = match shake_hands(stream, &identity).await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                let record = stream.map(|mut stream| stream.take_record());
                let record = record.unwrap_or_default();
                self.explain(&connection, identity.repertoire(), &error, &record);
                return None;
            }
        };
        let (socket, session) = stream.get_mut();
        drop(socket.take_record());
        let version = version_name(session);
        connection.tls = Some(TlsSession { version });
        connection.pacing.enter(Phase::Head);
        let metrics = self.doorway.metrics();
        metrics.shook_hands(version, cipher_name(session), started.elapsed());
        self.app
            .announcement_fetches
            .handshake_completed(connection.peer.ip());
        Some((stream, Answers::new(Arc::clone(&self.app), connection)))
    }

    fn accept_failed(&self, error: &io::Error) {
        self.doorway.accept_failed(ListenerKind::Https, error);
    }
}

impl TlsReception {
    /// Logs one event that says why the handshake failed, and counts it.
    fn explain(
        &self,
        connection: &Connection,
        repertoire: &Repertoire,
        error: &io::Error,
        record: &Record,
    ) {
        let Connection { listener, peer, .. } = connection;
        let hello = ClientHello::parse(&record.received);
        let Diagnosis { reason, sentence } =
            diagnose(repertoire, hello.as_ref(), error, record.sent);
        self.doorway.metrics().handshake_failed(reason.label());
        // Port scans and a balancer's health checks: nobody tried to speak TLS.
        if record.received.is_empty() && reason == FailureReason::ClosedBeforeHello {
            debug!(%listener, %peer, reason = reason.label(), "{peer} closed before it sent anything");
            return;
        }
        let hello = hello.as_ref().ok();
        warn!(
            %listener,
            %peer,
            reason = reason.label(),
            sni = hello.and_then(|hello| hello.server_name.as_deref()),
            offered.versions = hello.map(|hello| display(hello.versions())),
            offered.ciphers = hello.map(|hello| display(&hello.cipher_suites)),
            offered.groups = hello.map(|hello| display(&hello.named_groups)),
            offered.signatures = hello.map(|hello| display(&hello.signature_schemes)),
            error = %error,
            "TLS handshake with {peer} failed: it {sentence}",
        );
    }
}

/// A whole handshake, or why there was none and the stream that it failed on.
pub(crate) async fn shake_hands<S>(
    stream: S,
    identity: &TlsIdentity,
) -> Result<TlsStream<S>, (io::Error, Option<S>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut greeting = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let greeted = match (&mut greeting).await {
        Ok(greeted) => greeted,
        Err(error) => return Err((error, greeting.take_io())),
    };
    let config = identity.server_config(&greeted.client_hello());
    let handshake = greeted.into_stream(config).into_fallible();
    handshake
        .await
        .map_err(|(error, stream)| (error, Some(stream)))
}

fn version_name(session: &ServerConnection) -> &'static str {
    match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "unknown",
    }
}

fn cipher_name(session: &ServerConnection) -> &'static str {
    session
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("unknown")
}
