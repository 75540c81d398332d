//! Fetches of certificates, kept over a restart.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engage_store::DeviceId;
use engage_wire::diagnostic::causes;
use engage_wire::read_regular_file;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::warn;

use super::{CertificateFetch, CertificateFetches};
use crate::platform;

/// Takes over what `directory` has, and writes there, some seconds late, what changes until `end`.
/// Without a file that can be written, what is fetched is remembered as long as the daemon runs.
pub(crate) async fn keep_fetches(
    fetches: Arc<CertificateFetches>,
    directory: PathBuf,
    end: impl Future<Output = ()>,
) {
    let file = FetchFile {
        path: directory.join(FILE),
    };
    let (loading, loaded) = (file.clone(), Arc::clone(&fetches));
    // A task that panicked has been logged by the panic hook.
    let _ = spawn_blocking(move || loading.load(&loaded)).await;
    let mut is_told = false;
    let mut end = std::pin::pin!(end);
    loop {
        let is_over = tokio::select! {
            () = sleep(SAVE_INTERVAL) => false,
            () = &mut end => true,
        };
        if let Some(changed) = fetches.changed() {
            let saving = file.clone();
            let saved = spawn_blocking(move || saving.save(&changed)).await;
            is_told = match saved {
                Ok(Err(error)) => {
                    if !is_told {
                        file.warn_of_failure(&error);
                    }
                    true
                }
                Ok(Ok(())) | Err(_) => false,
            };
        }
        if is_over {
            return;
        }
    }
}

#[derive(Clone)]
struct FetchFile {
    path: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct SavedFetch {
    device: DeviceId,
    #[serde(flatten)]
    fetch: CertificateFetch,
}

impl FetchFile {
    fn load(&self, fetches: &CertificateFetches) {
        match self.read() {
            Ok(saved) => fetches.restore(saved.into_iter().map(|it| (it.device, it.fetch))),
            Err(error) => warn!(
                "who fetched which certificate before this start is forgotten: `{}` cannot be used: {error}",
                self.path.display()
            ),
        }
    }

    fn read(&self) -> io::Result<Vec<SavedFetch>> {
        match read_regular_file("fetches of certificates", &self.path, MAX_FILE_BYTES) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(io::Error::other(causes(&error))),
        }
    }

    /// The newest of `fetches`, whole or not at all.
    fn save(&self, fetches: &[(DeviceId, CertificateFetch)]) -> io::Result<()> {
        let skipped = fetches.len().saturating_sub(MAX_SAVED);
        let newest = fetches.iter().skip(skipped);
        let saved: Vec<_> = newest
            .map(|&(device, fetch)| SavedFetch { device, fetch })
            .collect();
        let new = self.path.with_extension("new");
        remove_if_there(&new)?;
        let mut file = platform::create_private_file(&new)?;
        file.write_all(&serde_json::to_vec(&saved)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)
    }

    fn warn_of_failure(&self, error: &io::Error) {
        warn!(
            "who fetches which certificate is forgotten at the next start: `{}` cannot be written: {error}",
            self.path.display()
        );
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Beside the devices' folders. With a dot in front, it is no stray.
const FILE: &str = ".certificate-fetches.json";

/// What a crash may lose.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Far more devices than fetch between two call-ins; with what each needs, 4 MiB.
const MAX_SAVED: usize = 16_384;
const MAX_FILE_BYTES: usize = MAX_SAVED * 256;
