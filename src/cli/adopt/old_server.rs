//! The old server: what its scripts name, found in its folder.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::AdoptError;
use super::script::{OldAnnouncement, ScriptFacts};
use crate::config::BaseUrl;
use crate::failure::Failure;
use engage_wire::Text;
use engage_wire::limits::MAX_FILE_BYTES;
use engage_wire::pki::issue::CertifiedIssuer;
use engage_wire::pki::{
    Certificate, PrivateKey, ServerChain, load_certificate_chain, load_certificate_der,
    load_der_or_pem,
};

/// Everything that is taken over or told, read and found to belong together; the site key is verified later.
pub(super) struct OldServer {
    pub(super) folder: PathBuf,
    pub(super) announcement: OldAnnouncement,
    /// `http://10.44.68.128`: `cert_url` without its path.
    pub(super) base_url: String,
    /// The announced certificate.
    pub(super) anchor: Certificate,
    pub(super) anchor_path: PathBuf,
    /// Server certificate first.
    pub(super) chain: Vec<Certificate>,
    pub(super) key_pem: Zeroizing<Vec<u8>>,
    pub(super) http_port: Option<u16>,
    pub(super) https_port: Option<u16>,
    /// What a reader of the scripts should know.
    pub(super) notes: Vec<String>,
}

/// A script with what it says.
struct Script {
    path: PathBuf,
    facts: ScriptFacts,
}

impl OldServer {
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let scripts = scripts(folder)?;
        let (plain, announcement) =
            announcing(&scripts).ok_or_else(|| AdoptError::NoAnnouncement {
                folder: folder.to_owned(),
            })?;
        let (base_url, name) =
            split_url(&announcement.cert_url).ok_or_else(|| AdoptError::CertUrl {
                script: plain.path.clone(),
                cert_url: announcement.cert_url.clone(),
            })?;
        let anchor_path = locate(folder, "announced certificate", name, plain)?;
        let anchor = load_certificate_der("announced certificate", &anchor_path)?;
        let pair = ServedPair::locate(folder, &scripts, plain)?;
        let mut notes = disagreements(&scripts, announcement);
        notes.extend(pair.note);
        let chain = chain(&pair.certificate, &anchor, &anchor_path, &mut notes)?;
        let key = PrivateKey::load(&pair.key)?;
        if CertifiedIssuer::from_existing(chain[0].clone(), key).is_err() {
            return Err(AdoptError::ForeignKey {
                key: pair.key,
                certificate: pair.certificate,
            }
            .into());
        }
        Ok(Self {
            folder: folder.to_owned(),
            base_url: base_url.to_owned(),
            announcement: announcement.clone(),
            anchor,
            anchor_path,
            chain,
            key_pem: Text::read("private key", &pair.key, MAX_FILE_BYTES)?.into_bytes(),
            http_port: plain.facts.port,
            https_port: pair.port,
            notes,
        })
    }

    /// Certificates beside the announced one, which devices may fetch too.
    pub(super) fn other_certificates(&self) -> Vec<(PathBuf, Certificate)> {
        files_below(self.anchor_path.parent().unwrap_or(&self.folder), 0)
            .into_iter()
            .filter(|path| {
                path.extension().is_some_and(|it| it == "der") && *path != self.anchor_path
            })
            .filter_map(|path| {
                let certificate = load_certificate_der("certificate", &path).ok()?;
                Some((path, certificate))
            })
            .collect()
    }
}

/// What the old server authenticated with.
struct ServedPair {
    certificate: PathBuf,
    key: PathBuf,
    port: Option<u16>,
    note: Option<String>,
}

impl ServedPair {
    /// As the script says that serves TLS, or by the vendor's names.
    fn locate(folder: &Path, scripts: &[Script], plain: &Script) -> Result<Self, AdoptError> {
        let secure = scripts.iter().find(|script| script.facts.is_secure());
        let named_by = secure.unwrap_or(plain);
        let facts = secure.map(|script| &script.facts);
        let certificate = facts.and_then(|it| it.certificate.as_deref());
        let key = facts.and_then(|it| it.key.as_deref());
        Ok(Self {
            certificate: locate(
                folder,
                "server certificate",
                certificate.unwrap_or(SERVER_CERTIFICATE),
                named_by,
            )?,
            key: locate(folder, "private key", key.unwrap_or(SERVER_KEY), named_by)?,
            port: facts.and_then(|it| it.port),
            note: secure.is_none().then(|| {
                "no script serves TLS: certificate and key were found by the vendor's names"
                    .to_owned()
            }),
        })
    }
}

/// All scripts, the vendor's two first.
fn scripts(folder: &Path) -> Result<Vec<Script>, Failure> {
    fs_err::read_dir(folder).map_err(|source| AdoptError::OldFolder { source })?;
    let mut paths: Vec<_> = files_below(folder, 1)
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|it| it.eq_ignore_ascii_case("py"))
        })
        .collect();
    paths.sort_by_key(|path| !path.to_string_lossy().contains("API_"));
    let mut scripts = Vec::new();
    for path in paths {
        let source = Text::read("script", &path, MAX_SCRIPT_BYTES)?;
        let facts = ScriptFacts::parse(&String::from_utf8_lossy(&source));
        if facts.announcement.is_some() || facts.is_secure() {
            scripts.push(Script { path, facts });
        }
    }
    Ok(scripts)
}

