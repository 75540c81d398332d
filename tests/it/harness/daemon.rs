//! The daemon itself: started, listened to, and stopped with the test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Installation, program};

/// A running `engage-host serve`.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    lines: Receiver<String>,
    seen: Vec<String>,
    reader: Option<JoinHandle<()>>,
    /// The reader passes it before each line.
    gate: Arc<Mutex<()>>,
}

impl Daemon {
    /// Starts the daemon and waits until both listeners have said where they listen.
    pub(crate) fn start(installation: &Installation) -> Self {
        Self::start_with(installation, |_| {})
    }

    /// As [`Daemon::start`], with further arguments or environment.
    pub(crate) fn start_with(
        installation: &Installation,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = program();
        command
            .arg("serve")
            .arg("--config")
            .arg(installation.path("config.toml"));
        change(&mut command);
        Self::run(&mut command)
    }

    /// Runs a command that ends up as `engage-host serve`, and waits as [`Daemon::start`] does.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        // Drains to the end even if nobody asks: a full pipe would stop the daemon.
        let gate = Arc::new(Mutex::new(()));
        let passed = Arc::clone(&gate);
        let reader = thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                line.clear();
                drop(passed.lock());
            }
        });
        let mut daemon = Self {
            child,
            http: ([127, 0, 0, 1], 0).into(),
            https: ([127, 0, 0, 1], 0).into(),
            lines,
            seen: Vec::new(),
            reader: Some(reader),
            gate,
        };
        daemon.http = daemon.address_after("listening on http://");
        daemon.https = daemon.address_after("listening on https://");
        daemon
    }

    /// Waits for a line of the log that contains `text`; one seen before counts.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        let deadline = Instant::now() + DEADLINE;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("the log does not say `{text}`:\n{}", self.seen.concat());
    }

    /// Waits for `count` lines of the log that contain `text`, and returns the last of them.
    pub(crate) fn wait_for_count(&mut self, text: &str, count: usize) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(line) = self.seen(text).nth(count - 1) {
                return line.to_owned();
            }
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => {
                    panic!(
                        "the log does not say `{text}` {count} times:\n{}",
                        self.seen.concat()
                    )
                }
            }
        }
    }

    /// The lines seen so far that contain `text`. What has not been waited for may be missing.
    pub(crate) fn seen(&self, text: &str) -> impl Iterator<Item = &str> {
        self.seen
            .iter()
            .filter(move |line| line.contains(text))
            .map(String::as_str)
    }

    /// Where the admin listener listens; it must be switched on.
    pub(crate) fn admin(&mut self) -> SocketAddr {
        self.address_after("listening on admin http://")
    }

    /// Where it listens with TLS.
    pub(crate) fn admin_tls(&mut self) -> SocketAddr {
        self.address_after("listening on admin https://")
    }

    /// Asks the daemon to stop, as a service supervisor does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks the daemon to reload, as `systemctl reload` does.
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Sends a signal by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", "kill -\"$1\" \"$2\"", "sh", name])
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for the end that [`Daemon::terminate`] brings: exit code and the whole log.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                // Its standard error is closed: it has ended.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("the daemon did not stop:\n{}", self.seen.concat())
                }
            }
        }
        (self.child.wait().unwrap().code(), self.seen.concat())
    }

    /// While it is locked, nobody reads the daemon's standard error.
    pub(crate) fn log_gate(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.gate)
    }

    /// Waits for the end of the process, whether or not anybody reads its log.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the daemon did not stop");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn address_after(&mut self, text: &str) -> SocketAddr {
        let line = self.wait_for(text);
        let (_, rest) = line.split_once(text).unwrap();
        let end = rest
            .find(|it: char| !(it.is_ascii_hexdigit() || ".:[]".contains(it)))
            .unwrap_or(rest.len());
        rest[..end].parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Longer than the daemon's own drain of 20 s.
const DEADLINE: Duration = Duration::from_secs(40);
