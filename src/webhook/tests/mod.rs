//! Deliveries from a real store to a receiver on the loopback interface that behaves as told.

mod delivery;
mod order;
mod receiver;
mod refusals;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use engage_store::{
    Alert, AuditBatch, Call, DeviceId, DeviceStore, KeepDays, SqlOptions, SqlStore,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A store as the daemon has it, in a folder of its own.
struct TestStore {
    store: Arc<SqlStore>,
    options: SqlOptions,
    _folder: TempDir,
}

impl TestStore {
    /// Keeps for ever: the retention must not remove a night of 2026 from a test of later years.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keep = KeepDays::new(36_500).unwrap();
        let options = SqlOptions::sqlite(folder.path().join("engage-host.db"));
        let store = Arc::new(SqlStore::open(options.clone(), keep).unwrap());
        Self {
            store,
            options,
            _folder: folder,
        }
    }

    /// Stores a batch of audits, whose events have these numbers.
    async fn append(&self, device: u64, at: &str, events: impl Iterator<Item = u32>) {
        let events: Vec<_> = events
            .map(|event| format!(r#"{{"event":"{event:08X}","time":"20261123021259"}}"#))
            .collect();
        let body = format!(r#"{{"asyncEvents":[{}]}}"#, events.join(","));
        let batch = AuditBatch::parse(body.as_bytes()).unwrap();
        let call = call(device, at);
        self.store.append_audits(&call, batch).await.unwrap();
    }

    async fn append_alert(&self, device: u64, at: &str, event: u32) {
        let body = format!(r#"{{"event":"{event:08X}","time":"20261123021259"}}"#);
        let alert = Alert::parse(body.as_bytes()).unwrap();
        let call = call(device, at);
        self.store.append_alert(&call, alert).await.unwrap();
    }

    fn deliver_to(&self, receiver: Receiver) -> RunningDelivery {
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let metrics = crate::telemetry::Metrics::new().deliveries();
        let appended = subscribe(&*self.store);
        let log = Arc::clone(&self.store) as _;
        let task = tokio::spawn(run(receiver, log, appended, metrics, None, shutdown));
        RunningDelivery { stop, task }
    }
}

fn call(device: u64, at: &str) -> Call {
    Call {
        device: device_id(device),
        peer: [10, 44, 0, 7].into(),
        is_authenticated: true,
        is_listed: false,
        received_at: at.parse().unwrap(),
    }
}

fn device_id(number: u64) -> DeviceId {
    format!("{number:016X}").parse().unwrap()
}

/// A daemon's delivery.
struct RunningDelivery {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl RunningDelivery {
    /// With delays of milliseconds.
    fn start(store: &TestStore, port: u16) -> Self {
        Self::start_with(store, port, quick())
    }

    fn start_with(store: &TestStore, port: u16, timing: DeliveryTiming) -> Self {
        store.deliver_to(receiver_at(port, timing))
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = timeout(Duration::from_secs(10), self.task).await;
        ended.expect("it stops in time").unwrap();
    }

    /// As a SIGKILL would: nothing of it runs on.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }
}

fn quick() -> DeliveryTiming {
    DeliveryTiming {
        connect_timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(1),
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(20),
        rescan_interval: Duration::from_mins(1),
    }
}

fn receiver_at(port: u16, timing: DeliveryTiming) -> Receiver {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    fs_err::write(&secret_file, format!("{SECRET}\n")).unwrap();
    let config = WebhookConfig {
        url: format!("http://127.0.0.1:{port}/in?x=1").parse().unwrap(),
        secret_file,
        ca_file: None,
    };
    Receiver::with_timing(&config, timing).unwrap()
}
