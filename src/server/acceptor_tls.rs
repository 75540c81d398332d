//! Connections of the TLS listener: admission, then handshake.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum_server::accept::Accept;
use jiff::Timestamp;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use tokio::io::AsyncWriteExt;
use tokio_rustls::server::TlsStream;
use tower_http::add_extension::AddExtension;
use tracing::{debug, warn};

use super::acceptor::{Accepting, WithConnection, refused};
use super::admit::{Admission, Admitted, Rejection};
use super::fair_semaphore::FairSemaphore;
use super::listener::Accepted;
use super::stream::{
    Capture, ClientStream, Downloads, HandshakeCapture, Intercepted, RefusedHeads, RequestHeads,
    Timeouts, client_stream,
};
use crate::connection::{Connection, ListenerKind, Phase, TlsSession};
use crate::publication::{ChainGeneration, ShownIdentity};
use crate::rotation::{Identities, UnfinishedHandshake};
use crate::routes::App;
use crate::telemetry::CallerThrottle;
use crate::tls::hello::ClientHello;
use crate::tls::{self, Diagnosis, FailureReason, TlsCapabilities, diagnose};

/// Admits connections and shakes hands with the identity that is chosen for the client.
///
/// Runs in the connection's own task: a client that stalls delays nobody else.
pub(super) struct TlsAcceptor {
    pub(super) admission: Arc<Admission>,
    pub(super) timeouts: Arc<Timeouts>,
    pub(super) refused_heads: Arc<RefusedHeads>,
    pub(super) app: Arc<App>,
    pub(super) identities: Arc<Identities>,
    /// Failed handshakes that have been logged.
    pub(super) failures: Arc<CallerThrottle>,
    /// Who may sign, as many as there are cores: a signature is nearly all that a handshake costs.
    pub(super) signatures: Arc<FairSemaphore>,
}

impl<S: Send + 'static> Accept<Accepted, S> for Arc<TlsAcceptor> {
    type Stream = Box<Downloads<Intercepted<TlsStream<CapturedStream>, RequestHeads>>>;
    type Service = WithConnection<S>;
    type Future = Accepting<Self::Stream, S>;

    fn accept(&self, accepted: Accepted, service: S) -> Self::Future {
        let acceptor = Self::clone(self);
        Box::pin(async move {
            let admitted = acceptor.admission.admit(LISTENER, accepted).await;
            let admitted = admitted.map_err(|_| refused())?;
            let (stream, connection) = acceptor.shake_hands(admitted).await?;
            let connection = Arc::new(connection);
            let state = Arc::clone(&connection.state);
            let refused_heads = Arc::clone(&acceptor.refused_heads);
            let heads = RequestHeads::new(state, refused_heads, connection.peer);
            let stream = Intercepted::new(stream, heads);
            let stream = Downloads::new(stream, Arc::clone(&connection));
            Ok((Box::new(stream), AddExtension::new(service, connection)))
        })
    }
}

/// What is shaken hands over.
type CapturedStream = Intercepted<ClientStream, HandshakeCapture>;

impl TlsAcceptor {
    async fn shake_hands(
        &self,
        admitted: Admitted,
    ) -> io::Result<(TlsStream<CapturedStream>, Connection)> {
        let started = Instant::now();
        if !self.identities.has_any() {
            let peer = admitted.peer;
            self.admission
                .report(LISTENER, peer, &Rejection::NoCertificate);
            return Err(refused());
        }
        let (stream, mut connection) = self.connection(admitted);
        let peer = connection.peer.ip();
        let permit = self.signatures.acquire(peer);
        let settled = self.identities.settled(peer);
        let mut shown = None;
        let shaking = tls::accept(stream, settled, permit, |_| {
            let unfinished = self.identities.begin(peer);
            let selected = self.identities.select(peer)?;
            let identity = selected.identity.clone();
            shown = Some((selected, unfinished));
            Some(identity)
        });
        match shaking.await {
            Ok(mut stream) => {
                connection.tls = Some(self.complete(peer, &mut stream, shown, started));
                connection.state.enter(Phase::ReadingHead);
                Ok((stream, connection))
            }
            Err((error, stream)) => {
                self.fail(&connection, &error, stream, shown).await;
                Err(refused())
            }
        }
    }

