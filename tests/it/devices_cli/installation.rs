//! A configuration and a database as a night leaves them.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;

use engage_store::{
    Alert, AuditBatch, Call, CallInWindow, ConfigUpload, DeviceObservation, DeviceStore, KeepDays,
    SqlOptions, SqlStore,
};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::harness::{Finished, program, run};

pub(super) const LOBBY: &str = "0123456789ABCDEF";
pub(super) const CELLAR: &str = "addr-10.44.0.7";
pub(super) const RECEIVED_AT: &str = "2026-11-23T02:13:05Z";

pub(super) fn call(device: &str, peer: &str, received_at: &str) -> Call {
    Call {
        device: device.parse().unwrap(),
        peer: peer.parse().unwrap(),
        is_authenticated: false,
        is_listed: false,
        received_at: moment(received_at),
    }
}

/// A configuration and its device directory; the daemon's other files are not needed.
pub(super) struct Installation(pub(super) TempDir);

impl Installation {
    /// No directory yet.
    pub(super) fn new() -> Self {
        let installation = Self(tempfile::tempdir().unwrap());
        installation.write(
            "config.toml",
            "static_dir = \"static\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [https]\nlisten = \"127.0.0.1:0\"\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\n\
             [[site]]\nname = \"hall\"\nkey_file = \"site.key\"\ncertificate = \"ca.der\"\n",
        );
        installation
    }

    /// Two devices after a night, through the store.
    pub(super) fn after_a_night() -> Self {
        let installation = Self::new();
        let store = installation.store();
        let lobby = call(LOBBY, "10.44.0.6", RECEIVED_AT);
        for observation in [
            DeviceObservation::Seen {
                address: lobby.peer,
                site: Some("hall".into()),
                is_registered: false,
            },
            DeviceObservation::CertificateFetched {
                fingerprint: "ab:cd".into(),
            },
            DeviceObservation::TlsSession {
                version: "1.2".into(),
            },
        ] {
            store.observe(lobby.device, observation, lobby.received_at);
        }
        now(store.save_config(&lobby, ConfigUpload::parse(UPLOAD).unwrap()));
        now(store.append_audits(&lobby, AuditBatch::parse(AUDITS).unwrap()));
        now(store.append_alert(
            &lobby,
            Alert::parse(br#"{"event":"06050000","time":"20261123030000"}"#).unwrap(),
        ));
        let window = CallInWindow::parse("00:00-04:00", "Europe/Berlin").unwrap();
        now(store.db_answer(&lobby, "0x8d1a1399bddb51d", &window));
        now(store.append_audits(
            &call(CELLAR, "10.44.0.7", "2026-11-23T03:00:00Z"),
            AuditBatch::parse(br#"{"asyncEvents":[{"event":"0B070000","time":"soon"}]}"#).unwrap(),
        ));
        // Dropped, it has written everything.
        installation
    }

    /// Keeps for ever: the retention must not remove a night of 2026 from a test of later years.
    pub(super) fn store(&self) -> SqlStore {
        let keep = KeepDays::new(36_500).unwrap();
        SqlStore::open(SqlOptions::sqlite(self.database()), keep).unwrap()
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.path().join("Engage_Data/engage-host.db")
    }

    pub(super) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, contents).unwrap();
    }

    pub(super) fn append(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        let mut file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Runs `engage-host devices`; messages name the folder as `$`.
    pub(super) fn devices(&self, args: &[&str]) -> Finished {
        run(program()
            .arg("devices")
            .args(args)
            .current_dir(self.0.path()))
    }

    pub(super) fn shown(&self, args: &[&str]) -> String {
        let finished = self.devices(args);
        let text = format!(
            "exit {}\n{}{}",
            finished.code.unwrap(),
            finished.stdout_text(),
            finished.stderr_text()
        );
        let folder = self.0.path().canonicalize().unwrap();
        text.replace(folder.to_str().unwrap(), "$")
            .replace(self.0.path().to_str().unwrap(), "$")
    }
}

/// Waits for the store.
pub(super) fn now<T, E: std::fmt::Debug>(work: impl Future<Output = Result<T, E>>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
        .unwrap()
}

pub(super) fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const UPLOAD: &[u8] = br#"{"lckPrmtrs":{"nm":"Lobby","mdl":"NDE80"},"fwVer":{"main":"03.08.02"},
    "battV":{"main":5.8},"wifiStngs":{"ssid":"doors","psswd":"hunter2","usrNm":"hunter2"}}"#;

const AUDITS: &[u8] = br#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"},
    {"event":11111111,"time":20051013130309},{"event":"?","time":"?","extra":[1]}],
    "nxtDbVerTS":"0x8d1a1399bddb51d"}"#;
