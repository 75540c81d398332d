//! Programs run to their end, within a deadline.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Installation;

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Finished {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard error from its first error on: without the log and its warnings.
    pub(crate) fn errors(&self) -> String {
        self.stderr_text()
            .split_inclusive('\n')
            .skip_while(|line| !line.starts_with("error: "))
            .collect()
    }
}

/// The program under test, without the caller's logging settings.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engage-host"));
    command.env_remove("RUST_LOG");
    command
}

/// `serve` with a limit of open descriptors.
pub(crate) fn with_descriptors(installation: &Installation, limit: usize) -> Command {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -n {limit} && exec \"$@\"");
    command
        .args(["-c", &limited, "sh"])
        .arg(program().get_program())
        .env_remove("RUST_LOG")
        .args(["serve", "--config"])
        .arg(installation.path("config.toml"));
    command
}

/// Runs `openssl` in `folder` and fails the test if it fails.
pub(crate) fn openssl<A: AsRef<OsStr>>(
    folder: &Path,
    args: impl IntoIterator<Item = A>,
) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(args).current_dir(folder);
    let finished = run(&mut command);
    assert_eq!(
        finished.code,
        Some(0),
        "{command:?}: {}",
        finished.stderr_text()
    );
    finished.stdout
}

pub(crate) fn run(command: &mut Command) -> Finished {
    run_with_input(command, b"")
}

/// Runs a program with `input` on its standard input. One that outlives [`DEADLINE`] is killed,
/// and fails the test.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
    // Who does not read its input must not fail the test; it shows in the output.
    let _ = child.stdin.take().unwrap().write_all(input);
    let (sender, receiver) = mpsc::channel();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::spawn(move || {
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text)
        });
        let mut text = Vec::new();
        let read = stdout.read_to_end(&mut text);
        let _ = sender.send((read.map(|_| text), errors.join().unwrap()));
    });
    let Ok((stdout, stderr)) = receiver.recv_timeout(DEADLINE) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} did not finish within {DEADLINE:?}");
    };
    Finished {
        code: child.wait().unwrap().code(),
        stdout: stdout.unwrap(),
        stderr: stderr.unwrap(),
    }
}

const DEADLINE: Duration = Duration::from_mins(1);