/// What devices are told first is told in clear text.
fn announcing(scripts: &[Script]) -> Option<(&Script, &OldAnnouncement)> {
    let announcing = || {
        scripts
            .iter()
            .filter_map(|script| Some((script, script.facts.announcement.as_ref()?)))
    };
    announcing()
        .find(|(script, _)| !script.facts.is_secure())
        .or_else(|| announcing().next())
}

fn disagreements(scripts: &[Script], announcement: &OldAnnouncement) -> Vec<String> {
    scripts
        .iter()
        .filter(|script| {
            let other = script.facts.announcement.as_ref();
            other.is_some_and(|other| other != announcement)
        })
        .map(|script| {
            format!(
                "`{}` announces something else; what the plain server said is taken over",
                script.path.display()
            )
        })
        .collect()
}

/// `http://10.44.68.128` and `partner_CA.der`. Nothing in them that would have to be escaped in a
/// configuration.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let host = url.find("://")? + "://".len();
    let path = host + url.get(host..)?.find('/')?;
    let (_, name) = url.rsplit_once('/')?;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._~:/[]%".contains(it);
    let is_der = Path::new(name).extension().is_some_and(|it| it == "der");
    let base_url = url.get(..path)?;
    let is_base = base_url.parse::<BaseUrl>().is_ok();
    (is_der && is_base && url.chars().all(is_plain)).then_some((base_url, name))
}

/// The file that a script names: as it is written, from the folder; or wherever a file of that
/// name lies, because the folder may have come from another computer.
fn locate(
    folder: &Path,
    what: &'static str,
    written: &str,
    script: &Script,
) -> Result<PathBuf, AdoptError> {
    let slashed = written.replace('\\', "/");
    let as_written = folder.join(slashed.trim_start_matches("./"));
    let name = slashed.rsplit('/').next().unwrap_or(&slashed);
    let beside_the_others = folder.join("static/Device_Certificates").join(name);
    [as_written, beside_the_others]
        .into_iter()
        .chain(files_below(folder, MAX_DEPTH))
        .find(|path| path.file_name().is_some_and(|it| it == name) && path.is_file())
        .ok_or_else(|| AdoptError::MissingFile {
            what,
            name: name.to_owned(),
            script: script.path.clone(),
            folder: folder.to_owned(),
        })
}

/// The chain as a device has to get it: the vendor's file may be the server's certificate alone,
/// whose issuer then lies beside it.
fn chain(
    path: &Path,
    anchor: &Certificate,
    anchor_path: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<Certificate>, Failure> {
    let mut certificates = match load_certificate_chain("server certificate", path) {
        Err(_) if load_certificate_der("server certificate", path).is_ok() => {
            vec![load_certificate_der("server certificate", path)?]
        }
        chain => chain?,
    };
    while let Some(last) = certificates.last()
        && last.verify_issued_by(anchor).is_err()
        && last != anchor
        && certificates.len() < MAX_CHAIN
        && let Some((file, issuer)) = issuer_beside(path, last)
    {
        notes.push(format!(
            "`{}` lacks its issuer: `{}` was added, devices need it",
            path.display(),
            file.display()
        ));
        certificates.push(issuer);
    }
    let refused = |source| AdoptError::Chain {
        anchor: anchor_path.to_owned(),
        certificate: path.to_owned(),
        source: Box::new(source),
    };
    let chain = ServerChain::parse(certificates.clone()).map_err(refused)?;
    chain.device_path(anchor, None).map_err(refused)?;
    Ok(certificates)
}

fn issuer_beside(path: &Path, certificate: &Certificate) -> Option<(PathBuf, Certificate)> {
    files_below(path.parent()?, 0).into_iter().find_map(|file| {
        let issuer = load_der_or_pem("issuer certificate", &file).ok()?;
        let is_issuer = !issuer.is_self_signed() && certificate.verify_issued_by(&issuer).is_ok();
        (is_issuer && issuer != *certificate).then_some((file, issuer))
    })
}

/// Files of a folder and of those `depth` levels below, in the order of their names; links are not
/// followed.
pub(super) fn files_below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    let mut entries: Vec<_> = entries.filter_map(Result::ok).take(MAX_ENTRIES).collect();
    entries.sort_by_key(fs_err::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            Ok(kind) if kind.is_dir() && depth > 0 => {
                files.extend(files_below(&entry.path(), depth - 1));
            }
            _ => {}
        }
    }
    files
}

const SERVER_CERTIFICATE: &str = "partner_server.pem";
const SERVER_KEY: &str = "partner_server.key";

/// How deep the vendor's layout is, and one more.
pub(super) const MAX_DEPTH: usize = 4;

/// Of one folder.
const MAX_ENTRIES: usize = 10_000;

/// More issuers do not fit into a device.
const MAX_CHAIN: usize = 4;

const MAX_SCRIPT_BYTES: usize = 1024 * 1024;
