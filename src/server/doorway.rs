//! What every connection passes before a byte of HTTP or TLS is read: balancer header, allow
//! list, connection bounds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::warn;

use super::admission::{Admission, Full};
use super::pacing::{Paced, Visit};
use crate::config::{Access, Limits};
use crate::connection::{Connection, ListenerKind, Pacing, PerListener, Phase};
use crate::platform::service_manager::OwnCall;
use crate::telemetry::{LogThrottle, Metrics};

/// The doorway of both listeners.
#[derive(Clone, Debug)]
pub(crate) struct Doorway(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    access: Access,
    limits: Arc<Limits>,
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
    own_call: OwnCall,
    full: LogThrottle,
    strangers: LogThrottle,
    bad_headers: LogThrottle,
    accept_failures: PerListener<LogThrottle>,
}

impl Doorway {
    pub(crate) fn new(
        access: Access,
        limits: Limits,
        admission: Admission,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Rules {
            access,
            limits: Arc::new(limits),
            admission: Arc::new(admission),
            metrics,
            own_call: OwnCall::default(),
            full: LogThrottle::default(),
            strangers: LogThrottle::default(),
            bad_headers: LogThrottle::default(),
            accept_failures: PerListener::default(),
        }))
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Calls of the daemon to itself, which are ended at once and leave no trace.
    pub(crate) fn own_call(&self) -> &OwnCall {
        &self.0.own_call
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.0.limits
    }

    /// Lets a connection in, or turns it away before it costs anything, which is logged and
    /// counted here.
    ///
    /// A caller outside the allow list is let in on the plain listener, marked as such: it is to
    /// be told 401 (PROTOCOL.md section 3). On the TLS listener that would cost a handshake.
    pub(super) async fn enter(
        &self,
        mut socket: TcpStream,
        listener: ListenerKind,
        peer: SocketAddr,
    ) -> Option<(Paced, Connection)> {
        let Rules {
            access,
            limits,
            admission,
            own_call,
            ..
        } = &*self.0;
        if own_call.is_from(peer) {
            return None;
        }
        let mut permit = admission
            .enter()
            .map_err(|full| self.turn_away(listener, peer, full))
            .ok()?;
        let mut ahead = Bytes::new();
        let mut caller = Some(peer);
        if access.is_balancer(peer.ip()) {
            let header = read_proxy_header(&mut socket, limits.request_head).await;
            (caller, ahead) = header
                .map_err(|error| self.refuse_header(listener, peer, &error))
                .ok()?;
        }
        let is_health_check = caller.is_none();
        let mut peer = caller.unwrap_or(peer);
        peer.set_ip(peer.ip().to_canonical());
        let allowed = is_health_check || access.allows(peer.ip());
        if !allowed {
            self.note_stranger(listener, peer);
            if listener == ListenerKind::Https {
                return None;
            }
        }
        permit
            .claim(peer.ip())
            .map_err(|full| self.turn_away(listener, peer, full))
            .ok()?;
        let connection = Connection {
            listener,
            peer,
            allowed,
            tls: None,
            pacing: Arc::new(Pacing::new(match listener {
                ListenerKind::Http => Phase::Head,
                ListenerKind::Https => Phase::Handshake,
            })),
        };
        let visit = Visit {
            listener,
            metrics: Arc::clone(&self.0.metrics),
            _permit: permit,
            _open: self.0.metrics.opened(listener),
        };
        let pacing = Arc::clone(&connection.pacing);
        let stream = Paced::new(socket, ahead, Arc::clone(limits), pacing, visit);
        Some((stream, connection))
    }

    /// The operating system gave no connection.
    pub(super) fn accept_failed(&self, listener: ListenerKind, error: &io::Error) {
        self.0.metrics.accept_failed(listener);
        if let Some(others) = self.0.accept_failures[listener].check() {
            warn!(
                %listener, others = others.count(),
                "{listener} listener cannot accept connections: {error}; trying again{others}",
            );
        }
    }

    fn turn_away(&self, listener: ListenerKind, peer: SocketAddr, full: Full) {
        self.0.metrics.refused(listener, full.name());
        if let Some(others) = self.0.full.check() {
            let most = self.0.admission.bound(full);
            warn!(
                %listener, %peer, limit = full.name(), others = others.count(),
                "{listener} connection from {peer} refused: `[limits] {} = {most}` is reached{others}",
                full.name(),
            );
        }
    }

    fn note_stranger(&self, listener: ListenerKind, peer: SocketAddr) {
        self.0.metrics.refused(listener, "allow");
        if let Some(others) = self.0.strangers.check() {
            warn!(
                %listener, %peer, others = others.count(),
                "{listener} caller {peer} is outside `[access] allow`{others}",
            );
        }
    }

    fn refuse_header(&self, listener: ListenerKind, peer: SocketAddr, error: &io::Error) {
        self.0.metrics.refused(listener, "proxy_protocol");
        if let Some(others) = self.0.bad_headers.check() {
            warn!(
                %listener, %peer, others = others.count(),
                "{listener} connection from balancer {peer} has no usable PROXY protocol header: {error}{others}",
            );
        }
    }
}

