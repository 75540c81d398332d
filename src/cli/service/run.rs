//! The daemon as the service that Windows starts.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use tracing::error;
use windows_service::service_dispatcher;

use super::super::serve::{Daemon, FLUSH_TIMEOUT};
use super::error::{ServiceError, os_error};
use crate::config::{ConfigSource, ListenOverrides};
use crate::failure::Failure;
use crate::platform::SYSTEM_LOG_FOLDER;
use crate::platform::service_manager::{self, SERVICE_NAME};
use crate::telemetry::{LogOutput, flush_log};
use engage_wire::diagnostic::{code, one_line};

/// Serves until the service control manager stops it.
pub(super) fn run(config: PathBuf) -> Result<ExitCode, Failure> {
    let _ = CONFIG.set(config);
    service_dispatcher::start(SERVICE_NAME, service_main)
        .map_err(|error| ServiceError::NotFromWindows(os_error(error)))?;
    Ok(ExitCode::SUCCESS)
}

/// Where the service of this configuration logs.
pub(super) fn log_folder(config: &Path) -> PathBuf {
    let folder = config.parent().unwrap_or(config);
    folder.join(SYSTEM_LOG_FOLDER.unwrap_or_default())
}

/// Windows calls it on a thread of its own. Its arguments, those of `sc start`, say nothing.
extern "system" fn service_main(_count: u32, _arguments: *mut *mut u16) {
    let Some(path) = CONFIG.get() else {
        return;
    };
    // Where this fails there is nobody who could be told: Windows says that the service did not answer.
    let Ok(stop) = service_manager::register() else {
        return;
    };
    let daemon = Daemon {
        source: ConfigSource {
            path: path.clone(),
            listen: ListenOverrides::default(),
        },
        strict: false,
        log: LogOutput::Service(log_folder(path)),
    };
    let served = daemon.run(move || -> io::Result<_> {
        tokio::spawn(service_manager::report_progress());
        Ok(stop)
    });
    if let Err(failure) = &served {
        for error in failure.errors() {
            error!(code = %code(error), "not served: {}", one_line(error));
        }
    }
    flush_log(FLUSH_TIMEOUT);
    service_manager::stopped(served.is_err());
}

static CONFIG: OnceLock<PathBuf> = OnceLock::new();
