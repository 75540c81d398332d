//! The daemon that is soaked, and the disk and the clock that it is given.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engage_store::{EventFilter, SqlOptions, StoreReader};
use fs_err as fs;
use rustix::process::Signal;

use super::Soak;
use super::fleet::Acknowledged;
use super::footprint::Footprint;
use super::strangers::BALANCER_NETWORK;
use crate::host::{init, with_admin};
use crate::process::{Server, free_address};
use crate::trouble::{Outcome, Trouble, While};

pub(super) struct SoakedHost {
    pub(super) server: Server,
    work: PathBuf,
    disk: Option<SmallDisk>,
    clock: Option<PathBuf>,
    /// What could not be tried here, and why.
    pub(super) skipped: Vec<String>,
}

/// A file system of its own that can be filled. Unmounted when dropped.
struct SmallDisk(PathBuf);

impl SoakedHost {
    pub(super) fn start(soak: &Soak, receiver: SocketAddr) -> Outcome<Self> {
        if soak.work.join(MARK).exists() {
            fs::remove_dir_all(&soak.work).doing("emptying the work folder")?;
        }
        fs::create_dir_all(&soak.work).doing("making the work folder")?;
        let work = soak.work.canonicalize()?;
        fs::write(work.join(MARK), "bench/soak empties this folder\n")?;
        init(&soak.engage_host, &work)?;
        let mut skipped = Vec::new();
        let disk = SmallDisk::mount(&work.join(DEVICES), soak.minutes)
            .inspect_err(|reason| skipped.push(format!("a full disk: {reason}")))
            .ok();
        let clock = soak.faketime.as_ref().map(|_| work.join("clock"));
        match &clock {
            Some(clock) => fs::write(clock, "+0")?,
            None => skipped.push("clock steps: no libfaketime".to_owned()),
        }
        write_config(&work, receiver)?;
        let server = spawn(soak, &work, clock.as_deref())?;
        Ok(Self {
            server,
            work,
            disk,
            clock,
            skipped,
        })
    }

    pub(super) fn root_certificate(&self) -> PathBuf {
        self.work.join("static/Device_Certificates/partner_CA.der")
    }

    pub(super) fn footprint(&self) -> Outcome<Footprint> {
        Footprint::read(self.server.processes()[0])
    }

    pub(super) fn assert_running(&mut self) -> Outcome<()> {
        self.server.wait_until_listening()
    }

    pub(super) fn reload(&self) -> Outcome<()> {
        self.server.signal(Signal::HUP)
    }

    /// Seconds that the daemon's clock is ahead of ours.
    pub(super) fn set_clock(&self, ahead: u32) -> Outcome<()> {
        let Some(clock) = &self.clock else {
            return Ok(());
        };
        // Whole at any moment.
        let new = clock.with_extension("new");
        fs::write(&new, format!("+{ahead}"))?;
        fs::rename(new, clock).doing("setting the clock")
    }

    /// Not one byte is left.
    pub(super) async fn fill_disk(&self) -> Outcome<()> {
        let Some(SmallDisk(folder)) = &self.disk else {
            return Ok(());
        };
        let ballast = folder.join(BALLAST);
        let fill = move || -> Outcome<()> {
            let mut file = fs::File::create(ballast)?;
            for length in [1 << 20, 4096, 1] {
                while file.write_all(&vec![0; length]).is_ok() {}
            }
            Ok(())
        };
        tokio::task::spawn_blocking(fill)
            .await
            .doing("filling the disk")?
    }

    pub(super) fn empty_disk(&self) -> Outcome<()> {
        match &self.disk {
            Some(SmallDisk(folder)) if folder.join(BALLAST).exists() => {
                fs::remove_file(folder.join(BALLAST)).doing("emptying the disk")
            }
            _ => Ok(()),
        }
    }

    /// How often each event of the devices that were acknowledged is in the store.
    pub(super) fn stored(&self, acknowledged: &Acknowledged) -> Outcome<Acknowledged> {
        let file = self.work.join(DEVICES).join("engage-host.db");
        let reader = StoreReader::open(&SqlOptions::sqlite(file)).doing("opening the store")?;
        let mut stored = HashMap::new();
        for device in acknowledged.keys() {
            let filter = EventFilter {
                device: Some(device.parse().doing("naming a device")?),
                ..EventFilter::default()
            };
            let mut codes = BTreeMap::new();
            let mut found = |event: &engage_store::DeviceEvent| {
                let code = event.parse()?.code.unwrap_or_default();
                *codes.entry(code).or_default() += 1;
                Ok(())
            };
            (reader.follow(filter).read(&mut found)).doing("reading the store")?;
            stored.insert(device.clone(), codes);
        }
        Ok(stored)
    }
}

fn write_config(work: &Path, receiver: SocketAddr) -> Outcome<()> {
    let file = work.join("config.toml");
    let text = fs::read_to_string(&file)?;
    let text = format!(
        "{}\n[access]\nproxy_protocol_from = [\"{BALANCER_NETWORK}\"]\n\
         [devices]\ndirectory = \"{DEVICES}\"\nplain_http = true\nmax_store_bytes = 1099511627776\n\
         [webhook]\nurl = \"http://{receiver}/hook\"\nsecret_file = \"webhook.secret\"\n",
        with_admin(&text, "127.0.0.1:0")
    );
    fs::write(
        work.join("webhook.secret"),
        "of the soak, and no secret at all",
    )?;
    fs::write(file, text).doing("writing the configuration")
}

fn spawn(soak: &Soak, work: &Path, clock: Option<&Path>) -> Outcome<Server> {
    // In a folder of its own: the daemon watches that of its configuration.
    fs::create_dir_all(work.join("log"))?;
    let log = fs::File::create(work.join("log/engage-host.log"))?;
    let (http, https) = (free_address()?, free_address()?);
    let mut command = Command::new(soak.engage_host.canonicalize()?);
    command
        .arg("serve")
        .arg("--config")
        .arg(work.join("config.toml"))
        .args(["--http", &http.to_string(), "--https", &https.to_string()])
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(log.into_parts().0);
    if let (Some(clock), Some(library)) = (clock, &soak.faketime) {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", clock)
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    let mut server = Server::spawn(&mut command, http, https)?;
    server.wait_until_listening()?;
    Ok(server)
}

impl SmallDisk {
    /// With room for what is delivered in so many minutes.
    fn mount(folder: &Path, minutes: u32) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let size = format!("size={}m", 2048 + 8 * minutes);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "engage-soak"])
            .arg(folder)
            .output()
            .doing("running mount")?;
        if mounted.status.success() {
            return Ok(Self(folder.to_owned()));
        }
        let said = String::from_utf8_lossy(&mounted.stderr);
        Err(Trouble::new(said.trim()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

const DEVICES: &str = "Engage_Data";
const BALLAST: &str = "ballast";
const MARK: &str = ".bench-soak";
