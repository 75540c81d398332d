//! A site that is to be, and its two files.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use fs_err::File;
use zeroize::Zeroizing;

use super::error::SitesError;
use super::new_key;
use crate::config::{BaseUrl, Config, SiteConfig, SiteHosts};
use crate::failure::Failure;
use crate::new_files::{NewFile, Readers, lock_folder_of, remove_staged};
use crate::platform::FileAccess;
use crate::publication::refuse_unannounceable;
use crate::staged_file::folder;
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::site::{SiteKey, SiteName};

/// Where a new site's key comes from.
pub(crate) enum GivenKey {
    /// As it was written.
    Text(Zeroizing<Vec<u8>>),
    /// It is made, unless the key file is there already.
    New,
}

/// What a new site is to be.
pub(crate) struct Wanted {
    pub(crate) name: SiteName,
    pub(crate) key: GivenKey,
    /// The certificate of the first site, if none is given.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) hosts: SiteHosts,
    pub(crate) serials: Vec<SerialNumber>,
    pub(crate) serials_file: Option<PathBuf>,
    pub(crate) base_url: Option<BaseUrl>,
}

/// A site with its place.
pub(crate) struct NewSite {
    pub(crate) name: SiteName,
    pub(crate) file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) hosts: SiteHosts,
    pub(crate) serials: Vec<SerialNumber>,
    text: String,
    key: KeyFile,
}

/// What becomes of a key file.
enum KeyFile {
    /// It was there, and is the given one.
    There,
    /// It was there, and none is given.
    Earlier,
    /// It is written as it was given.
    Given(Zeroizing<Vec<u8>>),
    /// It gets a new key.
    Made(Zeroizing<Vec<u8>>),
}

/// A configuration whose sites no other command changes until this is dropped.
pub(crate) struct Locked {
    pub(crate) config: Config,
    pub(crate) places: Places,
    pub(crate) _lock: Option<File>,
}

impl Locked {
    pub(crate) fn open(config: &Path) -> Result<Self, Failure> {
        let places = Places::from_config(&Config::load_without_files(config)?)?;
        let lock = lock_folder_of(&places.sites_dir.join("any.toml"))?;
        let config = Config::load_for_change(config)?;
        Ok(Self {
            places: Places::from_config(&config)?,
            config,
            _lock: lock,
        })
    }
}

impl NewSite {
    /// Whether its key file was there, and is used as it is.
    pub(crate) fn is_kept_key(&self) -> bool {
        matches!(self.key, KeyFile::There | KeyFile::Earlier)
    }

    /// Whether that is so because none was given.
    pub(crate) fn has_earlier_key(&self) -> bool {
        matches!(self.key, KeyFile::Earlier)
    }

    /// Whether its key was made just now.
    pub(crate) fn has_new_key(&self) -> bool {
        matches!(self.key, KeyFile::Made(_))
    }
}

/// Where new sites and their keys lie.
pub(crate) struct Places {
    /// Of the configuration, from which relative paths start.
    folder: PathBuf,
    sites_dir: PathBuf,
    keys_dir: PathBuf,
    /// A secret that the daemon reads.
    like: Option<FileAccess>,
    certificate: Option<PathBuf>,
    config: PathBuf,
    /// File names without their ends that are taken by sites that are no files yet.
    taken: HashSet<String>,
    /// Certificates of new sites that were looked at.
    checked_certificates: HashSet<PathBuf>,
}

impl Places {
    pub(crate) fn from_config(config: &Config) -> Result<Self, SitesError> {
        let Some(sites_dir) = config.sites_dir.clone() else {
            return Err(SitesError::NoSitesDir {
                config: config.path.clone(),
            });
        };
        let server_key = &config.https.private_key;
        Ok(Self {
            folder: folder(&config.path).to_owned(),
            sites_dir,
            keys_dir: folder(server_key).join("sites"),
            like: FileAccess::from_path(server_key).ok(),
            certificate: config.sites.first().map(|site| site.certificate.clone()),
            config: config.path.clone(),
            taken: HashSet::new(),
            checked_certificates: HashSet::new(),
        })
    }

    /// Gives a site its place. Whether it can be one beside the others is not looked at.
    pub(crate) fn place(&mut self, wanted: Wanted) -> Result<NewSite, SitesError> {
        let stem = self.stem(&wanted.name);
        let file = self.sites_dir.join(format!("{stem}.toml"));
        let key_file = self.keys_dir.join(format!("{stem}.key"));
        let key = KeyFile::from_wanted(&wanted, &key_file)?;
        self.at(wanted, file, key_file, key)
    }

    fn at(
        &mut self,
        wanted: Wanted,
        file: PathBuf,
        key_file: PathBuf,
        key: KeyFile,
    ) -> Result<NewSite, SitesError> {
        let certificate = wanted
            .certificate
            .clone()
            .or_else(|| self.certificate.clone());
        let certificate = certificate.ok_or_else(|| SitesError::NoCertificate {
            config: self.config.clone(),
        })?;
        let text = self.text(&wanted, &key_file, &certificate)?;
        if self.checked_certificates.insert(certificate.clone()) {
            refuse_unannounceable(&wanted.name, &certificate)?;
        }
        Ok(NewSite {
            text,
            name: wanted.name,
            hosts: wanted.hosts,
            serials: wanted.serials,
            file,
            key_file,
            key,
        })
    }

