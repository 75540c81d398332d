//! Sockets, bound before anything is served on them.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

use crate::config::Config;
use crate::connection::ListenerKind;
use crate::report::Explain;

/// Both listening sockets. Connections queue in the kernel until [`super::run`] accepts them.
#[derive(Debug)]
pub struct Bound {
    pub(super) http: TcpListener,
    pub(super) https: TcpListener,
}

impl Bound {
    /// Binds both addresses of `config`; must be called inside the runtime.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        Ok(Self {
            http: listen(ListenerKind::Http, config.http.listen)?,
            https: listen(ListenerKind::Https, config.https.listen)?,
        })
    }

    /// The plain listener's real address.
    pub fn http_address(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }
}

/// A listener's address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {listener}://{address}")]
pub struct BindError {
    listener: ListenerKind,
    address: SocketAddr,
    source: io::Error,
}

impl Explain for BindError {
    fn code(&self) -> &'static str {
        "cannot-listen"
    }

    fn hint(&self) -> String {
        let option = format!("--{}", self.listener);
        match self.source.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another program has port {}; find it with `ss -ltnp`, or choose another address with `{option} ADDR`",
                self.address.port()
            ),
            io::ErrorKind::PermissionDenied => format!(
                "ports below 1024 need a privilege: run under the systemd unit, allow it with \
                 `setcap cap_net_bind_service=+ep engage-host`, or try `{option} 127.0.0.1:{}`",
                8000 + u32::from(self.address.port())
            ),
            io::ErrorKind::AddrNotAvailable => {
                "no interface of this computer has that address; 0.0.0.0 listens on all".into()
            }
            _ => format!("choose another address with `{option} ADDR`"),
        }
    }
}

fn listen(listener: ListenerKind, address: SocketAddr) -> Result<TcpListener, BindError> {
    let bind = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A restarted daemon must not wait for old connections to leave TIME_WAIT. On Windows the
        // same option would let a second process steal the port.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    bind().map_err(|source| BindError {
        listener,
        address,
        source,
    })
}

/// Connections that may wait to be accepted: after a power cut a whole building calls at once.
/// The kernel lowers it to its own limit (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
