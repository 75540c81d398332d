//! The files that replace the present ones when the root is changed, validated as those are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Sources, Validation};
use crate::config::Config;
use crate::publication::inventory::Inventory;
use crate::publication::rotation::{PublishedRotation, announces_new};
use crate::publication::{Publication, Refusal, Refusals, Warning};
use engage_store::{Overlap, Rotation, RotationStep};
use engage_wire::pki::device_profile::DeviceProfile;
use engage_wire::pki::{Certificate, Fingerprint, load_certificate_chain, load_certificate_der};
use jiff::Timestamp;

/// Where the new files lie: beside the configured server certificate.
pub(crate) struct NextFiles(PathBuf);

impl NextFiles {
    pub(crate) fn new(config: &Config) -> Self {
        let folder = config.https.certificate.parent();
        Self(folder.unwrap_or(Path::new("")).join("next"))
    }

    /// Where they all lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The root's key, if it was made here.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.0.join("root.key")
    }

    /// The intermediate, in PEM.
    pub(crate) fn intermediate(&self) -> PathBuf {
        self.0.join("intermediate.crt")
    }

    /// The intermediate's key, if it was made here.
    pub(crate) fn intermediate_key(&self) -> PathBuf {
        self.0.join("intermediate.key")
    }

    /// Where the certificates lie that are to be announced.
    pub(crate) fn anchors_folder(&self) -> PathBuf {
        self.0.join("anchors")
    }

    /// The root, in PEM.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root.crt")
    }

    /// The chain as it is sent, in PEM.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.join("server.crt")
    }

    /// The key of the server's certificate.
    pub(crate) fn private_key(&self) -> PathBuf {
        self.0.join("server.key")
    }

    /// Each certificate that is to be announced, under the name as which it is served.
    pub(crate) fn anchors(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.anchors_folder()).into_iter();
        let entries = entries.flatten().flatten().take(MAX_ANCHORS);
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|it| it == "der"));
        paths.sort();
        paths
    }

    /// All that devices may come to see.
    pub(crate) fn all(&self) -> impl Iterator<Item = PathBuf> {
        let files = [self.root(), self.certificate(), self.private_key()];
        files.into_iter().chain(self.anchors())
    }
}

impl Sources<'_> {
    /// What is published while `rotation` is under way.
    ///
    /// New files that do not hold take nothing down: what is in force of the same rotation stays, and
    /// otherwise the present chain is served alone.
    pub(super) fn in_rotation(self, present: Validation, rotation: &Rotation) -> Validation {
        let is_new = |it: &Publication| it.leaf() == rotation.leaf;
        if present.outcome.as_ref().is_ok_and(is_new) {
            let swapped = PublishedRotation::swapped(rotation);
            return Validation {
                outcome: present.outcome.map(|it| it.in_rotation(swapped)),
                ..present
            };
        }
        let next = self.next(&present, rotation);
        let Validation {
            mut inventory,
            mut warnings,
            outcome,
        } = present;
        let is_alone = is_old_over(&outcome, rotation);
        let next = next.map(|(next, of_next, new_inventory)| {
            if is_alone {
                inventory = new_inventory;
            }
            let is_said = |warning: &Warning| warnings.contains(warning);
            let news: Vec<_> = of_next.into_iter().filter(|it| !is_said(it)).collect();
            warnings.extend(news);
            next
        });
        Validation {
            inventory,
            warnings,
            outcome: self.beside(outcome, next, rotation),
        }
    }

    /// Both; or the new one alone, once the old one is over.
    fn beside(
        self,
        present: Result<Publication, Refusals>,
        next: Result<Publication, Refusals>,
        rotation: &Rotation,
    ) -> Result<Publication, Refusals> {
        let is_new = |it: &Publication| it.leaf() == rotation.leaf;
        let is_old_over = is_old_over(&present, rotation);
        let (next, refusals) = match next {
            Ok(next) if is_old_over => {
                return Ok(next.in_rotation(PublishedRotation::new(rotation, None, None)));
            }
            Ok(next) => (Some(Arc::new(next)), None),
            Err(refusals) if is_old_over && self.in_force.is_some_and(is_new) => {
                return Err(refusals);
            }
            Err(refusals) => {
                let kept = self.in_force.and_then(|it| it.rotation()?.next().cloned());
                (kept.filter(|it| is_new(it)), Some(refusals))
            }
        };
        present.map(|it| it.in_rotation(PublishedRotation::new(rotation, next, refusals)))
    }

    /// What would be published if the new files were the configured ones.
    fn next(
        self,
        present: &Validation,
        rotation: &Rotation,
    ) -> Result<(Publication, Vec<Warning>, Inventory), Refusals> {
        let files = NextFiles::new(self.config);
        check_leaf(&files, rotation.leaf)?;
        let config = next_config(self.config, &files, present, rotation);
        let next = Sources {
            config: &config,
            in_force: self.in_force.and_then(|it| it.of_leaf(rotation.leaf)),
            ..self
        };
        let next = next.validate();
        let publication = next.outcome?.with_identity()?;
        if rotation.overlap == Overlap::Cross
            && let Ok(present) = &present.outcome
        {
            check_cross(&publication, present, &files, self.now)?;
        }
        Ok((publication, next.warnings, next.inventory))
    }
}

