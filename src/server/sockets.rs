//! Listening sockets, bound before anything is served on them.

use std::io;
use std::net::{SocketAddr, TcpListener};

use miette::Diagnostic;
use tokio::net::TcpSocket;
use tracing::warn;

use super::descriptors::{Descriptors, TooFewDescriptors};
use super::passed_sockets::{PassedSocketError, PassedSockets};
use crate::config::{AdminExposed, AdminListen, Config};
use crate::platform::{LIST_LISTENERS, PortHolder, accept_ipv4_too};
use engage_wire::diagnostic::one_line;

/// All listening sockets. Connections queue in the kernel until the server accepts them.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) http: ListeningSocket,
    pub(crate) https: ListeningSocket,
    pub(crate) admin: Option<ListeningSocket>,
    pub(crate) descriptors: Descriptors,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    pub(super) socket: TcpListener,
    /// Whether it outlives this process, which a service manager passed it to.
    pub(super) is_passed: bool,
}

impl Sockets {
    /// Takes the sockets that a service manager passes, and binds the addresses of `config` for the
    /// others. Raises the descriptor limit. Must be called inside the runtime.
    pub(crate) fn bind(config: &Config) -> Result<Self, SocketsError> {
        let descriptors = Descriptors::raise()?;
        let PassedSockets { http, https, admin } = PassedSockets::take(config)?;
        let passed = |socket| ListeningSocket {
            socket,
            is_passed: true,
        };
        let or_bound = |socket: Option<TcpListener>, name, address| {
            socket.map_or_else(|| listen(name, address), |socket| Ok(passed(socket)))
        };
        let http = or_bound(http, "http", config.http.listen)?;
        let https = or_bound(https, "https", config.https.listen)?;
        let admin = admin.map_or_else(|| bind_admin(config), |socket| Ok(Some(passed(socket))))?;
        if let Some(admin) = &admin {
            check_exposed(config, admin)?;
        }
        Ok(Self {
            http,
            https,
            admin,
            descriptors,
        })
    }

    /// The plain listener's real address.
    pub(crate) fn http_address(&self) -> io::Result<SocketAddr> {
        self.http.socket.local_addr()
    }
}

fn bind_admin(config: &Config) -> Result<Option<ListeningSocket>, BindError> {
    Ok(match config.admin.listen {
        AdminListen::Default => listen("admin", AdminListen::DEFAULT_ADDRESS.into())
            .inspect_err(|error| warn!("no admin listener: {}", one_line(error)))
            .ok(),
        AdminListen::Address(address) => Some(listen("admin", address)?),
        AdminListen::Off => None,
    })
}

/// Refuses clear text where others can read it, unless that is meant. Where a socket is passed, the
/// configuration does not say where it listens.
fn check_exposed(config: &Config, admin: &ListeningSocket) -> Result<(), SocketsError> {
    let Ok(address) = admin.socket.local_addr() else {
        return Ok(());
    };
    if !config.admin.is_exposed_at(address) {
        return Ok(());
    }
    if !config.admin.insecure {
        return Err(AdminExposed(address).into());
    }
    warn!(
        listener = "admin",
        "the admin listener is in clear text at {address}: whoever is on the way can read tokens; `[admin] insecure = true` allows it"
    );
    Ok(())
}

/// The daemon has not all sockets that it is to serve on.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum SocketsError {
    /// There are not descriptors enough.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// What a service manager passes is something else than the configuration says.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Passed(#[from] PassedSocketError),
    /// An address cannot be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bind(#[from] BindError),
    /// Others could read what the admin listener says.
    #[error(transparent)]
    #[diagnostic(transparent)]
    AdminExposed(#[from] AdminExposed),
}

/// A listener's address cannot be had.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to listen on {listener}://{address}")]
#[diagnostic(code("cannot-listen"), help("{}", self.remedy()))]
pub(crate) struct BindError {
    listener: &'static str,
    address: SocketAddr,
    /// Who has the port, where that is known.
    holder: Option<PortHolder>,
    source: io::Error,
}

impl BindError {
    fn new(listener: &'static str, address: SocketAddr, source: io::Error) -> Self {
        // Windows says that it is forbidden where a socket of HTTP.sys has the port.
        let is_taken = match source.kind() {
            io::ErrorKind::AddrInUse => true,
            io::ErrorKind::PermissionDenied => cfg!(windows),
            _ => false,
        };
        Self {
            listener,
            address,
            holder: is_taken.then(|| PortHolder::find(address.port())).flatten(),
            source,
        }
    }

    /// The system's reason.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Who has the port, where that is known.
    pub(crate) fn holder(&self) -> Option<&PortHolder> {
        self.holder.as_ref()
    }

    fn remedy(&self) -> String {
        let port = self.address.port();
        let option = match self.listener {
            "admin" => "`[admin] listen`".to_owned(),
            listener => format!("`--{listener} ADDR`"),
        };
        match (self.kind(), &self.holder) {
            (_, Some(holder)) if holder.is_http_sys() => format!(
                "HTTP.sys, the web server of Windows, has port {port} for IIS or another program: \
                 `netsh http show servicestate` says for which; stop IIS (`iisreset /stop`), or \
                 choose another address with {option}"
            ),
            (_, Some(holder)) => format!(
                "{holder} has port {port}; stop it, or choose another address with {option}"
            ),
            (io::ErrorKind::AddrInUse, None) => format!(
                "another program has port {port}; find it with `{LIST_LISTENERS}`, or choose another address with {option}"
            ),
            (io::ErrorKind::PermissionDenied, None) if cfg!(windows) => format!(
                "Windows keeps port {port} for something else, as `netsh interface ipv4 show \
                 excludedportrange protocol=tcp` may show; choose another address with {option}"
            ),
            (io::ErrorKind::PermissionDenied, _) => format!(
                "ports below 1024 need a privilege: run under the systemd unit, allow it with \
                 `setcap cap_net_bind_service=+ep engage-host`, or choose port {} with {option}",
                8000 + u32::from(port)
            ),
            (io::ErrorKind::AddrNotAvailable, _) => {
                "no interface of this computer has that address; 0.0.0.0 listens on all".into()
            }
            _ => format!("choose another address with {option}"),
        }
    }
}

fn listen(listener: &'static str, address: SocketAddr) -> Result<ListeningSocket, BindError> {
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
        // Accepted connections inherit it: an answer never waits for the acknowledgement of a TLS
        // ticket that went out before it.
        socket.set_nodelay(true)?;
        if address.is_ipv6() {
            accept_ipv4_too(&socket)?;
        }
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    match bind() {
        Ok(socket) => Ok(ListeningSocket {
            socket,
            is_passed: false,
        }),
        Err(source) => Err(BindError::new(listener, address, source)),
    }
}

/// Connections that may wait to be accepted: after a power cut a whole building calls at once.
/// The kernel lowers it to its own limit (`net.core.somaxconn`).
pub(super) const BACKLOG: u32 = 4096;

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    /// wine, which runs the tests, does not know whose a port is.
    #[test]
    fn a_port_of_http_sys_is_told_by_its_name() {
        let error = BindError {
            listener: "http",
            address: SocketAddr::from(([0, 0, 0, 0], 80)),
            holder: Some(PortHolder {
                pid: 4,
                name: "System".to_owned(),
            }),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let remedy = error.remedy();
        assert!(
            remedy.contains("HTTP.sys, the web server of Windows, has port 80 for IIS"),
            "{remedy}"
        );
    }
}
