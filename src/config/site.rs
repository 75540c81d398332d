//! One site, as a `[[site]]` or a file of `sites_dir` says it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{BaseUrl, ConfigError, make_absolute, refuse_secrets};
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::site::SiteName;

/// One site.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// Its label.
    pub name: SiteName,
    /// The file that holds its site key.
    pub key_file: PathBuf,
    /// The DER file that its devices are told to install.
    pub certificate: PathBuf,
    /// Host header values that select it.
    #[serde(default)]
    pub hosts: SiteHosts,
    /// Serial numbers of its devices, which select it before the Host header does.
    #[serde(default, deserialize_with = "serials")]
    pub serials: Vec<SerialNumber>,
    /// A file with more of them.
    pub serials_file: Option<PathBuf>,
    /// How its devices reach the plain listener, if not as those of other sites do.
    pub base_url: Option<BaseUrl>,
    /// The file in which it stands.
    #[serde(skip)]
    pub file: PathBuf,
}

impl SiteConfig {
    /// Checks the text of a file of `sites_dir`. Relative paths start from `folder`, the configuration
    /// file's, so that a site reads the same here and there.
    pub fn parse(file: &Path, folder: &Path, text: &str) -> Result<Self, ConfigError> {
        refuse_secrets(file, text)?;
        let mut site: Self =
            toml::from_str(text).map_err(|source| ConfigError::syntax(file, text, source))?;
        file.clone_into(&mut site.file);
        for path in site.paths_mut() {
            make_absolute(file, text, folder, path)?;
        }
        Ok(site)
    }

    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.key_file, &self.certificate].into_iter();
        files.chain(&self.serials_file).map(PathBuf::as_path)
    }

    /// Every path that it names.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.key_file, &mut self.certificate]
            .into_iter()
            .chain(&mut self.serials_file)
    }
}

/// Host header values that select a site. Left out, it is the default site; an empty list leaves its
/// serial numbers to select it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(from = "Vec<HostName>")]
pub struct SiteHosts {
    names: Vec<HostName>,
    is_default: bool,
}

impl SiteHosts {
    /// Of a text that may not be whole.
    pub(super) fn recovered(names: Vec<HostName>, is_default: bool) -> Self {
        Self { names, is_default }
    }

    /// Whether requests come here that no other site is asked for by.
    pub(crate) fn is_default(&self) -> bool {
        self.is_default
    }

    /// What only one site can have: each host, or without one the place of the default site.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Option<&HostName>> {
        let default_site = self.is_default.then_some(None);
        self.names.iter().map(Some).chain(default_site)
    }
}

impl Default for SiteHosts {
    fn default() -> Self {
        Self::recovered(Vec::new(), true)
    }
}

impl From<Vec<HostName>> for SiteHosts {
    fn from(names: Vec<HostName>) -> Self {
        Self::recovered(names, false)
    }
}

impl Deref for SiteHosts {
    type Target = [HostName];

    fn deref(&self) -> &[HostName] {
        &self.names
    }
}

/// Shared, because a reload keeps those that have not changed.
pub(super) fn shared<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Arc<SiteConfig>>, D::Error> {
    let sites = Vec::<SiteConfig>::deserialize(deserializer)?;
    Ok(sites.into_iter().map(Arc::new).collect())
}

fn serials<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SerialNumber>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?.into_iter();
    let serials = texts.map(|text| {
        let serial = SerialNumber::from_hex(text.as_bytes());
        serial.ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no serial number; allowed: 16 or 32 hexadecimal digits"
            ))
        })
    });
    serials.collect()
}
