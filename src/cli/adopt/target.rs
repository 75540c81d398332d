//! The new folder: its configuration and every file in it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::devices::{DeviceDatabase, DeviceFiles};
use super::exposed::AuthorityKey;
use super::old_server::OldServer;
use crate::cli::init::certificates::pem;
use crate::cli::init::layout::folder;
use crate::cli::init::template::Template;
use crate::cli::init::token_file;
use crate::config::{Config, ListenOverrides};
use crate::failure::Failure;
use crate::new_files::{NewFile, Readers};
use engage_wire::Text;
use engage_wire::limits::MAX_FILE_BYTES;

/// The new folder.
pub(super) struct Target {
    pub(super) config: Config,
    config_text: String,
    pub(super) data_dir: PathBuf,
}

impl Target {
    pub(super) fn new(
        config_path: &Path,
        server: &OldServer,
        listen: &ListenOverrides,
    ) -> Result<Self, Failure> {
        let any = |port: u16| (Ipv4Addr::UNSPECIFIED, port).into();
        let template = Template {
            command: "adopt",
            http: listen
                .http
                .unwrap_or_else(|| any(server.http_port.unwrap_or(80))),
            https: listen
                .https
                .unwrap_or_else(|| any(server.https_port.unwrap_or(443))),
            base_url: Some(server.base_url.clone()),
            announced: file_name(&server.anchor_path),
            devices_directory: None,
        };
        let config_text = template.text();
        Ok(Self {
            config: Config::parse(config_path, &config_text)?,
            config_text,
            data_dir: folder(config_path).join("Engage_Data"),
        })
    }

    /// All files, the configuration last: where one is found, everything that it names was made
    /// before it.
    pub(super) fn files(
        &self,
        server: &OldServer,
        site_key: Zeroizing<Vec<u8>>,
        authorities: &[AuthorityKey],
        devices: &DeviceFiles,
    ) -> Result<Vec<NewFile>, Failure> {
        let mut files = self.served_files(server, site_key);
        for authority in authorities {
            files.push(self.authority_file(authority)?);
        }
        files.extend(self.device_files(devices));
        if let Some(path) = &self.config.admin.token_file
            // By now it may have tokens.
            && !path.exists()
        {
            files.push(token_file::new_file(path));
        }
        let config = self.config_text.clone().into_bytes();
        let path = self.config.path.clone();
        files.push(NewFile::new(
            path,
            config,
            "configuration",
            Readers::Everybody,
        ));
        Ok(files)
    }

    /// What devices are told and shown.
    fn served_files(&self, server: &OldServer, site_key: Zeroizing<Vec<u8>>) -> Vec<NewFile> {
        let https = &self.config.https;
        let site = &self.config.sites[0];
        let mut files = vec![
            secret(&site.key_file, site_key, "site key"),
            secret(&https.private_key, server.key_pem.clone(), "server key"),
            secret(
                &https.certificate,
                Zeroizing::new(pem(&server.chain)),
                "server certificate and its issuers",
            ),
            NewFile::certificate(
                &site.certificate,
                &server.anchor,
                "announced certificate, for devices",
            ),
        ];
        let certificates_dir = folder(&site.certificate);
        for (path, certificate) in server.other_certificates() {
            let path = certificates_dir.join(file_name(&path));
            files.push(NewFile::certificate(&path, &certificate, "certificate"));
        }
        files
    }

    fn authority_file(&self, authority: &AuthorityKey) -> Result<NewFile, Failure> {
        let path = folder(&self.config.https.private_key).join(authority.name);
        let contents = Text::read("private key", &authority.path, MAX_FILE_BYTES)?;
        let contents = contents.into_bytes();
        Ok(NewFile::new(path, contents, authority.what, Readers::Owner))
    }

    fn device_files(&self, devices: &DeviceFiles) -> impl Iterator<Item = NewFile> {
        devices.adopted.iter().map(|database| {
            let DeviceDatabase {
                device, contents, ..
            } = database;
            let path = self.data_dir.join(device.to_string()).join("db.json");
            secret(&path, contents.clone(), "database of a device")
        })
    }
}

/// For the daemon alone.
fn secret(path: &Path, contents: Zeroizing<Vec<u8>>, what: &'static str) -> NewFile {
    NewFile::new(path.to_owned(), contents, what, Readers::Daemon(None))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
