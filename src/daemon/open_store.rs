//! Opens the store beside the listeners, however long that takes.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::config::DevicesConfig;
use crate::recording::{CallInError, database};
use engage_store::{
    ImportError, ImportNews, OpenError, SqlOptions, SqlStore, Store, StoreHandle, take_over,
};
use engage_wire::diagnostic::{causes, one_line};

/// Opens the store on a thread of its own: certificates are served meanwhile, however much there
/// is to look at. Mostly it is done before the first request.
pub(super) fn open_in_background(
    root: &Path,
    devices: &DevicesConfig,
) -> Result<StoreHandle, OpenError> {
    let store = StoreHandle::default();
    let (opening, root, devices) = (store.clone(), root.to_owned(), devices.clone());
    let (first_attempt, attempted) = sync_channel(1);
    thread::spawn(move || open_until_done(&opening, &root, &devices, &first_attempt));
    match attempted.recv_timeout(OPEN_FIRST) {
        Ok(Err(held)) => return Err(held),
        Ok(Ok(())) => {}
        Err(_) => {
            info!("the device store is still being opened; certificates are served meanwhile");
        }
    }
    Ok(store)
}

/// Tells `first_attempt` whether another process has the store, and ends then if that is heard.
fn open_until_done(
    store: &StoreHandle,
    root: &Path,
    devices: &DevicesConfig,
    first_attempt: &SyncSender<Result<(), OpenError>>,
) {
    let mut logged = String::new();
    loop {
        let error = match open_store(store, root, devices) {
            Ok(opened) => {
                store.set(opened);
                let _ = first_attempt.try_send(Ok(()));
                return;
            }
            Err(error) => error,
        };
        let reason = one_line(&error);
        store.set_failure(causes(&error));
        let attempt = match error {
            CallInError::Store(held @ OpenError::Held { .. }) => Err(held),
            _ => Ok(()),
        };
        let is_held = attempt.is_err();
        let heard = first_attempt.try_send(attempt);
        if is_held && heard.is_ok() {
            return;
        }
        if reason != logged {
            error!("call-ins are answered 503 until the store can be opened: {reason}");
            logged = reason;
        }
        thread::sleep(REOPEN_INTERVAL);
    }
}

fn open_store(
    store: &StoreHandle,
    root: &Path,
    devices: &DevicesConfig,
) -> Result<Arc<dyn Store>, CallInError> {
    let database = database(devices, root);
    if devices.database_url.is_none() {
        take_over_files(store, root, &database)?;
    }
    Ok(Arc::new(SqlStore::open(database, devices.keep_audits)?))
}

/// What version 0.1.0 kept in files comes into the database before the first call-in does.
fn take_over_files(
    store: &StoreHandle,
    root: &Path,
    database: &SqlOptions,
) -> Result<(), ImportError> {
    let root = root.display();
    let mut logged = Instant::now();
    let imported = take_over(database, &mut |news| match news {
        ImportNews::LeftOut(text) => warn!("not taken over into the database: {text}"),
        ImportNews::Progress { devices, of } => {
            let text = format!(
                "the records in `{root}` are being taken over into the database: {devices} of {of} devices"
            );
            if logged.elapsed() >= PROGRESS_INTERVAL {
                logged = Instant::now();
                info!("{text}");
            }
            store.set_failure(text);
        }
    })?;
    if let Some(imported) = imported {
        info!(
            devices = imported.devices,
            events = imported.events,
            quarantined = imported.quarantined,
            left_out = imported.left_out,
            "took over {} devices with {} events from the files in `{root}` into the database; {} things were left out; the files stay as they are",
            imported.devices,
            imported.events,
            imported.left_out
        );
    }
    Ok(())
}

/// For how long the listeners wait for the store.
const OPEN_FIRST: Duration = Duration::from_secs(1);

/// Between log lines while records are taken over.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

const REOPEN_INTERVAL: Duration = Duration::from_secs(5);
