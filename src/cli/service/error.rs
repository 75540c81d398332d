//! Why the service is not as it was asked to be.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;

/// Why the service is not as it was asked to be.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("not allowed to {action}")]
    #[diagnostic(
        code("permission"),
        help("run this as an administrator: Start, type PowerShell, `Run as administrator`")
    )]
    NotAdministrator { action: &'static str },
    #[error("service `engage-host` is not installed")]
    #[diagnostic(
        code("not-installed"),
        help("`engage-host service install` installs it")
    )]
    NotInstalled,
    #[error("failed to {action}")]
    #[diagnostic(
        code("service"),
        help(
            "`sc.exe qc engage-host` and `sc.exe query engage-host` say what Windows knows of it"
        )
    )]
    Windows {
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("there is no configuration file `{}`", path.display())]
    #[diagnostic(
        code("no-config"),
        help(
            "`engage-host init --system --host ADDRESS` makes one, ADDRESS being how devices reach this computer"
        )
    )]
    NoConfig { path: PathBuf },
    #[error("the service did not start (exit code {exit_code})")]
    #[diagnostic(
        code("not-started"),
        help(
            "the newest file in the folder `logs` beside its configuration says why, and so does the event viewer: Windows Logs, Application, source `engage-host`"
        )
    )]
    NotStarted { exit_code: u32 },
    #[error("the service is still {state} after {seconds} s")]
    #[diagnostic(
        code("still-pending"),
        help("`engage-host service status` says how it goes on")
    )]
    StillPending { state: &'static str, seconds: u64 },
    #[error("Windows did not start this as a service")]
    #[diagnostic(
        code("no-service"),
        help(
            "`engage-host service start` starts it; in a console, `engage-host serve --config FILE` does"
        )
    )]
    NotFromWindows(#[source] io::Error),
}

impl ServiceError {
    /// Of what Windows says to an action.
    pub(super) fn new(action: &'static str) -> impl FnOnce(windows_service::Error) -> Self {
        move |error| {
            let source = os_error(error);
            match source.raw_os_error() {
                Some(ERROR_ACCESS_DENIED) => Self::NotAdministrator { action },
                Some(ERROR_SERVICE_DOES_NOT_EXIST) => Self::NotInstalled,
                _ => Self::Windows { action, source },
            }
        }
    }
}

/// Without the library's words around it.
pub(super) fn os_error(error: windows_service::Error) -> io::Error {
    match error {
        windows_service::Error::Winapi(source) => source,
        error => io::Error::other(error),
    }
}

/// Of Windows' `winerror.h`.
const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
