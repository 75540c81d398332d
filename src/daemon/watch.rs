//! Notices that a file behind the publication has changed.
//!
//! The operating system's notifications only wake the watcher; what decides is the state of the
//! files themselves, so that symlink swaps (Kubernetes secrets), renames and network file systems
//! that notify nobody are all noticed.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::config::{Config, SiteConfig, is_site_file};
use crate::file_version::{FileVersion, FileVersions};
use crate::platform;
use crate::publication::NextFiles;
use engage_wire::paths::CERTIFICATES_FOLDER;

/// Watches the files of one configuration until dropped.
pub(super) struct FileWatcher {
    changes: mpsc::Receiver<()>,
    /// [`FilesState::hash`] of what needs no reload.
    known: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl FileWatcher {
    /// Watches for what differs from `known`.
    pub(super) fn new(files: FileFingerprint) -> Self {
        let (changed, changes) = mpsc::channel(1);
        let known = Arc::new(AtomicU64::new(files.state.hash));
        Self {
            changes,
            task: tokio::spawn(watch(files, Arc::clone(&known), changed)),
            known,
        }
    }

    /// Watches for what differs from files of the same sources, which have been read.
    pub(super) fn know(&self, files: &FileFingerprint) {
        self.known.store(files.state.hash, Ordering::Relaxed);
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
#[derive(Clone, Debug)]
pub(crate) struct FileFingerprint {
    pub(super) sources: Arc<Sources>,
    state: FilesState,
}

impl FileFingerprint {
    /// Looks at the files that a configuration names; those of sites were looked at when they were read.
    pub(super) fn read(
        config: &Config,
        sources: &Arc<Sources>,
        versions: &FileVersions<'_>,
    ) -> Self {
        let site_files = config.site_files.versions();
        let site_files = site_files.map(|(name, version)| hash_file(name, version));
        Self {
            state: sources.state_of(versions, combined(site_files)),
            sources: Arc::clone(sources),
        }
    }
}

/// What the files of a configuration look like.
#[derive(Clone, Debug, Default)]
struct FilesState {
    /// Differs when a file, or what a link points to, is another than before.
    hash: u64,
    /// Those that are links.
    links: Vec<PathBuf>,
}

/// The files and the folders that a publication is made from.
#[derive(Debug)]
pub(super) struct Sources {
    files: BTreeSet<PathBuf>,
    sites: Vec<Arc<SiteConfig>>,
    /// Of which every file counts.
    certificates: PathBuf,
    sites_dir: Option<PathBuf>,
}

/// Whether the same files are watched, whatever else sites say.
impl PartialEq for Sources {
    fn eq(&self, other: &Self) -> bool {
        let sites = || self.sites.iter().zip(&other.sites);
        self.files == other.files
            && self.certificates == other.certificates
            && self.sites_dir == other.sites_dir
            && self.sites.len() == other.sites.len()
            && sites().all(|(one, other)| Arc::ptr_eq(one, other) || one.files().eq(other.files()))
    }
}

impl Sources {
    /// Those that `config` names, and those that a rotation replaces them with.
    pub(super) fn from_config(config: &Config, is_rotation: bool) -> Self {
        let https = &config.https;
        let files = [&config.path, &https.certificate, &https.private_key]
            .into_iter()
            .chain(&https.root)
            .chain(&config.devices.credentials_file)
            .chain(&config.admin.token_file)
            .chain(&config.admin.certificate)
            .chain(&config.admin.private_key);
        let mut files: BTreeSet<_> = files.cloned().collect();
        if is_rotation {
            files.extend(NextFiles::new(config).all());
        }
        Self {
            files,
            sites: config.sites.clone(),
            certificates: config.static_dir.join(CERTIFICATES_FOLDER),
            sites_dir: config.sites_dir.clone(),
        }
    }

    /// Looks at those that are named, each once; not at those of folders.
    pub(super) fn versions(&self) -> FileVersions<'_> {
        FileVersions::from_paths(self.named_files())
    }

    /// Some of them several times.
    fn named_files(&self) -> impl Iterator<Item = &Path> {
        let of_sites = self.sites.iter().flat_map(|site| site.files());
        self.files.iter().map(PathBuf::as_path).chain(of_sites)
    }

    fn state(&self) -> FilesState {
        let site_files = self.sites_dir.iter().flat_map(|folder| entries(folder));
        let site_files = site_files.filter(|entry| is_site_file(&entry.file_name()));
        let site_files = site_files.map(|entry| hash_entry(&entry.file_name(), &entry));
        self.state_of(&self.versions(), combined(site_files))
    }

    fn state_of(&self, named: &FileVersions<'_>, site_files: u64) -> FilesState {
        let certificates =
            entries(&self.certificates).map(|entry| hash_entry(entry.path().as_os_str(), &entry));
        let files = named.iter().map(|(file, version)| hash_file(file, version));
        FilesState {
            hash: combined(files.chain(certificates).chain([site_files])),
            links: named.links().to_owned(),
        }
    }

    /// The folders in which something must happen when a file changes.
    fn folders(&self, links: &[PathBuf]) -> BTreeSet<PathBuf> {
        let parents = self.named_files().filter_map(Path::parent);
        let mut parents: Vec<_> = parents.map(Path::as_os_str).collect();
        // Thousands of files lie in one, and mostly follow each other.
        parents.dedup();
        let parents: HashSet<_> = parents.into_iter().map(Path::new).collect();
        let canonical = parents
            .iter()
            .filter_map(|folder| folder.canonicalize().ok());
        let targets = links
            .iter()
            .filter_map(|file| Some(file.canonicalize().ok()?.parent()?.to_owned()));
        let whole = [&self.certificates].into_iter().chain(&self.sites_dir);
        canonical
            .chain(targets)
            .chain(parents.iter().map(PathBuf::from))
            .chain(whole.cloned())
            .collect()
    }

    fn numbered_folders(&self, links: &[PathBuf]) -> NumberedFolders {
        let number = |folder: &Path| {
            let metadata = std::fs::metadata(folder).ok()?;
            Some(platform::file_number(&metadata))
        };
        let folders = self.folders(links).into_iter();
        folders
            .map(|folder| (folder.clone(), number(&folder)))
            .collect()
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> {
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}

/// In any order. A sum, because a file may be named and lie in a folder too.
fn combined(hashes: impl Iterator<Item = u64>) -> u64 {
    hashes.fold(0, u64::wrapping_add)
}

fn hash_entry(name: &OsStr, entry: &DirEntry) -> u64 {
    let version = FileVersion::from_entry(entry);
    hash_file(name, version.unwrap_or(FileVersion::UNKNOWN))
}

fn hash_file(name: &OsStr, version: FileVersion) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    version.number().hash(&mut hasher);
    hasher.finish()
}

async fn watch(files: FileFingerprint, known: Arc<AtomicU64>, changed: mpsc::Sender<()>) {
    let FileFingerprint { sources, state } = files;
    let notices = Arc::new(Notices::default());
    let mut watcher = OsWatcher::new(&sources, state.links, &notices).await;
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
        let mut state = read_state(&sources).await;
        if state.hash != known.load(Ordering::Relaxed) {
            state = settle(&sources, state).await;
            // A reload that was asked for may have read them meanwhile.
            if known.swap(state.hash, Ordering::Relaxed) != state.hash
                && changed.send(()).await.is_err()
            {
                return;
            }
        }
        watcher.follow(&sources, state.links, &notices).await;
    }
}

/// Waits until nothing has changed for a moment: a certificate and its key are written one after
/// the other.
async fn settle(sources: &Arc<Sources>, mut state: FilesState) -> FilesState {
    for _ in 0..MAX_DEBOUNCES {
        sleep(DEBOUNCE).await;
        let now = read_state(sources).await;
        if now.hash == state.hash {
            break;
        }
        state = now;
    }
    state
}

async fn read_state(sources: &Arc<Sources>) -> FilesState {
    let sources = Arc::clone(sources);
    blocking(move || sources.state()).await.unwrap_or_default()
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
    async fn new(sources: &Arc<Sources>, links: Vec<PathBuf>, notices: &Arc<Notices>) -> Self {
        let (sources, for_handler) = (Arc::clone(sources), Arc::clone(notices));
        let watcher = blocking(move || Self {
            folders: sources.numbered_folders(&links),
            _watcher: recommended_watcher(&sources.folders(&links), &for_handler),
        });
        let watcher = watcher.await.unwrap_or_default();
        // What happened before the watcher was there woke nobody.
        notices.wake.notify_one();
        watcher
    }

    /// Watches anew when a folder is there, gone, renamed, or another one of the same name.
    async fn follow(
        &mut self,
        sources: &Arc<Sources>,
        links: Vec<PathBuf>,
        notices: &Arc<Notices>,
    ) {
        let is_moved = notices.folder_moved.swap(false, Ordering::Relaxed);
        let now = Arc::clone(sources);
        let folders = blocking(move || (now.numbered_folders(&links), links)).await;
        let Some((folders, links)) = folders else {
            return;
        };
        if is_moved || folders != self.folders {
            *self = Self::new(sources, links, notices).await;
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
