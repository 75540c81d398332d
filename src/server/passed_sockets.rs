//! Listening sockets that a service manager passes (`sd_listen_fds(3)`), held against the configuration.

use std::env;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use listenfd::ListenFd;
use miette::Diagnostic;
use tracing::warn;

use crate::config::{AdminListen, Config};
use crate::platform::{accepts_ipv4, is_listening};

/// The sockets that are passed. What is missing is bound.
#[derive(Debug, Default)]
pub(super) struct PassedSockets {
    pub(super) http: Option<TcpListener>,
    pub(super) https: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
}

impl PassedSockets {
    /// Takes them by their names (`FileDescriptorName=`), or plain listener first where none is the
    /// name of a listener. Warns of one that listens elsewhere than `config` says.
    pub(super) fn take(config: &Config) -> Result<Self, PassedSocketError> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let mut sockets = Self::default();
        for (at, role) in roles(passed.len(), &names)?.into_iter().enumerate() {
            let unusable = |source| PassedSocketError::Unusable { role, source };
            let socket = passed.take_tcp_listener(at).map_err(unusable)?;
            let Some(socket) = socket else { continue };
            if !is_listening(&socket).map_err(unusable)? {
                return Err(unusable(io::Error::other("it does not listen")));
            }
            compare(config, role, &socket)?;
            *match role {
                "http" => &mut sockets.http,
                "https" => &mut sockets.https,
                _ => &mut sockets.admin,
            } = Some(socket);
        }
        Ok(sockets)
    }
}

/// A socket is passed that no listener can be served on.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum PassedSocketError {
    /// Nobody says what they are for.
    #[error(
        "the service manager passes {found} sockets without names; at most 2 are taken, the plain listener first"
    )]
    #[diagnostic(
        code("passed-sockets"),
        help("give each its own socket unit, with `FileDescriptorName=` http, https or admin")
    )]
    Unnamed {
        /// How many sockets were passed.
        found: usize,
    },
    /// Some are named for listeners, and this one is not, or for one that another has.
    #[error(
        "socket {number} of those that the service manager passes is named `{name}`; allowed: http, https and admin, once each"
    )]
    #[diagnostic(
        code("passed-sockets"),
        help(
            "correct `FileDescriptorName=` in its socket unit, or leave it away from all of them"
        )
    )]
    Name {
        /// Counted from 1.
        number: usize,
        /// As it is.
        name: String,
    },
    /// Something else than a TCP socket that listens.
    #[error("the {role} socket that the service manager passes is not a TCP socket that listens")]
    #[diagnostic(
        code("passed-sockets"),
        help("the socket unit is to have `ListenStream=` with a port, and not `Accept=yes`")
    )]
    Unusable {
        /// The listener that it is for.
        role: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// It is on the port of another listener.
    #[error(
        "the {role} socket that the service manager passes listens on {found}, the port of `[{other}] listen`; `[{role}] listen` is {configured}"
    )]
    #[diagnostic(
        code("passed-sockets"),
        help(
            "put the `ListenStream=` of the plain listener first, or name the sockets with `FileDescriptorName=`"
        )
    )]
    OtherListener {
        /// The listener that it is for.
        role: &'static str,
        /// Where it listens.
        found: SocketAddr,
        /// Whose port that is.
        other: &'static str,
        /// Where it should listen.
        configured: SocketAddr,
    },
    /// The listener that it is for is switched off.
    #[error("an admin socket is passed by the service manager, and `[admin] listen` is \"\"")]
    #[diagnostic(
        code("passed-sockets"),
        help("remove the socket unit, or give `[admin] listen` its address")
    )]
    AdminOff,
}

/// What each of `count` sockets is for; `names` are theirs, with colons in between.
fn roles(count: usize, names: &str) -> Result<Vec<&'static str>, PassedSocketError> {
    let role = |name: &str| ROLES.into_iter().find(|role| *role == name);
    if !names.split(':').any(|name| role(name).is_some()) {
        // systemd calls them by their unit's name.
        return match ROLES.get(..count) {
            Some(roles) if count <= 2 => Ok(roles.to_vec()),
            _ => Err(PassedSocketError::Unnamed { found: count }),
        };
    }
    let mut roles = Vec::new();
    let names = names.split(':').chain(std::iter::repeat(""));
    for (at, name) in names.take(count).enumerate() {
        let role = role(name).filter(|role| !roles.contains(role));
        roles.push(role.ok_or_else(|| PassedSocketError::Name {
            number: at + 1,
            name: name.to_owned(),
        })?);
    }
    Ok(roles)
}

/// Refuses what would answer on another listener's port, and warns of any other difference.
fn compare(
    config: &Config,
    role: &'static str,
    socket: &TcpListener,
) -> Result<(), PassedSocketError> {
    let found =
        (socket.local_addr()).map_err(|source| PassedSocketError::Unusable { role, source })?;
    let admin = match config.admin.listen {
        AdminListen::Default => Some(AdminListen::DEFAULT_ADDRESS.into()),
        AdminListen::Address(address) => Some(address),
        AdminListen::Off => None,
    };
    let listeners = [
        ("http", Some(config.http.listen)),
        ("https", Some(config.https.listen)),
        ("admin", admin),
    ];
    let own = listeners.into_iter().find(|(name, _)| *name == role);
    let Some(configured) = own.and_then(|(_, address)| address) else {
        return Err(PassedSocketError::AdminOff);
    };
    let is_other = |(_, address): &(_, Option<SocketAddr>)| {
        address.is_some_and(|it| it.port() == found.port() && found.port() != configured.port())
    };
    if let Some((other, _)) = listeners.into_iter().find(is_other) {
        return Err(PassedSocketError::OtherListener {
            role,
            found,
            other,
            configured,
        });
    }
    let takes_ipv4 = accepts_ipv4(socket);
    if !serves(found, takes_ipv4, configured) {
        warn!(
            listener = role,
            "the {role} socket that the service manager passes listens on {found}, and not on {configured} as configured; \
             hint: change its `ListenStream=`, or `[{role}] listen` and `--{role}`"
        );
    }
    if found.ip() == Ipv6Addr::UNSPECIFIED && !takes_ipv4 {
        warn!(
            listener = role,
            "the {role} socket that the service manager passes takes no IPv4; hint: `BindIPv6Only=both` in its unit"
        );
    }
    Ok(())
}

/// Whether whoever calls `configured` reaches `found`.
fn serves(found: SocketAddr, takes_ipv4: bool, configured: SocketAddr) -> bool {
    let is_port = configured.port() == 0 || configured.port() == found.port();
    let is_any = found.ip() == Ipv6Addr::UNSPECIFIED && takes_ipv4;
    is_port && (found.ip() == configured.ip() || is_any && configured.ip().is_unspecified())
}

/// In the order in which they are passed without names.
const ROLES: [&str; 3] = ["http", "https", "admin"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_taken_by_their_order_or_by_names() {
        for (count, names, expected) in [
            (0, "", &[][..]),
            (1, "", &["http"]),
            (
                2,
                "engage-host.socket:engage-host.socket",
                &["http", "https"],
            ),
            (3, "admin:https:http", &["admin", "https", "http"]),
            (1, "https", &["https"]),
        ] {
            assert_eq!(roles(count, names).unwrap(), expected, "{names}");
        }
        for (count, names) in [
            (3, ""),
            (3, "a:b:c"),
            (2, "http:http"),
            (2, "http"),
            (2, "http:Https"),
        ] {
            assert!(roles(count, names).is_err(), "{names}");
        }
    }
}
