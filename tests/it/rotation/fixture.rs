//! A host whose root is being changed, and clients that trust only one of the two.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use engage_store::{
    AnchorChange, Overlap, Replaced, Rotation, RotationId, RotationReport, RotationStep,
    SqlOptions, StoreReader, StoreWriter,
};
use engage_wire::pki::{Certificate as Parsed, Fingerprint};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::harness::{
    Chain, Daemon, Finished, Host, Installation, Key, Response, connect_from, get_from,
    read_answer, request, run_with_input, standard,
};

pub(super) const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// The chain that replaces the standard one: no name and no key but the intermediate's is the same.
pub(super) fn new_chain() -> &'static Chain {
    static NEW: OnceLock<Chain> = OnceLock::new();
    NEW.get_or_init(|| {
        Chain::issue(|[server, intermediate, root]| {
            server.key = Key::Foreign;
            intermediate.subject = "/O=Partner/CN=Partner Intermediate 2".into();
            root.subject = "/O=Partner/CN=Partner CA 2".into();
            root.key = Key::Rsa(2048);
        })
    })
}

pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    Parsed::parse(der.to_vec()).unwrap().fingerprint()
}

/// The path of the new anchor in its URL.
pub(super) fn new_anchor_path() -> String {
    format!("/static/Device_Certificates/{}", new_anchor_file())
}

fn new_anchor_file() -> String {
    let fingerprint = fingerprint(&new_chain().root.der).to_string();
    let digits = fingerprint.replace(':', "").to_lowercase();
    format!("partner_CA-{}.der", &digits[..8])
}

/// What `engage-host rotate prepare` leaves beside the configured files.
pub(super) fn write_next(installation: &Installation) {
    let new = new_chain();
    installation.write("pki/next/root.crt", &new.root.pem);
    installation.write("pki/next/server.crt", new.pem());
    installation.write("pki/next/server.key", new.server.key.pem());
    let anchor = format!("pki/next/anchors/{}", new_anchor_file());
    installation.write(&anchor, &new.root.der);
}

/// The row of the store, which no command writes here.
pub(super) struct Row {
    options: SqlOptions,
    id: RotationId,
    pub(super) revision: i64,
    pub(super) overlap: Overlap,
}

impl Row {
    pub(super) fn new(options: SqlOptions) -> Self {
        Self {
            options,
            id: RotationId::random().unwrap(),
            revision: 0,
            overlap: Overlap::Select,
        }
    }

    pub(super) fn reader(&self) -> StoreReader {
        StoreReader::open(&self.options).unwrap()
    }

    pub(super) fn set(&mut self, step: RotationStep) {
        let now = Timestamp::now();
        self.replace(Some(Rotation {
            id: self.id,
            step,
            overlap: self.overlap,
            leaf: fingerprint(&new_chain().server.der),
            anchors: vec![AnchorChange {
                site: "Main Office".into(),
                old: fingerprint(&standard().root.der),
                new: fingerprint(&new_chain().root.der),
            }],
            began_at: now,
            step_at: now,
        }));
    }

    pub(super) fn replace(&mut self, next: Option<Rotation>) {
        let mut writer = StoreWriter::open(&self.options).unwrap();
        let replaced = writer.replace_rotation(self.revision, next).unwrap();
        let Replaced::Stored(stored) = replaced else {
            panic!("{replaced:?}");
        };
        self.revision = stored.revision;
    }
}

/// A host in a rotation.
pub(super) struct Rotating {
    pub(super) host: Host,
    pub(super) row: Row,
    pub(super) clients: Clients,
}

impl Rotating {
    /// With the new files in place, and nothing begun.
    pub(super) fn start() -> Self {
        let installation = Host::installation("");
        write_next(&installation);
        Self::start_on(installation)
    }

    pub(super) fn start_on(installation: Installation) -> Self {
        let database = installation.path("Engage_Data/engage-host.db");
        let daemon = Daemon::start(&installation);
        Self {
            host: Host {
                installation,
                daemon,
            },
            row: Row::new(SqlOptions::sqlite(database)),
            clients: Clients::new(),
        }
    }

    /// Has the daemon follow, and waits until it has.
    pub(super) fn step(&mut self, step: RotationStep) {
        self.row.set(step);
        self.host.daemon.hang_up();
        self.report();
    }

