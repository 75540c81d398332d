//! A host with devices, and somebody who looks at its pages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engage_store::{
    AuditBatch, Call, ConfigUpload, DeviceId, DeviceObservation, DeviceStore, KeepDays, SqlOptions,
    SqlStore,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::harness::{
    Browser, Daemon, Host, Installation, Response, Role, ask_admin, bearer, exchange, get,
};

/// A running host, and a token for its pages.
pub(super) struct Pages {
    installation: Installation,
    daemon: Daemon,
    admin: SocketAddr,
    token: String,
}

/// What a lock delivered in its last night.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) battery: String,
    pub(super) site: &'static str,
    /// So many hours ago.
    pub(super) seen: i64,
    /// The code of its one event.
    pub(super) event: &'static str,
}

impl Lock {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            name: format!("Door {number}"),
            battery: format!("{}.{}", 4 + number % 2, number % 10),
            site: ["hall", "garage"][usize::from(number.is_multiple_of(2))],
            seen: 2,
            event: "0B070000",
        }
    }

    pub(super) fn serial(&self) -> String {
        format!("{:016X}", self.number)
    }

    async fn call(self, store: Arc<SqlStore>, now: Timestamp) {
        let device: DeviceId = self.serial().parse().unwrap();
        let call = Call {
            device,
            peer: [10, 44, 0, 7].into(),
            is_authenticated: true,
            is_listed: true,
            received_at: now - SignedDuration::from_hours(self.seen),
        };
        let upload = json!({
            "lckPrmtrs": {"nm": self.name, "mdl": "NDE80"},
            "battV": {"main": self.battery},
            "fwVer": {"main": "03.08.02"},
            "wifiStngs": {"ssid": "doors", "psswd": "hunter2"},
        });
        let upload = ConfigUpload::parse(upload.to_string().as_bytes()).unwrap();
        store.save_config(&call, upload).await.unwrap();
        let audits = json!({"asyncEvents": [{"event": self.event, "time": "20261123021259"}]});
        let audits = AuditBatch::parse(audits.to_string().as_bytes()).unwrap();
        store.append_audits(&call, audits).await.unwrap();
        let seen = DeviceObservation::Seen {
            address: call.peer,
            site: Some(self.site.to_owned()),
            is_registered: true,
        };
        store.observe(device, seen, call.received_at);
    }
}

impl Pages {
    /// With locks that are numbered from 1, and a token that reads.
    pub(super) fn with_locks(count: u64) -> Self {
        Self::start((1..=count).map(Lock::new), Role::Read)
    }

    pub(super) fn start(locks: impl IntoIterator<Item = Lock>, role: Role) -> Self {
        let installation = Host::installation("");
        record(&installation, locks);
        let token = installation.with_admin_token(role);
        let mut daemon = Daemon::start(&installation);
        let admin = daemon.admin();
        // The listeners do not wait for a slow disk.
        let deadline = Instant::now() + Duration::from_mins(1);
        while get(admin, "/readyz").status() != 200 {
            assert!(Instant::now() < deadline, "not ready");
            thread::yield_now();
        }
        Self {
            installation,
            daemon,
            admin,
            token,
        }
    }

    /// Whatever is answered there.
    pub(super) fn ask(&self, target: &str) -> Response {
        let request = format!("GET {target}");
        ask_admin(self.admin, &request, &bearer(&self.token), "")
    }

    /// The page there, as text.
    pub(super) fn page(&self, target: &str) -> String {
        let answer = self.ask(target);
        assert_eq!(answer.status(), 200, "{target}: {answer:?}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("text/html; charset=utf-8"), "{target}");
        String::from_utf8(answer.body).unwrap()
    }

    /// A file, to its end: HTTP/1.0 has no chunks.
    pub(super) fn download(&self, target: &str) -> Response {
        let Self { admin, token, .. } = self;
        let header = bearer(token);
        let request = format!("GET {target} HTTP/1.0\r\nHost: {admin}\r\n{header}\r\n");
        Response::parse(&exchange(*admin, request))
    }

    /// Somebody who has signed in.
    pub(super) fn browser(&self) -> Browser {
        let mut browser = Browser::new(self.admin);
        browser.signed_in(&self.token);
        browser
    }

    /// Somebody who has not.
    pub(super) fn stranger(&self) -> Browser {
        Browser::new(self.admin)
    }

    /// A program that takes a step of a change of the root.
    pub(super) fn take_step(&self, step: &str) {
        let headers = bearer(&self.token) + "Content-Type: application/json\r\n";
        let request = format!("POST /api/v1/rotation/{step}");
        let answer = ask_admin(self.admin, &request, &headers, "{}");
        assert_eq!(answer.status(), 200, "{answer:?}");
    }

    /// What the daemon serves.
    pub(super) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Handshakes go there.
    pub(super) fn https(&self) -> SocketAddr {
        self.daemon.https
    }
}

/// Night after night would take as long.
fn record(installation: &Installation, locks: impl IntoIterator<Item = Lock>) {
    let file = installation.path("Engage_Data/engage-host.db");
    let options = SqlOptions::sqlite(file);
    let store = Arc::new(SqlStore::open(options, KeepDays::new(365).unwrap()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let now = Timestamp::now();
    let locks: Vec<_> = locks.into_iter().collect();
    for locks in locks.chunks(2000) {
        runtime.block_on(async {
            // Together, so that they share a transaction.
            let mut tasks = tokio::task::JoinSet::new();
            for lock in locks.iter().cloned() {
                tasks.spawn(lock.call(Arc::clone(&store), now));
            }
            tasks.join_all().await;
        });
    }
    // Dropped, it has written everything.
}

/// The targets of the links of a page, as they are asked for.
pub(super) fn links(page: &str) -> Vec<String> {
    let parts = page.split("href=\"").skip(1);
    let links = parts.map(|part| part.split('"').next().unwrap().replace("&amp;", "&"));
    links.collect()
}

/// Where the next page is.
pub(super) fn next(page: &str) -> Option<String> {
    let end = page.find("\" rel=\"next\"")?;
    links(&page[..=end]).pop()
}

/// How often a text stands in another.
pub(super) fn count(page: &str, text: &str) -> usize {
    page.matches(text).count()
}