    /// A site that has its place already, as it is to be.
    pub(crate) fn edited(
        &mut self,
        site: &SiteConfig,
        wanted: Wanted,
    ) -> Result<NewSite, SitesError> {
        let (file, key_file) = (site.file.clone(), site.key_file.clone());
        self.at(wanted, file, key_file, KeyFile::There)
    }

    /// A file name that no other site's file has.
    fn stem(&mut self, name: &SiteName) -> String {
        let slug = slug(name);
        let mut stem = slug.clone();
        let mut number = 1;
        while self.taken.contains(&stem) || self.sites_dir.join(format!("{stem}.toml")).exists() {
            number += 1;
            stem = format!("{slug}-{number}");
        }
        self.taken.insert(stem.clone());
        stem
    }

    fn text(
        &self,
        wanted: &Wanted,
        key_file: &Path,
        certificate: &Path,
    ) -> Result<String, SitesError> {
        let mut text = String::from(
            "# engage-host: made by `engage-host sites`. docs/CONFIGURATION.md lists every key.\n",
        );
        let mut add = |key: &str, value: &str| {
            let _ = writeln!(text, "{key} = {value}");
        };
        add("name", &quoted(wanted.name.as_str()));
        add("key_file", &self.quoted_path(key_file)?);
        add("certificate", &self.quoted_path(certificate)?);
        if !wanted.hosts.is_default() {
            add("hosts", &list(wanted.hosts.iter()));
        }
        if !wanted.serials.is_empty() {
            add("serials", &list(wanted.serials.iter()));
        }
        if let Some(file) = &wanted.serials_file {
            add("serials_file", &self.quoted_path(file)?);
        }
        if let Some(base_url) = &wanted.base_url {
            add("base_url", &quoted(&base_url.to_string()));
        }
        Ok(text)
    }

    /// Relative, where it can be: the whole folder may be moved.
    fn quoted_path(&self, path: &Path) -> Result<String, SitesError> {
        let shown = path.strip_prefix(&self.folder).unwrap_or(path);
        match shown.to_str() {
            Some(text) if !text.contains(char::is_control) => Ok(quoted(text)),
            _ => Err(SitesError::Path {
                path: path.to_owned(),
            }),
        }
    }

    /// The files of a site, the key first: a key without a site serves nobody.
    pub(crate) fn files(&self, site: &NewSite) -> Vec<NewFile> {
        remove_staged(&site.file);
        remove_staged(&site.key_file);
        let key = match &site.key {
            KeyFile::There | KeyFile::Earlier => None,
            KeyFile::Given(contents) | KeyFile::Made(contents) => {
                let (path, readers) = (site.key_file.clone(), Readers::Daemon(self.like.clone()));
                Some(NewFile::new(path, contents.clone(), "site key", readers))
            }
        };
        let text = site.text.clone().into_bytes();
        let file = NewFile::new(site.file.clone(), text, "site", Readers::Everybody);
        key.into_iter().chain([file]).collect()
    }
}

impl KeyFile {
    fn from_wanted(wanted: &Wanted, path: &Path) -> Result<Self, SitesError> {
        let is_there = path.exists();
        let text = match &wanted.key {
            GivenKey::New if is_there => return Ok(Self::Earlier),
            GivenKey::New => {
                let key = new_key().map_err(|source| SitesError::NewKey { source })?;
                return Ok(Self::Made(key));
            }
            GivenKey::Text(text) => text,
        };
        let given = SiteKey::parse(text).map_err(|source| SitesError::Key {
            site: wanted.name.clone(),
            source,
        })?;
        if !is_there {
            return Ok(Self::Given(text.clone()));
        }
        // Two keys are the same if they make the same hash, whatever form they are written in.
        let hash = |key: &SiteKey| key.announcement_hash(b"");
        match SiteKey::load(path) {
            Ok(found) if hash(&found) == hash(&given) => Ok(Self::There),
            _ => Err(SitesError::OtherKey {
                site: wanted.name.clone(),
                existing: path.to_owned(),
            }),
        }
    }
}

/// Lower case letters, digits and single hyphens, at most 60 of them.
fn slug(name: &SiteName) -> String {
    let mut slug = String::new();
    for character in name.as_str().chars().map(|it| it.to_ascii_lowercase()) {
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_SLUG_BYTES);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "site".into()
    } else {
        slug.into()
    }
}

/// A site of serial numbers is not the default site.
pub(crate) fn hosts(hosts: Vec<HostName>, is_listed: bool) -> SiteHosts {
    if hosts.is_empty() && !is_listed {
        SiteHosts::default()
    } else {
        once(hosts).into()
    }
}

/// Each value, once.
pub(crate) fn once<T: Clone + Eq + Hash>(mut values: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.retain(|value| seen.insert(value.clone()));
    values
}

fn list(values: impl Iterator<Item = impl ToString>) -> String {
    let values: Vec<_> = values.map(|value| quoted(&value.to_string())).collect();
    format!("[{}]", values.join(", "))
}

/// A string of TOML; there are no control characters in it. Backslashes are left as they are where that
/// can be: as an operator would write a path of Windows.
fn quoted(text: &str) -> String {
    if text.contains('\\') && !text.contains('\'') {
        return format!("'{text}'");
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const MAX_SLUG_BYTES: usize = 60;
