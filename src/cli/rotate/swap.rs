//! The new files in the place of the old ones, which are kept: file by file, so that a run that is
//! killed is completed by the next. Until the last of them, the daemon serves the new files from where
//! they were made.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use engage_store::Rotation;
use engage_wire::pki::{Certificate, Fingerprint, load_certificate_der};
use engage_wire::read_regular_file;
use zeroize::Zeroizing;

use super::new_files::{NewChain, Present};
use crate::cli::init::certificates::pem;
use crate::cli::init::error::InitError;
use crate::cli::init::layout::{Layout, exists};
use crate::failure::Failure;
use crate::new_files::{NewFile, Readers, keep_as, replace};
use crate::platform::FileAccess;
use crate::renewal::kept_aside;
use crate::rotation_steps::{RotateError, Session, folder_of};
use crate::staged_file::folder;

/// What becomes of one configured file.
struct Replacement {
    target: PathBuf,
    /// Nothing where it only goes away.
    contents: Option<Zeroizing<Vec<u8>>>,
    what: &'static str,
    is_authority_key: bool,
}

/// What was done on this host.
pub(super) fn swap(session: &Session, rotation: &Rotation) -> Result<Vec<String>, Failure> {
    let retired = folder_of(session, rotation, "retired");
    // The chain is replaced last: where it is the new one, all is done.
    let is_done = Present::read(&session.config).is_ok_and(|it| it.has_leaf(rotation.leaf));
    if !is_done {
        for replacement in plan(session, rotation)? {
            replacement.apply(&retired)?;
        }
    }
    let mut done = Vec::new();
    if retired.exists() {
        done.push(format!("the old files are kept in `{}`", retired.display()));
        done.push(destruction(&Layout::new(&session.config), &retired));
    }
    Ok(done)
}

/// In the order in which they are replaced: the chain of the server last, which says that all is done.
fn plan(session: &Session, rotation: &Rotation) -> Result<Vec<Replacement>, Failure> {
    let (files, https) = (&session.files, &session.config.https);
    let chain = NewChain::load(files)?;
    let mut plan = announced(session, rotation)?;
    plan.extend(authorities(session, &chain)?);
    let key = read_regular_file("server key", &files.private_key(), MAX_FILE_BYTES)?;
    let sent = Zeroizing::new(pem(chain.without_crossed()));
    plan.extend([
        Replacement::new(&https.private_key, "server key", Some(key)),
        Replacement::new(&https.certificate, "server certificate", Some(sent)),
    ]);
    Ok(plan)
}

/// Keys and certificates of root and intermediate, as far as no site announces them. Keys that were made
/// elsewhere only go away.
fn authorities(session: &Session, chain: &NewChain) -> Result<Vec<Replacement>, Failure> {
    let (files, layout) = (&session.files, Layout::new(&session.config));
    let pair = &layout.intermediate.pair;
    let root_key = read_if_there("root key", &files.root_key())?;
    let key = read_if_there("intermediate key", &files.intermediate_key())?;
    let mut plan = vec![
        Replacement::new(&layout.root.key, "root key", root_key).of_authority(),
        Replacement::new(&pair.key, "intermediate key", key).of_authority(),
    ];
    let der = |it: &Certificate| Zeroizing::new(it.der().to_vec());
    if !layout.intermediate.is_announced {
        let intermediate = chain.intermediate().map(der);
        let what = "intermediate certificate";
        plan.push(Replacement::new(&pair.certificate, what, intermediate));
    }
    let unannounced = layout.root.certificates.iter();
    let unannounced = unannounced.filter(|_| !layout.root.is_announced);
    plan.extend(
        unannounced
            .chain(&session.config.https.root)
            .map(|path| Replacement::new(path, "root certificate", Some(der(chain.root())))),
    );
    Ok(plan)
}

/// The files that sites announce.
fn announced(session: &Session, rotation: &Rotation) -> Result<Vec<Replacement>, Failure> {
    let mut files: HashMap<Fingerprint, PathBuf> = HashMap::new();
    for path in session.files.anchors() {
        let anchor = load_certificate_der("announced certificate", &path)?;
        files.insert(anchor.fingerprint(), path);
    }
    let next = rotation.next_anchors();
    let mut seen = BTreeSet::new();
    let mut plan = Vec::new();
    for site in &session.config.sites {
        let present = || load_certificate_der("announced certificate", &site.certificate).ok();
        let new = next.of(site.name.as_str(), || Some(present()?.fingerprint()));
        let Some(new) = new.filter(|_| seen.insert(&site.certificate)) else {
            continue;
        };
        let file = files.get(&new).ok_or_else(|| RotateError::MissingAnchor {
            folder: session.files.anchors_folder(),
            anchor: new,
        })?;
        let contents = read_if_there("announced certificate", file)?;
        let what = "certificate, for devices";
        plan.push(Replacement::new(&site.certificate, what, contents));
    }
    Ok(plan)
}

impl Replacement {
    fn new(target: &Path, what: &'static str, contents: Option<Zeroizing<Vec<u8>>>) -> Self {
        Self {
            target: target.to_owned(),
            contents,
            what,
            is_authority_key: false,
        }
    }

    /// The daemon has no need of it.
    fn of_authority(self) -> Self {
        Self {
            is_authority_key: true,
            ..self
        }
    }

    fn apply(self, retired: &Path) -> Result<(), Failure> {
        let Self {
            target,
            contents,
            what,
            is_authority_key,
        } = self;
        let is_there = exists(&target)?;
        let access = is_there
            .then(|| FileAccess::from_path(&target).ok())
            .flatten();
        let new = contents.map(|contents| {
            let readers = match (access, is_authority_key) {
                (None, true) => Readers::Owner,
                (access, _) => Readers::Daemon(access),
            };
            NewFile::new(target.clone(), contents, what, readers)
        });
        if new.as_ref().is_some_and(NewFile::is_in_place) {
            return Ok(());
        }
        if is_there {
            keep_as(&target, &kept(retired, &target))?;
        }
        match new {
            Some(new) => replace(&new)?,
            None if is_there => {
                fs_err::remove_file(&target).map_err(InitError::file("remove", &target))?;
            }
            None => {}
        }
        Ok(())
    }
}

/// Under a name that no other file has: with its folder's, which may be another.
fn kept(retired: &Path, target: &Path) -> PathBuf {
    let parent = folder(target).file_name().unwrap_or_default();
    retired
        .join(parent)
        .join(target.file_name().unwrap_or_default())
}

fn destruction(layout: &Layout, retired: &Path) -> String {
    let keys = [
        &layout.root.key,
        &layout.intermediate.pair.key,
        &layout.server.key,
    ];
    let renewed = keys.iter().flat_map(|it| kept_aside(it));
    let there: Vec<_> = keys
        .iter()
        .map(|it| kept(retired, it))
        .filter(|it| it.exists())
        .chain(renewed)
        .map(|it| it.display().to_string())
        .collect();
    format!(
        "destroy the old keys: `shred -u {}`, and every copy of the old root's key, wherever it lies",
        there.join(" ")
    )
}

fn read_if_there(what: &'static str, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    if !exists(path)? {
        return Ok(None);
    }
    Ok(Some(read_regular_file(what, path, MAX_FILE_BYTES)?))
}

/// Longer is neither key nor certificate.
const MAX_FILE_BYTES: usize = 64 * 1024;
