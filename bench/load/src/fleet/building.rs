//! The sites, their devices, and the daemon.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engage_device::TlsStack;
use engage_device::fleet::{DeviceSpec, Fleet as Devices, Host, Profile, Settings};
use engage_wire::site::SiteKey;
use fs_err as fs;

use super::Fleet;
use crate::host;
use crate::process::{Server, free_address};
use crate::trouble::{Outcome, Trouble, While};

pub(super) struct Building {
    program: PathBuf,
    work: PathBuf,
    pub(super) server: Server,
    /// From its start to the first connection.
    pub(super) started: Duration,
    pub(super) devices: Devices,
}

impl Building {
    pub(super) fn new(plan: &Fleet) -> Outcome<Self> {
        let Fleet {
            work, engage_host, ..
        } = plan;
        if work.join(MARK).exists() {
            fs::remove_dir_all(work).doing("emptying the work folder")?;
        }
        fs::create_dir_all(work.join("log")).doing("making the work folder")?;
        let work = work.canonicalize()?;
        fs::write(work.join(MARK), "bench/fleet empties this folder\n")?;
        let program = engage_host.canonicalize()?;
        host::init(&program, &work)?;
        let addresses = [free_address()?, free_address()?];
        write_config(&work, addresses[0])?;
        fs::create_dir(work.join("sites"))?;
        let keys = (0..plan.sites).map(|site| write_site(&work, plan, site));
        let keys: Vec<_> = keys.collect::<Outcome<_>>()?;
        let begun = Instant::now();
        let (config, log) = (work.join("config.toml"), work.join(host::LOG));
        let mut server = host::start_at(&program, &config, &log, addresses)?;
        server.wait_until_listening()?;
        let started = begun.elapsed();
        let url = format!("http://{}", server.http)
            .parse()
            .doing("making a URL")?;
        let settings = Settings {
            hosts: vec![Host::new(&url, server.http, server.https)],
            timeout: Duration::from_secs(30),
            retry_pause: Duration::from_millis(200),
            at_once: AT_ONCE,
        };
        Ok(Self {
            devices: Devices::new(settings, devices(plan, &keys), 1),
            program,
            work,
            server,
            started,
        })
    }

    /// Runs `engage-host rotate`; what it says, or why it refuses.
    pub(super) fn rotate(&self, arguments: &[&str]) -> Outcome<String> {
        let done = Command::new(&self.program)
            .arg("rotate")
            .args(arguments)
            .arg("--config")
            .arg(self.work.join("config.toml"))
            .stdin(Stdio::null())
            .output()
            .doing("running `engage-host rotate`")?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() {
            Ok(text(&done.stdout))
        } else {
            let told = text(&done.stderr);
            let start: String = told.chars().take(2000).collect();
            Err(Trouble::new(format!(
                "rotate {}: {start}",
                arguments.join(" ")
            )))
        }
    }
}

/// Each site lists its devices, as an operator of thousands does; their files would be a hundred
/// thousand folders.
fn write_config(work: &Path, http: SocketAddr) -> Outcome<()> {
    let file = work.join("config.toml");
    let text = fs::read_to_string(&file)?;
    // Devices fetch from where they are told to.
    let text = text.replace(
        "base_url = \"http://127.0.0.1\"",
        &format!("base_url = \"http://{http}\"\nsites_dir = \"sites\""),
    );
    let text = format!(
        "{}\n[devices]\njson_files = false\n",
        host::with_admin(&text, "")
    );
    fs::write(file, text).doing("writing the configuration")
}

fn write_site(work: &Path, plan: &Fleet, site: usize) -> Outcome<Arc<SiteKey>> {
    let key = format!("{:064x}", 0x5eed_0000_u128 + site as u128);
    let name = format!("site-{site}");
    fs::write(work.join(format!("sites/{name}.key")), &key)?;
    let serials = (site..plan.devices).step_by(plan.sites);
    let serials: Vec<_> = serials
        .map(|device| format!("{:016X}", serial(device)))
        .collect();
    fs::write(work.join(format!("sites/{name}.txt")), serials.join("\n"))?;
    let text = format!(
        "name = \"{name}\"\nhosts = [\"{name}.example.com\"]\nkey_file = \"sites/{name}.key\"\n\
         serials_file = \"sites/{name}.txt\"\n\
         certificate = \"static/Device_Certificates/partner_CA.der\"\n"
    );
    fs::write(work.join(format!("sites/{name}.toml")), text)?;
    SiteKey::parse(key.as_bytes())
        .map(Arc::new)
        .doing("reading a site key")
}

fn devices(plan: &Fleet, keys: &[Arc<SiteKey>]) -> Vec<DeviceSpec> {
    let stacks = TlsStack::BUILT_IN
        .into_iter()
        .filter_map(TlsStack::built_in);
    let profiles: Vec<_> = stacks.map(Profile::new).map(Arc::new).collect();
    let device = |number: usize| {
        let (site, within) = (number % plan.sites, number / plan.sites);
        DeviceSpec {
            serial: serial(number),
            source: Some(match within % 10 {
                0 => address(1, site),
                _ => address(2, number),
            }),
            site_key: Arc::clone(&keys[site]),
            profile: Arc::clone(&profiles[within % profiles.len()]),
        }
    };
    (0..plan.devices).map(device).collect()
}

/// Of a site's NAT (`kind` 1), or a device's own (`kind` 2 and above).
fn address(kind: u8, number: usize) -> IpAddr {
    let [_, high, middle, low] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    // Above 2 there is room for millions.
    Ipv4Addr::new(127, kind + high, middle, low).into()
}

fn serial(device: usize) -> u64 {
    0x51D0_0000_0000_0000 + device as u64
}

const MARK: &str = ".bench-fleet";

/// On two processors, of which the devices need one.
const AT_ONCE: usize = 256;
