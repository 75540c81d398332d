//! Notices that a file behind the publication has changed.
//!
//! The operating system's notifications only wake the watcher; what decides is the state of the
//! files themselves, so that symlink swaps (Kubernetes secrets), renames and network file systems
//! that notify nobody are all noticed.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::config::Config;
use crate::platform;
use engage_wire::paths::CERTIFICATES_FOLDER;

/// Watches the files of one configuration until dropped.
pub(super) struct FileWatcher {
    changes: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl FileWatcher {
    /// Watches for what differs from `known`.
    pub(super) fn new(known: FileFingerprint) -> Self {
        let (changed, changes) = mpsc::channel(1);
        Self {
            changes,
            task: tokio::spawn(watch(known, changed)),
        }
    }

    /// Completes when files have changed and have been at rest since. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the files of a configuration look like at a moment: taken before they are read, so that a
/// change while they are read is noticed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileFingerprint {
    pub(super) sources: Sources,
    hash: u64,
}

impl FileFingerprint {
    /// Looks at the files that `config` names.
    pub(crate) fn read(config: &Config) -> Self {
        let sources = Sources::from_config(config);
        Self {
            hash: sources.hash(),
            sources,
        }
    }
}

/// The files and the folder that a publication is made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sources {
    files: BTreeSet<PathBuf>,
    certificates: PathBuf,
}

impl Sources {
    fn from_config(config: &Config) -> Self {
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
            files.extend(site.serials_file.clone());
        }
        Self {
            files,
            certificates: config.static_dir.join(CERTIFICATES_FOLDER),
        }
    }

    /// A number that differs when a file, or what a link points to, is another than before.
    fn hash(&self) -> u64 {
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

    /// The folders in which something must happen when a file changes.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().filter_map(|file| file.parent());
        let targets = self.files.iter().filter_map(|file| {
            let target = file.canonicalize().ok()?;
            target.parent().map(Path::to_owned)
        });
        parents
            .map(Path::to_owned)
            .chain(targets)
            .chain([self.certificates.clone()])
            .collect()
    }

    fn numbered_folders(&self) -> NumberedFolders {
        let number = |folder: &Path| {
            let metadata = std::fs::metadata(folder).ok()?;
            Some(platform::file_number(&metadata))
        };
        let folders = self.folders().into_iter();
        folders
            .map(|folder| (folder.clone(), number(&folder)))
            .collect()
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

async fn watch(known: FileFingerprint, changed: mpsc::Sender<()>) {
    let FileFingerprint { sources, mut hash } = known;
    let notices = Arc::new(Notices::default());
    let mut watcher = OsWatcher::new(&sources, &notices).await;
    loop {
        // Woken by the system, or after a while by nobody.
        if timeout(POLL_INTERVAL, notices.wake.notified())
            .await
            .is_ok()
        {
            // In a folder in which somebody keeps writing (a log beside the configuration) every
            // write wakes: one look stands for all of a moment.
            sleep(DEBOUNCE).await;
        }
        let now = read_hash(&sources).await;
        if now != hash {
            hash = settle(&sources, now).await;
            if changed.send(()).await.is_err() {
                return;
            }
        }
        watcher.follow(&sources, &notices).await;
    }
}

/// Waits until nothing has changed for a moment: a certificate and its key are written one after
/// the other.
async fn settle(sources: &Sources, mut hash: u64) -> u64 {
    for _ in 0..MAX_DEBOUNCES {
        sleep(DEBOUNCE).await;
        let now = read_hash(sources).await;
        if now == hash {
            break;
        }
        hash = now;
    }
    hash
}

async fn read_hash(sources: &Sources) -> u64 {
    let sources = sources.clone();
    blocking(move || sources.hash()).await.unwrap_or_default()
}

/// A file server that does not answer must not hold a thread that serves connections.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(read).await.ok()
}

/// What the operating system has told since it was last asked.
#[derive(Default)]
struct Notices {
    wake: Notify,
    /// A watched folder, or one above it, came, went or was renamed: its watch may be gone.
    folder_moved: AtomicBool,
}

/// What the operating system watches: the folders of the files, and every folder above, because
/// one that is renamed takes its watch along and says nothing when another takes its place.
#[derive(Default)]
struct OsWatcher {
    folders: NumberedFolders,
    _watcher: Option<RecommendedWatcher>,
}

/// Folders with what tells one from its successor of the same name.
type NumberedFolders = BTreeSet<(PathBuf, Option<u64>)>;

impl OsWatcher {
    async fn new(sources: &Sources, notices: &Arc<Notices>) -> Self {
        let (sources, for_handler) = (sources.clone(), Arc::clone(notices));
        let watcher = blocking(move || Self {
            folders: sources.numbered_folders(),
            _watcher: recommended_watcher(&sources.folders(), &for_handler),
        });
        let watcher = watcher.await.unwrap_or_default();
        // What happened before the watcher was there woke nobody.
        notices.wake.notify_one();
        watcher
    }

    /// Watches anew when a folder is there, gone, renamed, or another one of the same name.
    async fn follow(&mut self, sources: &Sources, notices: &Arc<Notices>) {
        let is_moved = notices.folder_moved.swap(false, Ordering::Relaxed);
        let now = sources.clone();
        let folders = blocking(move || now.numbered_folders()).await;
        if is_moved || folders.is_some_and(|folders| folders != self.folders) {
            *self = Self::new(sources, notices).await;
        }
    }
}

fn recommended_watcher(
    folders: &BTreeSet<PathBuf>,
    notices: &Arc<Notices>,
) -> Option<RecommendedWatcher> {
    let above: BTreeSet<PathBuf> = folders
        .iter()
        .flat_map(|folder| folder.ancestors().map(Path::to_owned))
        .collect();
    let handler = notice_handler(folders.clone(), above.clone(), Arc::clone(notices));
    let mut watcher = notify::recommended_watcher(handler)
        .inspect_err(|error| {
            warn!(
                "changed files are noticed only every {} s: {error}",
                POLL_INTERVAL.as_secs()
            );
        })
        .ok()?;
    for folder in &above {
        // One that does not exist yet wakes the watch on the folder above it when it comes.
        let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
    }
    Some(watcher)
}

/// Wakes for what happens in `folders`, and for what happens to a folder of `above`; not for the
/// rest of what happens beside those.
fn notice_handler(
    folders: BTreeSet<PathBuf>,
    above: BTreeSet<PathBuf>,
    notices: Arc<Notices>,
) -> impl Fn(notify::Result<Event>) + Send {
    move |event| {
        // Our own looks open files and folders: woken by that, it would look without end.
        let Some(event) = event.ok().filter(|event| !event.kind.is_access()) else {
            return;
        };
        let is_inside = |path: &PathBuf| path.parent().is_some_and(|it| folders.contains(it));
        let is_folder_moved = event.paths.iter().any(|path| above.contains(path));
        if is_folder_moved {
            notices.folder_moved.store(true, Ordering::Relaxed);
        }
        if is_folder_moved || event.need_rescan() || event.paths.iter().any(is_inside) {
            notices.wake.notify_one();
        }
    }
}

/// How long files must rest before they are read, and how often that is waited for.
const DEBOUNCE: Duration = Duration::from_millis(500);
const MAX_DEBOUNCES: u32 = 20;

/// How often files are looked at although nobody was notified.
const POLL_INTERVAL: Duration = Duration::from_secs(15);
