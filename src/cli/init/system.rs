//! The places of the service, and its user.

use std::io;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::template::Template;
use crate::platform::{
    SERVICE_FOLDER_HINT, SYSTEM_DEVICES_DIRECTORY, SYSTEM_LOG_FOLDER, ServiceDir,
    create_service_dir, system_folder,
};
use engage_wire::read_regular_file;

/// Why there is nowhere to put the files of the service.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to prepare `{}` for user `{USER}`", path.display())]
#[diagnostic(code("service-folder"), help("{SERVICE_FOLDER_HINT}"))]
pub(in crate::cli) struct ServiceFolderError {
    path: PathBuf,
    source: io::Error,
}

/// The folder of the configuration, which the service may read, and those of what devices send and of
/// its log, in which it may write. A configuration as it came with the package gives way to one with
/// the addresses of this computer.
pub(super) fn prepare_folder() -> Result<PathBuf, ServiceFolderError> {
    let folder = system_folder();
    prepare(&folder, ServiceDir::Readable)?;
    for writable in iter::once(SYSTEM_DEVICES_DIRECTORY).chain(SYSTEM_LOG_FOLDER) {
        prepare(&folder.join(writable), ServiceDir::Writable)?;
    }
    let config = folder.join("config.toml");
    let packaged = packaged_config();
    let found = read_regular_file("configuration file", &config, packaged.len());
    if found.is_ok_and(|found| *found == *packaged.as_bytes()) {
        std::fs::remove_file(config).map_err(|source| ServiceFolderError {
            path: folder.clone(),
            source,
        })?;
    }
    Ok(folder)
}

/// A directory for the service.
pub(in crate::cli) fn prepare(path: &Path, access: ServiceDir) -> Result<(), ServiceFolderError> {
    create_service_dir(path, USER, access).map_err(|source| ServiceFolderError {
        path: path.to_owned(),
        source,
    })
}

/// What a package brings.
fn packaged_config() -> String {
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let template = Template {
        command: "init",
        http: any(80),
        https: any(443),
        base_url: None,
        announced: "partner_CA.der".to_owned(),
        devices_directory: Some(SYSTEM_DEVICES_DIRECTORY),
    };
    template.text()
}

const USER: &str = "engage-host";

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_packages_configuration_is_what_init_would_write_without_an_address() {
        let packaged = include_str!("../../../packaging/linux/config.toml");
        assert_eq!(packaged, packaged_config());
    }
}
