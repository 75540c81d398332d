//! Why a connection is turned away: its label in metrics and its line in the log.

use std::io;
use std::net::SocketAddr;

use tracing::warn;

use super::limits::LimitReached;
use crate::connection::ListenerKind;
use crate::telemetry::LogThrottle;

/// Why a connection is not let in.
#[derive(Debug)]
pub(in crate::server) enum Rejection {
    /// A limit of `[limits]` is reached.
    LimitReached {
        /// The limit: connections in all, or of one address.
        limit: LimitReached,
        /// Its value.
        max: usize,
    },
    /// The caller is outside `[access] allow`.
    NotAllowed,
    /// A balancer did not say for whom it calls.
    ProxyHeader(io::Error),
    /// Devices would refuse the server's certificate now, so that none is shown.
    NoCertificate,
    /// The daemon's own call, which has learned what it wanted to know.
    WatchdogProbe,
}

impl Rejection {
    /// Its label in metrics, named as in the configuration; none for what leaves no trace.
    pub(super) fn label(&self) -> Option<&'static str> {
        match self {
            Self::LimitReached { limit, .. } => Some(limit.name()),
            Self::NoCertificate => Some("certificate"),
            Self::NotAllowed => Some("allow"),
            Self::ProxyHeader(_) => Some("proxy_protocol"),
            Self::WatchdogProbe => None,
        }
    }
}

/// One line for a burst of rejections of a kind.
#[derive(Debug, Default)]
pub(super) struct RejectionLog {
    limit_reached: LogThrottle,
    no_certificate: LogThrottle,
    not_allowed: LogThrottle,
    proxy_header: LogThrottle,
}

impl RejectionLog {
    pub(super) fn write(&self, listener: ListenerKind, peer: SocketAddr, rejection: &Rejection) {
        let throttle = match rejection {
            Rejection::LimitReached { .. } => &self.limit_reached,
            Rejection::NoCertificate => &self.no_certificate,
            Rejection::NotAllowed => &self.not_allowed,
            Rejection::ProxyHeader(_) => &self.proxy_header,
            Rejection::WatchdogProbe => return,
        };
        let Some(others) = throttle.check() else {
            return;
        };
        match rejection {
            Rejection::LimitReached { limit, max } => {
                let limit = limit.name();
                warn!(
                    %listener, %peer, limit, others = others.count(),
                    "{listener} connection from {peer} refused: `[limits] {limit} = {max}` is reached{others}",
                );
            }
            Rejection::NoCertificate => warn!(
                %listener, %peer, others = others.count(),
                "{listener} connection from {peer} refused: the server certificate is not valid now{others}",
            ),
            Rejection::NotAllowed => warn!(
                %listener, %peer, others = others.count(),
                "{listener} caller {peer} is outside `[access] allow`{others}",
            ),
            Rejection::ProxyHeader(error) => warn!(
                %listener, %peer, others = others.count(),
                "{listener} connection from balancer {peer} has no usable PROXY protocol header: {error}{others}",
            ),
            Rejection::WatchdogProbe => {}
        }
    }
}
