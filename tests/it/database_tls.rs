//! PostgreSQL over TLS with passwords: who is let in, and what is said of who is not.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::database::postgres::PostgresServer;
use crate::harness::{CA, Certificate, Daemon, Host, Installation, Key, Request, shown};

const AUDIT: &str = "/swordfish/lock/audit?sn=0123456789ABCDEF";
const BODY: &str = r#"{"event":"0B040001","time":"20261123021259"}"#;
const PASSWORD: &str = "p/w?@:%20#";

/// A server that lets in over TLS and with a password only, at an address of loopback that is its
/// own: so its port cannot be taken.
struct TlsServer {
    server: PostgresServer,
    address: String,
    /// Leads there too.
    other_address: String,
    ca: Certificate,
}

/// Shared by the tests of a process.
fn tls_server() -> Option<&'static TlsServer> {
    static SERVER: OnceLock<Option<TlsServer>> = OnceLock::new();
    SERVER.get_or_init(TlsServer::start).as_ref()
}

impl TlsServer {
    fn start() -> Option<Self> {
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = format!("127.{}.{middle}.{low}", 64 + high);
        let other_address = format!("127.{}.{middle}.{low}", 128 + high);
        let ca = Request::new("Database CA", Key::Root, CA).self_signed();
        let extensions =
            format!("basicConstraints = critical, CA:FALSE\nsubjectAltName = IP:{address}\n");
        let certificate = Request::new("db", Key::Server, &extensions).issued_by(&ca);
        let addresses = format!("{address},{other_address}");
        let server = PostgresServer::start_with(|it| prepare(it, &addresses, &certificate))?;
        server.psql("postgres", ROLES);
        for database in [
            "engage_main",
            "engage_newer",
            "engage_rights",
            "engage_rotated",
        ] {
            server.psql(
                "postgres",
                &format!("CREATE DATABASE {database} OWNER host"),
            );
        }
        server.psql("engage_newer", NEWER);
        Some(Self {
            server,
            address,
            other_address,
            ca,
        })
    }

    /// An installation that names a database as a user, with the right password and CA.
    fn installation(&self, user: &str, database: &str) -> Installation {
        let url = format!("postgres://{user}@{}/{database}", self.address);
        let installation = Host::installation(&format!(
            "database_url = \"{url}\"\ndatabase_password_file = \"db.password\"\ndatabase_ca_file = \"db-ca.pem\"\n"
        ));
        installation.write("db.password", format!("{PASSWORD}\n"));
        installation.write("db-ca.pem", &self.ca.pem);
        installation
    }
}

fn sessions(database: &str) -> String {
    format!(
        "FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE ssl AND datname = '{database}'"
    )
}

fn prepare(folder: &Path, addresses: &str, certificate: &Certificate) {
    use std::os::unix::fs::PermissionsExt;

    let settings = format!(
        "listen_addresses = '{addresses}'\nssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n",
        folder = folder.display()
    );
    for (name, contents) in [
        ("postgresql.conf", settings.as_str()),
        ("pg_hba.conf", HBA),
        ("server.crt", &certificate.pem),
        ("server.key", &certificate.key.pem()),
    ] {
        fs_err::write(folder.join(name), contents).unwrap();
    }
    let mode = std::fs::Permissions::from_mode(0o600);
    fs_err::set_permissions(folder.join("server.key"), mode).unwrap();
}

const HBA: &str = "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n";

const ROLES: &str = "CREATE ROLE host LOGIN PASSWORD 'p/w?@:%20#'; \
    CREATE ROLE stranger LOGIN PASSWORD 'p/w?@:%20#'";

const NEWER: &str = "CREATE TABLE schema_version (id BIGINT PRIMARY KEY, version BIGINT); \
    INSERT INTO schema_version VALUES (1, 99); ALTER TABLE schema_version OWNER TO host";

#[test]
fn a_server_whose_certificate_is_of_the_ca_file_and_names_it_is_used() {
    let Some(server) = tls_server() else { return };
    let installation = server.installation("host", "engage_main");
    let checked = installation.check(&[]);
    assert!(checked.code == Some(0), "{checked:?}");
    let host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(host.call("POST", AUDIT, BODY).status(), 201);
    let sessions = sessions("engage_main");
    let count = server
        .server
        .psql("postgres", &format!("SELECT count(*) > 0 {sessions}"));
    assert_eq!(count, "t", "it is under TLS");
}

/// What `check` says, and what the log says of a daemon that goes on trying.
fn assert_refused(server: &TlsServer, name: &str, installation: &Installation) {
    let checked = installation.check(&[]);
    assert_eq!(checked.code, Some(1), "{name}: {checked:?}");
    let checked = checked.stdout_text();
    let errors = checked.split_once("\nerror").unwrap().1;
    let mut daemon = Daemon::start(installation);
    let logged = daemon.wait_for("until the store can be opened");
    let (_, logged) = logged.split_once("call-ins are").unwrap();
    let told = format!("error{errors}\ncall-ins are{logged}");
    assert!(!told.contains(PASSWORD), "{told}");
    let told = told.replace(&server.address, "[address]");
    let told = told.replace(&server.other_address, "[other address]");
    assert_snapshot!(name, shown(installation, &told));
}

#[test]
fn who_is_not_let_in_is_told_what_to_do() {
    let Some(server) = tls_server() else { return };
    let main = || server.installation("host", "engage_main");
    let installation = main();
    let other = Request::new("Other CA", Key::Foreign, CA).self_signed();
    installation.write("db-ca.pem", &other.pem);
    assert_refused(server, "other_ca", &installation);
    // The same server at an address that its certificate does not name.
    let installation = main();
    installation.edit(&server.address, &server.other_address);
    assert_refused(server, "other_name", &installation);
    let installation = main();
    installation.write("db.password", "wrong");
    assert_refused(server, "wrong_password", &installation);
    let installation = main();
    installation.remove("db.password");
    assert_refused(server, "no_password_file", &installation);
    let installation = server.installation("stranger", "engage_rights");
    assert_refused(server, "no_right", &installation);
    let installation = server.installation("host", "engage_absent");
    assert_refused(server, "no_database", &installation);
    let installation = server.installation("host", "engage_newer");
    assert_refused(server, "newer_schema", &installation);
}

#[test]
fn a_password_that_is_changed_while_a_daemon_runs_is_read_again() {
    let Some(server) = tls_server() else { return };
    let TlsServer { server: psql, .. } = server;
    psql.psql(
        "postgres",
        "CREATE ROLE rotated LOGIN PASSWORD 'p/w?@:%20#'; \
        ALTER DATABASE engage_rotated OWNER TO rotated",
    );
    let installation = server.installation("rotated", "engage_rotated");
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    assert_eq!(host.call("POST", AUDIT, BODY).status(), 201);
    psql.psql("postgres", "ALTER ROLE rotated PASSWORD 'another'");
    let sessions = sessions("engage_rotated");
    psql.psql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid) {sessions}"),
    );
    // That the session was ended may have been told before.
    let line = host.daemon.wait_for("password authentication failed");
    assert!(
        line.contains("the device store cannot be written"),
        "{line}"
    );
    assert_eq!(host.call("POST", AUDIT, BODY).status(), 503);
    host.installation.write("db.password", "another");
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.call("POST", AUDIT, BODY).status() != 202 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(host.readiness().status(), 200);
}
