//! The accept path of the TLS listener: doorway, then handshake.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum_server::accept::Accept;
use rustls::{ProtocolVersion, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::doorway::Doorway;
use super::pacing::{Paced, Record};
use super::service::ForConnection;
use crate::connection::{Connection, Phase, TlsSession};
use crate::publication::Published;
use crate::telemetry::MismatchWatch;
use crate::tls::hello::ClientHello;
use crate::tls::{Diagnosis, FailureReason, Repertoire, diagnose};

/// Shakes hands with the identity that is in force when the connection arrives.
///
/// Runs in the connection's own task: a client that stalls delays nobody else.
#[derive(Clone)]
pub(super) struct TlsAcceptor {
    doorway: Doorway,
    published: Published,
    mismatches: Arc<MismatchWatch>,
}

impl TlsAcceptor {
    pub(super) fn new(
        doorway: Doorway,
        published: Published,
        mismatches: Arc<MismatchWatch>,
    ) -> Self {
        Self {
            doorway,
            published,
            mismatches,
        }
    }

    async fn shake_hands(
        self,
        stream: TcpStream,
        mut service: ForConnection,
    ) -> io::Result<(TlsStream<Paced>, ForConnection)> {
        let started = Instant::now();
        let connection = &mut service.connection;
        let mut stream = self.doorway.enter(stream, connection).await?;
        stream.start_record();
        let identity = self.published.current().identity().clone();
        let acceptor = tokio_rustls::TlsAcceptor::from(identity.server_config());
        let handshake = acceptor.accept(stream).into_fallible();
        let mut stream = match handshake.await {
            Ok(stream) => stream,
            Err((error, mut stream)) => {
                self.explain(
                    connection,
                    identity.repertoire(),
                    &error,
                    &stream.take_record(),
                );
                return Err(error);
            }
        };
        let (socket, session) = stream.get_mut();
        drop(socket.take_record());
        let version = version_name(session);
        connection.tls = Some(TlsSession { version });
        connection.pacing.enter(Phase::Head);
        self.doorway
            .metrics()
            .shook_hands(version, cipher_name(session), started.elapsed());
        self.mismatches.shook_hands(connection.peer.ip());
        Ok((stream, service))
    }

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

impl Accept<TcpStream, ForConnection> for TlsAcceptor {
    type Stream = TlsStream<Paced>;
    type Service = ForConnection;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: ForConnection) -> Self::Future {
        Box::pin(self.clone().shake_hands(stream, service))
    }
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
