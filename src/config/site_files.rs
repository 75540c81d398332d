//! The files of `sites_dir`: each is one site, and its faults concern that one only.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{BaseUrl, ConfigError, SiteConfig, SiteHosts};
use crate::file_version::FileVersion;
use engage_store::SerialNumber;
use engage_wire::site::SiteName;
use engage_wire::{Text, read_regular_file};

/// The files of a folder, as they were read last, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiteFiles(BTreeMap<OsString, SiteFile>);

#[derive(Clone, Debug)]
struct SiteFile {
    version: FileVersion,
    /// As it was read when that could be done last.
    usable: Option<Arc<SiteConfig>>,
    /// Why that is not now.
    broken: Option<Arc<BrokenSite>>,
}

/// A file that cannot be used, and what is known of its site: as it was when it could, else as far as
/// the text says.
#[derive(Debug)]
pub struct BrokenSite {
    /// Its label; the file's name where that is not known.
    pub name: SiteName,
    /// Where to look.
    pub file: PathBuf,
    /// As [`SiteConfig`] has them.
    pub hosts: SiteHosts,
    /// As [`SiteConfig`] has them.
    pub serials: Vec<SerialNumber>,
    /// As [`SiteConfig`] has it.
    pub serials_file: Option<PathBuf>,
    /// As [`SiteConfig`] has it.
    pub base_url: Option<BaseUrl>,
    /// What is wrong with it.
    pub error: Arc<ConfigError>,
}

impl SiteFiles {
    /// Reads what has changed since `last`. Relative paths in files start from `folder`.
    pub(crate) fn read(sites_dir: &Path, folder: &Path, last: &Self) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::SitesDir {
            path: sites_dir.to_owned(),
            source,
        };
        let mut names = Vec::with_capacity(last.0.len());
        // `fs_err` would name the path again, which the message has said.
        let entries = std::fs::read_dir(sites_dir).map_err(unreadable)?;
        for (number, entry) in entries.enumerate() {
            if number == MAX_ENTRIES {
                return Err(ConfigError::TooManySites {
                    path: sites_dir.to_owned(),
                    allowed: MAX_ENTRIES,
                });
            }
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if is_site_file(&name) {
                names.push((name, entry));
            }
        }
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut last = last.0.iter().peekable();
        let files = names.into_iter().filter_map(|(name, entry)| {
            // Both are sorted.
            while last.next_if(|(before, _)| **before < name).is_some() {}
            let last = last.next_if(|(same, _)| **same == name);
            // One that has gone since the folder was listed is no site any more.
            let file = SiteFile::read(&entry, folder, last.map(|(_, file)| file))?;
            Some((name, file))
        });
        Ok(Self(files.collect()))
    }

    /// Those that can be used.
    pub(crate) fn sites(&self) -> impl Iterator<Item = &Arc<SiteConfig>> {
        let files = self.0.values().filter(|file| file.broken.is_none());
        files.filter_map(|file| file.usable.as_ref())
    }

    /// Those that cannot.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &BrokenSite> {
        self.0.values().filter_map(|file| file.broken.as_deref())
    }

    /// What tells them from others.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&OsString, FileVersion)> {
        self.0.iter().map(|(name, file)| (name, file.version))
    }
}

impl SiteFile {
    fn read(entry: &std::fs::DirEntry, folder: &Path, last: Option<&Self>) -> Option<Self> {
        let version = match FileVersion::from_entry(entry) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            version => version.ok(),
        };
        let version = version.unwrap_or(FileVersion::UNKNOWN);
        if let Some(last) = last.filter(|last| version.is_as(last.version)) {
            return Some(last.clone());
        }
        let path = entry.path();
        let read = match read_regular_file("site file", &path, MAX_FILE_BYTES) {
            Ok(bytes) => parse_site_file(&path, folder, &bytes).map_err(|broken| {
                if leads_outside(&path) {
                    let error = ConfigError::ForeignSiteFile { path: path.clone() };
                    Box::new(BrokenSite::from_text(path.clone(), folder, error, ""))
                } else {
                    broken
                }
            }),
            Err(source) => {
                let error = ConfigError::SiteFile { source };
                Err(Box::new(BrokenSite::from_text(path, folder, error, "")))
            }
        };
        let (usable, broken) = match read {
            Ok(site) => (Some(Arc::new(site)), None),
            Err(broken) => {
                let usable = last.and_then(|last| last.usable.clone());
                let broken = match &usable {
                    Some(site) => BrokenSite::from_last(site, Arc::clone(&broken.error)),
                    None => *broken,
                };
                (usable, Some(Arc::new(broken)))
            }
        };
        Some(Self {
            version,
            usable,
            broken,
        })
    }
}

