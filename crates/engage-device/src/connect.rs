//! The TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use miette::Diagnostic;
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
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum ConnectError {
    /// No answer in time.
    #[error("{peer} did not answer in time")]
    #[diagnostic(code("connect-timeout"), help("{}", unreachable_hint(*peer)))]
    Deadline {
        /// The address that was tried.
        peer: SocketAddr,
    },
    /// The name has no address.
    #[error("{0} has no address")]
    #[diagnostic(code("no-address"), help("{GIVE_ADDRESS}"))]
    NoAddress(HostPort),
    /// The name service did not answer in time.
    #[error("the name of {0} was not resolved in time")]
    #[diagnostic(code("name-timeout"), help("{GIVE_ADDRESS}"))]
    NameDeadline(HostPort),
    /// The operating system refused.
    #[error("failed to connect to {peer}")]
    #[diagnostic(code("connect"), help("{}", refused_hint(*peer, source)))]
    Refused {
        /// The address that was tried last.
        peer: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The name does not resolve.
    #[error("failed to resolve the name of {host}")]
    #[diagnostic(code("unresolved-name"), help("{GIVE_ADDRESS}"))]
    Unresolved {
        /// The name that does not resolve, with its port.
        host: HostPort,
        /// The name service's reason.
        source: io::Error,
    },
}

fn refused_hint(peer: SocketAddr, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::ConnectionRefused {
        return format!(
            "nothing listens there: start the daemon, and see its `listening on` line; if it runs, it listens on \
             another address or port than {peer}"
        );
    }
    unreachable_hint(peer)
}

fn unreachable_hint(peer: SocketAddr) -> String {
    format!(
        "a firewall, a VLAN or a wrong route lies between: allow TCP port {} from here and from the devices' network",
        peer.port()
    )
}

const GIVE_ADDRESS: &str =
    "give the host's IP address instead: devices are usually told a bare address";

/// The first address of `host`.
pub async fn resolve(host: &HostPort, deadline: Instant) -> Result<SocketAddr, ConnectError> {
    let addresses = timeout_at(deadline, addresses_of(host))
        .await
        .map_err(|_| ConnectError::NameDeadline(host.clone()))??;
    let first = addresses.into_iter().next();
    first.ok_or_else(|| ConnectError::NoAddress(host.clone()))
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