    /// One whose handshake is about to begin.
    fn connection(&self, admitted: Admitted) -> (CapturedStream, Connection) {
        let Admitted {
            socket,
            prefix,
            peer,
            is_allowed,
            unread,
            guard,
        } = admitted;
        let connection = Connection::new(LISTENER, peer, is_allowed, Phase::Handshake, guard);
        let stream = client_stream(socket, prefix, unread, &connection.state, &self.timeouts);
        let stream = Intercepted::new(stream, HandshakeCapture::start());
        (stream, connection)
    }

    /// Counts a handshake that was completed, and takes what it says of the client.
    fn complete(
        &self,
        peer: IpAddr,
        stream: &mut TlsStream<CapturedStream>,
        shown: Option<(ShownIdentity, UnfinishedHandshake)>,
        started: Instant,
    ) -> TlsSession {
        let (capturing, session) = stream.get_mut();
        let capture = capturing.by.finish();
        if let Ok(hello) = ClientHello::parse(&capture.received) {
            self.app.handshakes.completed(peer, hello);
        }
        let version = version_name(session);
        // An earlier session that is resumed verifies nothing.
        let is_full = session.handshake_kind() != Some(HandshakeKind::Resumed);
        let (shown, unfinished) = shown.unzip();
        let verified = shown.filter(|_| is_full);
        let verified = verified.and_then(|shown| self.identities.verified(peer, &shown));
        drop(unfinished);
        let metrics = self.admission.metrics();
        metrics.handshake_completed(version, cipher_name(session), started.elapsed());
        self.app.announcement_fetches.handshake_completed(peer);
        TlsSession { version, verified }
    }

    async fn fail(
        &self,
        connection: &Connection,
        error: &io::Error,
        stream: Option<CapturedStream>,
        shown: Option<(ShownIdentity, UnfinishedHandshake)>,
    ) {
        let (shown, unfinished) = shown.unzip();
        // A hello that cannot be read has not come so far.
        let any = || self.app.published.current().shown(ChainGeneration::Old);
        let Some(shown) = shown.or_else(any) else {
            return;
        };
        let identity = &shown.identity;
        let Some(mut stream) = stream else {
            let capabilities = identity.capabilities();
            self.explain(connection, capabilities, error, &Capture::default());
            return;
        };
        let capture = stream.by.finish();
        let reason = self.explain(connection, identity.capabilities(), error, &capture);
        if let Some(unfinished) = unfinished {
            self.identities.failed(connection.peer.ip(), &shown, reason);
            drop(unfinished);
        }
        if capture.sent == 0 && error.kind() == io::ErrorKind::InvalidData {
            // The client may be gone, and learns nothing then.
            let _ = stream.write_all(&identity.alert(&capture.received)).await;
        }
    }

    /// Logs one event that says why the handshake failed, and counts it. Returns why.
    fn explain(
        &self,
        connection: &Connection,
        capabilities: &TlsCapabilities,
        error: &io::Error,
        capture: &Capture,
    ) -> FailureReason {
        let Connection { listener, peer, .. } = connection;
        let hello = ClientHello::parse(&capture.received);
        let Diagnosis { reason, sentence } =
            diagnose(capabilities, hello.as_ref(), error, capture.sent);
        self.admission.metrics().handshake_failed(reason.label());
        let seen = hello.as_ref().ok().cloned();
        let handshakes = &self.app.handshakes;
        handshakes.failed(peer.ip(), seen, Timestamp::now(), reason);
        // Port scans and a balancer's health checks: nobody tried to speak TLS.
        if capture.received.is_empty() && reason == FailureReason::ClosedBeforeHello {
            debug!(%listener, %peer, reason = reason.label(), "{peer} closed before it sent anything");
            return reason;
        }
        let Some(others) = self.failures.check(peer.ip()) else {
            return reason;
        };
        let hello = hello.as_ref().ok();
        warn!(
            %listener,
            %peer,
            reason = reason.label(),
            others = others.count(),
            sni = hello.and_then(|hello| hello.server_name.as_deref()),
            offered.versions = hello.map(|hello| display(hello.versions())),
            offered.ciphers = hello.map(|hello| display(&hello.cipher_suites)),
            offered.groups = hello.map(|hello| display(&hello.named_groups)),
            offered.signatures = hello.map(|hello| display(&hello.signature_schemes)),
            error = %error,
            "TLS handshake with {peer} failed: it {sentence}{others}",
        );
        reason
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

const LISTENER: ListenerKind = ListenerKind::Https;
