//! Notices that a file behind the publication has changed.
//!
//! The operating system's notifications wake it; what decides is the state of the files
//! themselves, so that symlink swaps (Kubernetes secrets), renames and network file systems that
//! notify nobody are all noticed.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::reload::Trigger;
use crate::config::Config;
use crate::platform;

/// The files and the folder that a publication is made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sources {
    files: BTreeSet<PathBuf>,
    certificates: PathBuf,
}

impl Sources {
    pub(super) fn of(config: &Config) -> Self {
        let https = &config.https;
        let mut files: BTreeSet<_> = [&config.path, &https.certificate, &https.private_key]
            .into_iter()
            .chain(&https.root)
            .chain(&config.devices.credentials_file)
            .cloned()
            .collect();
        for site in &config.sites {
            files.insert(site.key_file.clone());
            files.insert(site.certificate.clone());
        }
        Self {
            files,
            certificates: config
                .static_dir
                .join(engage_wire::paths::CERTIFICATES_FOLDER),
        }
    }

    /// The folders in which something must happen when a file changes.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self
            .files
            .iter()
            .filter_map(|file| file.parent().map(Path::to_owned));
        let targets = self
            .files
            .iter()
            .filter_map(|file| Some(file.canonicalize().ok()?.parent()?.to_owned()));
        parents
            .chain(targets)
            .chain([self.certificates.clone()])
            .collect()
    }

    /// A number that differs when a file, or what a link points to, is another than before.
    fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in &self.files {
            hash_file(file, &mut hasher);
        }
        let mut entries: Vec<_> = std::fs::read_dir(&self.certificates)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for file in &entries {
            hash_file(file, &mut hasher);
        }
        hasher.finish()
    }
}

fn hash_file(file: &Path, hasher: &mut DefaultHasher) {
    file.hash(hasher);
    file.canonicalize().ok().hash(hasher);
    let Ok(metadata) = std::fs::metadata(file) else {
        return;
    };
    metadata.len().hash(hasher);
    metadata.modified().ok().hash(hasher);
    platform::file_version(&metadata).hash(hasher);
}

/// What the sources of a configuration looked like at a moment: before they were read, so that a
/// change while they are read is noticed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(super) sources: Sources,
    state: u64,
}

impl Seen {
    /// Looks at the files that `config` names.
    #[must_use]
    pub(crate) fn now(config: &Config) -> Self {
        let sources = Sources::of(config);
        Self {
            state: sources.state(),
            sources,
        }
    }
}

/// Sends [`Trigger::FilesChanged`] once the files have changed since they were seen and come to
/// rest. Ends when the handle is dropped.
pub(super) fn watch(seen: Seen, triggers: mpsc::Sender<Trigger>) -> Watching {
    let Seen { sources, mut state } = seen;
    Watching(tokio::spawn(async move {
        let woken = Arc::new(Notify::new());
        let mut watched = Watched::new(&sources, &woken);
        loop {
            // Woken by the system, or after a while by nobody.
            if timeout(LOOK_ANYWAY, woken.notified()).await.is_ok() {
                // In a folder in which somebody keeps writing (a log beside the configuration)
                // every write wakes: one look stands for all of a moment.
                sleep(MOMENT).await;
            }
            let changed = look(&sources).await;
            if changed != state {
                state = at_rest(&sources, changed).await;
                if triggers.send(Trigger::FilesChanged).await.is_err() {
                    return;
                }
            }
            watched.follow(&sources, &woken);
        }
    }))
}

/// Watches until dropped.
pub(super) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until nothing has changed for a moment: a certificate and its key are written one after
/// the other.
async fn at_rest(sources: &Sources, mut state: u64) -> u64 {
    for _ in 0..MOST_MOMENTS {
        sleep(MOMENT).await;
        let now = look(sources).await;
        if now == state {
            break;
        }
        state = now;
    }
    state
}

async fn look(sources: &Sources) -> u64 {
    let sources = sources.clone();
    tokio::task::spawn_blocking(move || sources.state())
        .await
        .unwrap_or_default()
}

/// What the operating system watches.
struct Watched {
    folders: BTreeSet<(PathBuf, Option<u64>)>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watched {
    fn new(sources: &Sources, woken: &Arc<Notify>) -> Self {
        let folders = numbered(sources.folders());
        // What happened before the watcher was there woke nobody.
        woken.notify_one();
        Self {
            _watcher: system_watcher(&folders, woken),
            folders,
        }
    }

    /// Watches anew when a folder is there, gone, or another one of the same name.
    fn follow(&mut self, sources: &Sources, woken: &Arc<Notify>) {
        if numbered(sources.folders()) != self.folders {
            *self = Self::new(sources, woken);
        }
    }
}

/// Folders with what tells one from its successor.
fn numbered(folders: BTreeSet<PathBuf>) -> BTreeSet<(PathBuf, Option<u64>)> {
    let number = |folder: &Path| {
        std::fs::metadata(folder)
            .ok()
            .map(|it| platform::file_number(&it))
    };
    folders
        .into_iter()
        .map(|folder| (folder.clone(), number(&folder)))
        .collect()
}

fn system_watcher(
    folders: &BTreeSet<(PathBuf, Option<u64>)>,
    woken: &Arc<Notify>,
) -> Option<RecommendedWatcher> {
    let wake = Arc::clone(woken);
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Our own looks open files and folders: woken by that, it would look without end.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            wake.notify_one();
        }
    });
    let mut watcher = watcher
        .inspect_err(|error| {
            warn!(
                "changed files are noticed only every {} s: {error}",
                LOOK_ANYWAY.as_secs()
            );
        })
        .ok()?;
    for (folder, _) in folders {
        // A folder that does not exist yet is looked for again after `LOOK_ANYWAY`.
        let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
    }
    Some(watcher)
}

/// How long files must rest before they are read, and how often that is waited for.
const MOMENT: Duration = Duration::from_millis(500);
const MOST_MOMENTS: u32 = 20;

const LOOK_ANYWAY: Duration = Duration::from_secs(15);
