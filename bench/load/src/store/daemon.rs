//! A daemon with a store of its own, and devices that deliver to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use engage_device::{Request, connect_from, exchange};
use fs_err as fs;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::Engine;
use crate::device::{address, soon};
use crate::host;
use crate::process::{Server, free_address};
use crate::trouble::{Outcome, Trouble, While};

/// Certificates, keys and a configuration, as `engage-host init` makes them.
pub(super) struct Installed {
    pub(super) engage_host: PathBuf,
    pub(super) work: PathBuf,
    config: String,
}

pub(super) struct Daemon {
    pub(super) server: Server,
    admin: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub(super) ready_after: Duration,
}

impl Installed {
    pub(super) fn new(engage_host: &Path, work: &Path) -> Outcome<Self> {
        host::init(engage_host, work)?;
        Ok(Self {
            engage_host: engage_host.canonicalize()?,
            work: work.to_owned(),
            config: fs::read_to_string(work.join("config.toml"))?,
        })
    }

    /// Writes a configuration for `engine` and returns its file. Without TLS and without the copies in
    /// files: it is the store that is measured.
    pub(super) fn configure(&self, engine: &Engine, admin: SocketAddr) -> Outcome<PathBuf> {
        let name = engine.name();
        let directory = match engine {
            Engine::Sqlite(file) => file.parent().unwrap_or(&self.work).to_owned(),
            Engine::Postgres(_) => self.work.join(name),
        };
        fs::create_dir_all(&directory)?;
        let file = self.work.join(format!("{name}.toml"));
        let config = host::with_admin(&self.config, &admin.to_string());
        let url = engine.url();
        let directory = directory.display();
        let text = format!(
            "{config}\n[devices]\ndirectory = \"{directory}\"\ndatabase_url = \"{url}\"\nplain_http = true\njson_files = false\n[limits]\ndevice_day_bytes = 1073741824\n"
        );
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Starts a daemon and waits until it is ready.
    pub(super) async fn start(&self, engine: &Engine) -> Outcome<Daemon> {
        let (http, https, admin) = (free_address()?, free_address()?, free_address()?);
        let config = self.configure(engine, admin)?;
        let log = fs::File::create(self.work.join("log").join(engine.name()))?;
        let mut command = Command::new(&self.engage_host);
        command
            .args([
                "serve",
                "--http",
                &http.to_string(),
                "--https",
                &https.to_string(),
            ])
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log.into_parts().0);
        let started = Instant::now();
        let mut daemon = Daemon {
            server: Server::spawn(&mut command, http, https)?,
            admin,
            ready_after: Duration::ZERO,
        };
        while daemon.readiness().await.unwrap_or(0) != 200 {
            if started.elapsed() > Duration::from_mins(1) {
                return Err(Trouble::new("the daemon does not become ready"));
            }
            sleep(Duration::from_millis(2)).await;
        }
        daemon.ready_after = started.elapsed();
        Ok(daemon)
    }
}

impl Daemon {
    async fn readiness(&self) -> Outcome<u16> {
        let url = format!("http://{}/readyz", self.admin).parse();
        let url: engage_wire::HttpUrl = url.doing("making a URL")?;
        let mut stream = TcpStream::connect(self.admin).await?;
        status(&mut stream, &Request::get(&url)).await
    }

    /// Fetches the announcement over a connection of its own.
    pub(super) async fn fetch(&self) -> Outcome<Duration> {
        let started = Instant::now();
        let url = format!(
            "http://{}/swordfish/lock/certificates/current",
            self.server.http
        );
        let url: engage_wire::HttpUrl = url.parse().doing("making a URL")?;
        let mut stream = TcpStream::connect(self.server.http).await?;
        match status(&mut stream, &Request::get(&url)).await? {
            200 => Ok(started.elapsed()),
            other => Err(Trouble::new(format!(
                "an announcement was answered {other}"
            ))),
        }
    }

    /// What the process has had of memory at most, in bytes.
    pub(super) fn peak_memory(&self) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.server.processes()[0]);
        let status = fs::read_to_string(&path)?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let peak = peak.ok_or_else(|| Trouble::new(format!("{path} is unreadable")))?;
        Ok(peak * 1024)
    }
}

/// A device that delivers over one connection.
pub(super) struct Caller {
    stream: TcpStream,
    url: engage_wire::HttpUrl,
    delivered: u32,
}

impl Caller {
    /// From an address of its own: new devices of one address are limited.
    pub(super) async fn connect(daemon: &Daemon, number: u32) -> Outcome<Self> {
        let http = daemon.server.http;
        let url = format!(
            "http://{http}/swordfish/lock/audit?sn={:016X}",
            SERIALS + number
        );
        let source = address(usize::try_from(number).unwrap_or(0));
        Ok(Self {
            stream: connect_from(source, http, soon())
                .await
                .doing("connecting")?,
            url: url.parse().doing("making a URL")?,
            delivered: 0,
        })
    }

    /// Delivers a batch of two events that was never delivered, and waits for its acknowledgement.
    pub(super) async fn deliver(&mut self) -> Outcome<()> {
        self.delivered += 1;
        let time = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let time = time.doing("reading the clock")?.as_nanos();
        let number = self.delivered;
        let body = format!(
            r#"{{"asyncEvents":[{{"event":"0B040001","time":"20261123021259"}},{{"event":"{number:08X}","time":"{time}"}}]}}"#
        );
        let request = Request::new("POST", &self.url).with_json(body.into_bytes());
        match status(&mut self.stream, &request.keep_alive()).await? {
            201 | 202 => Ok(()),
            other => Err(Trouble::new(format!("a batch was answered {other}"))),
        }
    }
}

async fn status(stream: &mut TcpStream, request: &Request) -> Outcome<u16> {
    let received = exchange(stream, request, soon()).await.doing("asking")?;
    Ok(received.response().doing("reading an answer")?.status())
}

/// Of the first caller; those of the large store are others.
const SERIALS: u32 = 0xCA11_0000;
