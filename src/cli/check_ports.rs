//! Whether `serve` could have the addresses that it is to listen on.

use std::io;

use crate::check::Others;
use crate::config::Config;
use crate::failure::ErrorEntry;
use crate::platform::PortHolder;
use crate::server::{Sockets, SocketsError};

/// What came of an attempt to listen.
pub(super) enum Ports {
    /// `serve` can have them, or a daemon that runs has them already.
    Usable,
    /// `serve` cannot have one of them.
    Refused(SocketsError),
    /// It depends on who has the port, or on who runs `serve`, which cannot be told.
    Unknown(ErrorEntry),
}

impl Ports {
    /// Listens on all of them for a moment.
    pub(super) fn try_bind(config: &Config) -> Self {
        // Sockets belong to a runtime, even if nothing is ever accepted from them.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else {
            return Self::Usable;
        };
        let _entered = runtime.enter();
        match Sockets::bind(config) {
            Ok(_) => Self::Usable,
            Err(error) => Self::from_error(error),
        }
    }

    /// As what stands against a start, or should be known.
    pub(super) fn into_others(self) -> Others {
        match self {
            Self::Usable => Others::default(),
            Self::Refused(error) => Others {
                refusals: vec![ErrorEntry::new(&error)],
                warnings: Vec::new(),
            },
            Self::Unknown(warning) => Others {
                refusals: Vec::new(),
                warnings: vec![warning],
            },
        }
    }

    fn from_error(error: SocketsError) -> Self {
        let SocketsError::Bind(unbound) = &error else {
            return Self::Refused(error);
        };
        match (unbound.kind(), unbound.holder()) {
            (io::ErrorKind::AddrInUse, Some(holder)) if is_service(holder) => Self::Usable,
            (io::ErrorKind::AddrInUse, None) | (io::ErrorKind::PermissionDenied, _) => {
                Self::Unknown(ErrorEntry::new(&error))
            }
            _ => Self::Refused(error),
        }
    }
}

/// Whether the port is held for the service: by a daemon that runs, or by systemd, which hands it
/// over. This process itself has it only if two listeners are to share it.
fn is_service(holder: &PortHolder) -> bool {
    let name = holder.name.strip_suffix(".exe").unwrap_or(&holder.name);
    holder.pid != std::process::id() && ["engage-host", "systemd"].contains(&name)
}