/// Reads the header that a balancer sends first, version 1 or 2, and what came with it.
///
/// `None` is a connection of the balancer's own: a health check (`LOCAL`, or `UNKNOWN`).
async fn read_proxy_header(
    stream: &mut TcpStream,
    deadline: Duration,
) -> io::Result<(Option<SocketAddr>, Bytes)> {
    let mut bytes = BytesMut::with_capacity(MAX_PROXY_HEADER_BYTES);
    let read = async {
        loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !is_cut_off(&bytes) {
                let (peer, length) = caller(&HeaderResult::parse(&bytes))?;
                let rest = bytes.split_off(length).freeze();
                return Ok((peer, rest));
            }
            if bytes.len() >= MAX_PROXY_HEADER_BYTES {
                return Err(invalid("it is longer than 4096 bytes"));
            }
        }
    };
    timeout(deadline, read)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Whether more bytes could make it a header. Decided here for version 1, because `ppp` takes an
/// address that has not yet arrived whole for a wrong one.
fn is_cut_off(bytes: &[u8]) -> bool {
    let agrees_with = |start: &[u8]| bytes.iter().zip(start).all(|(a, b)| a == b);
    if agrees_with(v2::PROTOCOL_PREFIX) {
        return bytes.len() < V2_FIXED_BYTES || HeaderResult::parse(bytes).is_incomplete();
    }
    agrees_with(b"PROXY ")
        && bytes.len() < V1_MOST_BYTES
        && !bytes.windows(2).any(|pair| pair == b"\r\n")
}

fn caller(header: &HeaderResult<'_>) -> io::Result<(Option<SocketAddr>, usize)> {
    Ok(match header {
        HeaderResult::V1(Ok(header)) => (caller_v1(&header.addresses), header.header.len()),
        HeaderResult::V2(Ok(header)) => (caller_v2(header), header.len()),
        HeaderResult::V1(Err(error)) => return Err(invalid(&error.to_string())),
        HeaderResult::V2(Err(error)) => return Err(invalid(&error.to_string())),
    })
}

fn caller_v1(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => None,
    }
}

fn caller_v2(header: &v2::Header<'_>) -> Option<SocketAddr> {
    // The addresses of a LOCAL command are to be ignored (PROXY protocol section 2.2).
    if header.command == v2::Command::Local {
        return None;
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => Some((ip.source_address, ip.source_port).into()),
        v2::Addresses::IPv6(ip) => Some((ip.source_address, ip.source_port).into()),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// Sections 2.1 and 2.2 of the PROXY protocol.
const V1_MOST_BYTES: usize = 107;
const V2_FIXED_BYTES: usize = 16;

/// Version 2 may carry up to 64 KiB of extensions; balancers send a few hundred bytes.
const MAX_PROXY_HEADER_BYTES: usize = 4096;
