//! The places of a package, and the user of its service.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use miette::Diagnostic;

use super::template::Template;
use crate::platform::{ServiceDir, create_service_dir};
use engage_wire::read_regular_file;

/// Why there is nowhere to put the files of the service.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to prepare `{path}` for user `{USER}`")]
#[diagnostic(
    code("service-folder"),
    help(
        "run this as root; `id {USER}` shows the user, which is made by \
         `systemd-sysusers` from packaging/systemd/engage-host.sysusers.conf"
    )
)]
pub(super) struct ServiceFolderError {
    path: &'static str,
    source: io::Error,
}

/// The folder of the configuration, which the service's group may read, and that of what devices
/// send, which is the service's own. A configuration as it came with the package gives way to one
/// with the addresses of this computer.
pub(super) fn prepare_folder() -> Result<&'static Path, ServiceFolderError> {
    for (path, access) in [
        (FOLDER, ServiceDir::Readable),
        (DEVICES_DIRECTORY, ServiceDir::Writable),
    ] {
        create_service_dir(Path::new(path), USER, access)
            .map_err(|source| ServiceFolderError { path, source })?;
    }
    let config = Path::new(FOLDER).join("config.toml");
    let packaged = packaged_config();
    let found = read_regular_file("configuration file", &config, packaged.len());
    if found.is_ok_and(|found| *found == *packaged.as_bytes()) {
        let removed = std::fs::remove_file(config);
        removed.map_err(|source| ServiceFolderError {
            path: FOLDER,
            source,
        })?;
    }
    Ok(Path::new(FOLDER))
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
        devices_directory: Some(DEVICES_DIRECTORY),
    };
    template.text()
}

const USER: &str = "engage-host";
const FOLDER: &str = "/etc/engage-host";

/// What the unit says as `StateDirectory=`.
pub(super) const DEVICES_DIRECTORY: &str = "/var/lib/engage-host";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_configuration_is_what_init_would_write_without_an_address() {
        let packaged = include_str!("../../../packaging/linux/config.toml");
        assert_eq!(packaged, packaged_config());
    }
}
