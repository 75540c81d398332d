//! Which process listens on a port.

use std::fmt;

use listeners::{Protocol, SocketState};

/// A process that listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PortHolder {
    /// Its process id.
    pub pid: u32,
    /// The name of its program, as the system lists it.
    pub name: String,
}

impl PortHolder {
    /// Who listens on a TCP port, on whichever address; `None` where that cannot be told: another
    /// user's process.
    pub(crate) fn find(port: u16) -> Option<Self> {
        let listeners = listeners::get_all().ok()?;
        let found = listeners.into_iter().find(|it| {
            it.protocol == Protocol::TCP
                && it.state == SocketState::Listen
                && it.socket.port() == port
        })?;
        Some(Self {
            pid: found.process.pid,
            name: found.process.name,
        })
    }

    /// Whether it is Windows itself, which listens for IIS and other programs (HTTP.sys).
    pub(crate) fn is_http_sys(&self) -> bool {
        cfg!(windows) && self.pid == WINDOWS_SYSTEM_PROCESS
    }
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name } = self;
        write!(f, "`{name}` (process {pid})")
    }
}

/// On every Windows.
const WINDOWS_SYSTEM_PROCESS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg_attr(windows, ignore = "wine does not tell whose a socket is")]
    #[test]
    fn a_socket_of_this_process_is_found_and_a_connection_is_none() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = std::net::TcpStream::connect(address).unwrap();
        let own = connection.local_addr().unwrap().port();
        let holder = PortHolder::find(address.port()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(PortHolder::find(own), None);
    }
}