    /// What the daemon tells the store that it serves, once that is what the row says.
    pub(super) fn report(&self) -> RotationReport {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let hosts = self.row.reader().rotation_reports().unwrap();
            let mut reports = hosts.iter().filter_map(|host| host.report.clone());
            match reports.find(|report| report.revision == self.row.revision) {
                Some(report) => return report,
                None => assert!(Instant::now() < deadline, "{hosts:?}"),
            }
        }
    }

    /// Ends the daemon so that it writes what it knows, and starts it again.
    pub(super) fn restart(self) -> Self {
        let Self { host, row, clients } = self;
        let (installation, _) = host.stop();
        let daemon = Daemon::start(&installation);
        let host = Host {
            installation,
            daemon,
        };
        Self { host, row, clients }
    }

    pub(super) fn stop(self) -> Installation {
        self.host.stop().0
    }

    pub(super) fn accepts(&self, from: &str, trusted: Trusted) -> bool {
        self.clients.accepts(self.host.daemon.https, from, trusted)
    }

    pub(super) fn s_client(&self, from: &str, trusted: Trusted, args: &[&str]) -> Finished {
        self.clients
            .s_client(self.host.daemon.https, from, trusted, args)
    }

    /// The path that is announced, and the hash.
    pub(super) fn announced(&self) -> (String, String) {
        let answer = get_from([127, 0, 0, 99], self.host.daemon.http, ANNOUNCEMENT);
        let url = answer.json("cert_url");
        let (_, path) = url.split_once("/static/").unwrap();
        (format!("/static/{path}"), answer.json("hash"))
    }

    pub(super) fn fetch_new(&self, from: &str) {
        fetch_new(&self.host.daemon, from);
    }
}

/// Takes the new anchor whole, which the daemon knows for certain.
pub(super) fn fetch_new(daemon: &Daemon, from: &str) {
    let from: std::net::IpAddr = from.parse().unwrap();
    let mut stream = connect_from(from, daemon.http);
    let fetch = request("GET", &new_anchor_path(), "", b"");
    stream.write_all(&fetch).unwrap();
    let fetched: Response = read_answer(&mut stream);
    assert_eq!(fetched.body, new_chain().root.der);
    // Its next request says that it has it.
    let next = request("GET", "/", "", b"");
    stream.write_all(&next).unwrap();
    read_answer(&mut stream);
}

const DEADLINE: Duration = Duration::from_secs(30);

/// What a client trusts, and nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trusted {
    OldRoot,
    NewRoot,
}

/// OpenSSL's own.
pub(super) struct Clients(TempDir);

impl Clients {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("OldRoot.pem"), &standard().root.pem).unwrap();
        fs_err::write(folder.path().join("NewRoot.pem"), &new_chain().root.pem).unwrap();
        Self(folder)
    }

    fn anchor(&self, trusted: Trusted) -> PathBuf {
        self.0.path().join(format!("{trusted:?}.pem"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Whether a handshake succeeds; it is the first thing that the client does on a connection, and
    /// the only attempt.
    pub(super) fn accepts(&self, https: SocketAddr, from: &str, trusted: Trusted) -> bool {
        let asked = self.s_client(https, from, trusted, &["-quiet"]);
        let is_answered = asked.stdout_text().starts_with("HTTP/1.1 200 OK\r\n");
        assert_eq!(asked.code == Some(0), is_answered, "{asked:?}");
        is_answered
    }

    pub(super) fn s_client(
        &self,
        https: SocketAddr,
        from: &str,
        trusted: Trusted,
        args: &[&str],
    ) -> Finished {
        let request =
            format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        run_with_input(
            Command::new("openssl")
                .args([
                    "s_client",
                    "-verify_return_error",
                    "-no-CApath",
                    "-no-CAstore",
                ])
                .args(["-bind", &format!("{from}:0"), "-CAfile"])
                .arg(self.anchor(trusted))
                .args(["-connect", &https.to_string()])
                .args(args),
            request.as_bytes(),
        )
    }
}

impl Rotating {
    pub(super) fn client_file(&self, name: &str) -> PathBuf {
        self.clients.path(name)
    }
}
