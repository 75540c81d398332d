//! The TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use engage_wire::{HostName, HostPort};

/// Connects to the first address of `host` that answers.
pub async fn connect(host: &HostPort, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let addresses = timeout_at(deadline, addresses_of(host))
        .await
        .map_err(|_| ConnectError::NameDeadline(host.clone()))??;
    let mut last = None;
    for peer in addresses {
        match timeout_at(deadline, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => last = Some(ConnectError::Refused { peer, source }),
            Err(_) => return Err(ConnectError::Deadline { peer }),
        }
    }
    Err(last.unwrap_or_else(|| ConnectError::NoAddress(host.clone())))
}

/// Connects to `peer` from an address of this computer, so that one computer can be many devices.
///
/// Nagle's algorithm stays on, as embedded stacks have it.
pub async fn connect_from(
    source: IpAddr,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<TcpStream, ConnectError> {
    let refused = |source| ConnectError::Refused { peer, source };
    let socket = match peer {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(refused)?;
    socket.bind((source, 0).into()).map_err(refused)?;
    timeout_at(deadline, socket.connect(peer))
        .await
        .map_err(|_| ConnectError::Deadline { peer })?
        .map_err(refused)
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No answer in time.
    #[error("{peer} did not answer in time")]
    Deadline {
        /// The address that was tried.
        peer: SocketAddr,
    },
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(HostPort),
    /// The name service did not answer in time.
    #[error("the name of {0} was not resolved in time")]
    NameDeadline(HostPort),
    /// The operating system refused.
    #[error("failed to connect to {peer}")]
    Refused {
        /// The address that was tried last.
        peer: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The name does not resolve.
    #[error("failed to resolve the name of {host}")]
    Unresolved {
        /// The host.
        host: HostPort,
        /// The name service's reason.
        source: io::Error,
    },
}

impl ConnectError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Refused { peer, source } if source.kind() == io::ErrorKind::ConnectionRefused => {
                format!(
                    "nothing listens there: start the daemon, and see its `listening on` line; if it runs, \
                     it listens on another address or port than {peer}"
                )
            }
            Self::Deadline { peer } | Self::Refused { peer, .. } => format!(
                "a firewall, a VLAN or a wrong route lies between: allow TCP port {} from here and from the devices' network",
                peer.port()
            ),
            Self::NoAddress(_) | Self::NameDeadline(_) | Self::Unresolved { .. } => {
                "give the host's IP address instead: devices are usually told a bare address".into()
            }
        }
    }
}

async fn addresses_of(host: &HostPort) -> Result<Vec<SocketAddr>, ConnectError> {
    let HostPort { host: name, port } = host;
    match name {
        HostName::Ip(address) => Ok(vec![SocketAddr::new(*address, *port)]),
        HostName::Dns(name) => lookup_host((name.as_str(), *port))
            .await
            .map(Iterator::collect)
            .map_err(|source| ConnectError::Unresolved {
                host: host.clone(),
                source,
            }),
    }
}