/// Checks the contents of a file of `sites_dir`: its site, or what can still be read of it. Relative
/// paths start from `folder`.
pub fn parse_site_file(
    path: &Path,
    folder: &Path,
    contents: &[u8],
) -> Result<SiteConfig, Box<BrokenSite>> {
    let broken =
        |error, text| Box::new(BrokenSite::from_text(path.to_owned(), folder, error, text));
    let not_text = |problem| broken(ConfigError::not_text(path, problem), "");
    let text = Text::decode(contents).map_err(not_text)?;
    let text = text.to_str().map_err(not_text)?;
    SiteConfig::parse(path, folder, text).map_err(|error| broken(error, text))
}

impl BrokenSite {
    fn from_last(site: &SiteConfig, error: Arc<ConfigError>) -> Self {
        let site = site.clone();
        Self {
            name: site.name,
            file: site.file,
            hosts: site.hosts,
            serials: site.serials,
            serials_file: site.serials_file,
            base_url: site.base_url,
            error,
        }
    }

    /// What can still be read in it. A name may be a key in the wrong place.
    fn from_text(file: PathBuf, folder: &Path, error: ConfigError, text: &str) -> Self {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let (table, errors) = DeTable::parse_recoverable(text);
        let is_whole = errors.is_empty() && !table.get_ref().is_empty();
        let value = |key: &str| table.get_ref().get(key).map(Spanned::get_ref);
        let text = |key: &str| value(key).and_then(DeValue::as_str);
        let list = |key: &str| {
            let values = value(key).and_then(DeValue::as_array).into_iter().flatten();
            values.filter_map(|it| it.get_ref().as_str())
        };
        let name = text("name").filter(|_| !matches!(error, ConfigError::HoldsKey { .. }));
        let name = name.and_then(|name| SiteName::try_from(name.to_owned()).ok());
        Self {
            name: name.unwrap_or_else(|| SiteName::from_lossy(&stem)),
            hosts: SiteHosts::recovered(
                list("hosts").filter_map(|it| it.parse().ok()).collect(),
                is_whole && value("hosts").is_none(),
            ),
            serials: list("serials")
                .filter_map(|it| SerialNumber::from_hex(it.as_bytes()))
                .collect(),
            serials_file: text("serials_file").map(|path| folder.join(path)),
            base_url: None,
            error: Arc::new(error),
            file,
        }
    }
}

/// Whether a file is reached by a link out of its folder. Those of Kubernetes stay within.
fn leads_outside(path: &Path) -> bool {
    let is_within = || {
        let folder = path.parent()?.canonicalize().ok()?;
        Some(path.canonicalize().ok()?.starts_with(folder))
    };
    !is_within().unwrap_or(false)
}

/// Editors and our own commands write hidden files beside it.
pub(crate) fn is_site_file(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

/// Far more than any installation has sites; a bound against a wrong folder.
const MAX_ENTRIES: usize = 200_000;

/// Room for 20,000 serial numbers.
const MAX_FILE_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = "name = \"Hall\"\nhosts = [\"hall.example.com\", \"10.0.0.2\"]\nkey_file = \"pki/hall.key\"\n\
                         serials = [\"0123456789abcdef\"]\ncertificate = \"hall.der\"\n";

    fn parsed(text: &str) -> Result<SiteConfig, Box<BrokenSite>> {
        let folder = Path::new(FOLDER);
        parse_site_file(&folder.join("sites/x.toml"), folder, text.as_bytes())
    }

    const FOLDER: &str = if cfg!(windows) { r"C:\e" } else { "/etc/e" };

    #[test]
    fn what_can_still_be_read_of_a_broken_file_is_known_and_a_key_is_no_name() {
        assert_eq!(
            parsed(WHOLE).unwrap().key_file,
            Path::new(FOLDER).join("pki/hall.key")
        );
        for broken in [
            WHOLE.replace("certificate", "certificat"),
            WHOLE.replace("= \"hall.der\"", ""),
        ] {
            let broken = parsed(&broken).unwrap_err();
            assert_eq!(
                (
                    broken.name.as_str(),
                    broken.hosts.len(),
                    broken.serials.len()
                ),
                ("Hall", 2, 1)
            );
            assert!(!broken.hosts.is_default());
        }
        let no_hosts = parsed("name = \"Hall\"\nwombat = 1\n").unwrap_err();
        assert!(no_hosts.hosts.is_default());
        let key = "Hsn5pp3ryc1Y9nbUCPiPHKhXsIB6pDgTM96S1XU/mjk=";
        let broken = parsed(&WHOLE.replace("Hall", key)).unwrap_err();
        assert_eq!(broken.name.as_str(), "x");
        assert!(!format!("{broken:?}").contains(key));
        let empty = parsed("").unwrap_err();
        assert_eq!(
            (empty.name.as_str(), empty.hosts.is_default()),
            ("x", false)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_site_or_broken(cut in 0..WHOLE.len(), text in "[ -~\\n\"\\[\\]=]{0,40}") {
            for text in [text.clone(), format!("{}{text}{}", &WHOLE[..cut], &WHOLE[cut..])] {
                if let Ok(site) = parsed(&text) {
                    prop_assert!(site.key_file.is_absolute() && site.certificate.is_absolute());
                }
            }
        }
    }
}
