//! A PostgreSQL server of our own: on a Unix socket in a temporary directory, without TCP unless a
//! test wants it, as an unprivileged user. Ends with the process that asked for it, however that ends.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

/// The server that all tests of a process share; `None` where none is installed.
pub(crate) fn postgres() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(PostgresServer::start).as_ref()
}

pub(crate) struct PostgresServer {
    directory: PathBuf,
    programs: PathBuf,
    /// Its standard input takes commands; the server ends when that is closed.
    child: Mutex<Child>,
}

/// An empty database.
pub(crate) struct TestDatabase {
    name: String,
    directory: PathBuf,
}

impl PostgresServer {
    /// One for a test that ends it.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|_| {})
    }

    /// As [`start`](Self::start), with what `prepare` puts into the server's directory: more lines for
    /// its `postgresql.conf`, a `pg_hba.conf`, and files that they name.
    pub(crate) fn start_with(prepare: impl FnOnce(&Path)) -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                cfg!(windows) || std::env::var_os("CI").is_none(),
                "PostgreSQL is not installed: .ci/install installs it"
            );
            eprintln!("SKIPPED: PostgreSQL is not installed, nothing was tried with it");
            return None;
        };
        let directory = tempfile::tempdir().unwrap().keep();
        prepare(&directory);
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "sh"])
            .arg(&directory)
            .arg(&programs);
        #[cfg(unix)]
        let command = unprivileged(&mut command, &directory);
        let mut child = command
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(is_done(&mut child), "PostgreSQL does not start; see above");
        Some(Self {
            directory,
            programs,
            child: Mutex::new(child),
        })
    }

    /// Ends all its processes without a word to anybody.
    pub(crate) fn kill(&self) {
        self.command("kill");
    }

    /// Ends it as a failover does: sessions are told, and nothing is tidied up.
    pub(crate) fn stop(&self) {
        self.command("stop");
    }

    /// Stops all its processes where they are: it neither answers nor closes anything.
    pub(crate) fn suspend(&self) {
        self.command("suspend");
    }

    pub(crate) fn resume(&self) {
        self.command("resume");
    }

    pub(crate) fn restart(&self) {
        self.command("start");
    }

    fn command(&self, command: &str) {
        let mut child = self.child.lock();
        writeln!(child.stdin.as_ref().unwrap(), "{command}").unwrap();
        assert!(is_done(&mut child), "{command}");
    }

    /// Has `psql` run commands as the superuser, and returns what it prints.
    pub(crate) fn psql(&self, database: &str, commands: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-U",
            "engage",
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
        ]);
        psql.arg(&self.directory).args(["-c", commands, database]);
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{commands}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn create_database(&self) -> TestDatabase {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        TestDatabase {
            name,
            directory: self.directory.clone(),
        }
    }
}

impl TestDatabase {
    pub(crate) fn url(&self) -> String {
        let directory = self.directory.display();
        format!("postgres://engage@localhost/{}?host={directory}", self.name)
    }
}

/// Reads "done" to the byte: the next line is the next command's.
fn is_done(child: &mut Child) -> bool {
    let mut answer = [0; 5];
    let answered = child.stdout.as_mut().unwrap().read_exact(&mut answer);
    answered.is_ok() && answer == *b"done\n"
}

/// Debian keeps each version's beside each other.
fn programs() -> Option<PathBuf> {
    // wine would show those of the system that it runs on, which it cannot start as another user.
    if cfg!(windows) {
        return None;
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.map(|version| version.unwrap().path().join("bin"));
    programs.filter(|it| it.join("initdb").exists()).max()
}

/// PostgreSQL does not start as root. Who made the directory is who we are.
#[cfg(unix)]
fn unprivileged<'a>(command: &'a mut Command, directory: &Path) -> &'a mut Command {
    use std::fs::{Permissions, metadata, read_dir, set_permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;

    set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    if metadata(directory).unwrap().uid() != 0 {
        return command;
    }
    let files = read_dir(directory).unwrap().map(|it| it.unwrap().path());
    for path in files.chain([directory.to_owned()]) {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    command.uid(NOBODY).gid(NOBODY)
}

/// Ends the server when its input ends, and cleans up.
const SCRIPT: &str = r#"
set -e
start() {
    "$programs/pg_ctl" --pgdata "$1/data" --wait --silent --log "$1/log" start >>"$1/log" 2>&1
}
# The postmaster and its children.
send() {
    postmaster=$(head -n 1 "$2/data/postmaster.pid")
    kill -"$1" $postmaster $(cat /proc/$postmaster/task/$postmaster/children)
}
programs=$2
"$programs/initdb" --pgdata "$1/data" --username engage --auth trust --encoding UTF8 --no-locale --no-sync >"$1/initdb.log"
printf "unix_socket_directories = '%s'\nlisten_addresses = ''\nmax_connections = 400\n" "$1" >>"$1/data/postgresql.conf"
[ ! -e "$1/postgresql.conf" ] || cat "$1/postgresql.conf" >>"$1/data/postgresql.conf"
[ ! -e "$1/pg_hba.conf" ] || cp "$1/pg_hba.conf" "$1/data/pg_hba.conf"
start "$1"
echo done
while read -r command; do
    case $command in
        # The postmaster by its id; its children end themselves when it is gone.
        kill) kill -KILL "$(head -n 1 "$1/data/postmaster.pid")" ;;
        start) until start "$1"; do sleep 0.1; done ;;
        stop) "$programs/pg_ctl" --pgdata "$1/data" --mode immediate --wait --silent stop >>"$1/log" 2>&1 ;;
        suspend) send STOP "$1" ;;
        resume) send CONT "$1" ;;
    esac
    echo done
done
"$programs/pg_ctl" --pgdata "$1/data" --mode immediate --silent stop >>"$1/log" 2>&1 || true
rm -rf "$1"
"#;