/// Whether the new chain is served alone.
fn is_old_over(present: &Result<Publication, Refusals>, rotation: &Rotation) -> bool {
    rotation.step == RotationStep::Retiring || (present.is_err() && announces_new(rotation.step))
}

/// Whether the files are those of the rotation. What is wrong otherwise would follow from it.
fn check_leaf(files: &NextFiles, expected: Fingerprint) -> Result<(), Refusals> {
    let path = files.certificate();
    let chain = load_certificate_chain("server certificate", &path);
    let chain = chain.map_err(|error| Refusals::from_iter([error.into()]))?;
    match chain.first().map(Certificate::fingerprint) {
        Some(found) if found != expected => {
            let foreign = Refusal::ForeignNext {
                path,
                found,
                expected,
            };
            Err(Refusals::from_iter([foreign]))
        }
        _ => Ok(()),
    }
}

/// The configuration as it will be.
fn next_config(
    config: &Config,
    files: &NextFiles,
    present: &Validation,
    rotation: &Rotation,
) -> Config {
    let mut config = config.clone();
    config.https.certificate = files.certificate();
    config.https.private_key = files.private_key();
    config.https.root = Some(files.root());
    let anchors: HashMap<Fingerprint, PathBuf> = files
        .anchors()
        .into_iter()
        .filter_map(|path| {
            let anchor = load_certificate_der("announced certificate", &path).ok()?;
            Some((anchor.fingerprint(), path))
        })
        .collect();
    let next = rotation.next_anchors();
    let announced: HashMap<_, Fingerprint> = present
        .inventory
        .sites
        .iter()
        .filter_map(|site| {
            let announced = site.fingerprint_sha256.as_ref()?.parse().ok()?;
            Some((site.name.as_str(), announced))
        })
        .collect();
    for site in &mut config.sites {
        let name = site.name.as_str();
        let new = next.of(name, || announced.get(name).copied());
        if let Some(path) = new.and_then(|new| anchors.get(&new)) {
            Arc::make_mut(site).certificate.clone_from(path);
        }
    }
    config
}

/// One chain for all: devices that trust what is announced now must accept it too.
fn check_cross(
    next: &Publication,
    present: &Publication,
    files: &NextFiles,
    now: Timestamp,
) -> Result<(), Refusals> {
    let profile = DeviceProfile::new(now);
    let mut checked = Vec::new();
    let mut refusals = Vec::new();
    for anchor in present.anchors() {
        if checked.contains(&anchor.fingerprint()) {
            continue;
        }
        checked.push(anchor.fingerprint());
        let violations = profile.check_anchor(&next.chain, anchor, None).violations;
        let violations = violations.into_iter();
        // That the time of what they trust is over is no news to devices.
        let violations = violations.filter(|it| it.is_refusal() && !it.is_about_time());
        refusals.extend(violations.map(|source| Refusal::Chain {
            path: files.certificate(),
            site: None,
            source,
        }));
    }
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals.into_iter().collect())
    }
}

/// As many as there may be sites.
const MAX_ANCHORS: usize = 50_000;
