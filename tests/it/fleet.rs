//! Many simulated devices of several TLS stacks at once, phase by phase.

mod host;
mod rotation;
mod stacks;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use engage_device::fleet::{
    Activity, Device, DeviceSpec, Fleet, FleetReport, Host, Phase, Profile, Settings,
};
use engage_device::{Alert, TlsStack};
use engage_wire::site::SiteKey;
use tokio::runtime::Runtime;

use crate::harness::{Daemon, SITE_KEY_HEX};

/// A fleet, and the runtime on which it lives.
struct Building {
    runtime: Runtime,
    fleet: Fleet,
}

impl Building {
    /// `count` devices, in turn of each of `stacks`; the first of every ten share one address, if
    /// `is_shared`.
    fn new(count: usize, stacks: Vec<TlsStack>, is_shared: bool) -> Self {
        let profiles: Vec<_> = stacks.into_iter().map(Profile::new).map(Arc::new).collect();
        let site_key = Arc::new(SiteKey::parse(SITE_KEY_HEX.as_bytes()).unwrap());
        let spec = |number: usize| DeviceSpec {
            serial: FIRST_SERIAL + number as u64,
            source: Some(if is_shared && number.is_multiple_of(10) {
                SHARED
            } else {
                own_address(number)
            }),
            site_key: Arc::clone(&site_key),
            profile: Arc::clone(&profiles[number % profiles.len()]),
        };
        let settings = Settings {
            hosts: Vec::new(),
            timeout: Duration::from_secs(20),
            retry_pause: Duration::from_millis(40),
            at_once: 60,
        };
        Self {
            runtime: Runtime::new().unwrap(),
            fleet: Fleet::new(settings, (0..count).map(spec).collect(), 1),
        }
    }

    /// From now on the devices visit these daemons.
    fn visit(&mut self, daemons: &[&Daemon]) {
        let host = |daemon: &&Daemon| {
            let url = format!("http://{}", daemon.http).parse().unwrap();
            Host::new(&url, daemon.http, daemon.https)
        };
        self.fleet.set_hosts(daemons.iter().map(host).collect());
    }

    /// Every device for which `comes` holds.
    fn run(
        &mut self,
        activity: Activity,
        window: Duration,
        comes: impl Fn(&Device) -> bool,
    ) -> FleetReport {
        self.run_with_power_loss(activity, window, 0.0, comes)
    }

    fn run_with_power_loss(
        &mut self,
        activity: Activity,
        window: Duration,
        power_loss: f64,
        comes: impl Fn(&Device) -> bool,
    ) -> FleetReport {
        let phase = Phase {
            activity,
            window,
            power_loss,
        };
        self.runtime
            .block_on(self.fleet.run(phase, comes, &Arc::default()))
    }
}

/// Which device it is, from 0.
fn number(device: &Device) -> usize {
    usize::try_from(device.spec().serial - FIRST_SERIAL).unwrap()
}

fn stack(name: &str) -> TlsStack {
    TlsStack::built_in(name).unwrap()
}

/// Closes without a word where the others send an alert.
fn silent_stack() -> TlsStack {
    TlsStack {
        unknown_issuer: Alert::None,
        ..stack("mbedtls")
    }
}

fn own_address(number: usize) -> IpAddr {
    let [high, low] = u16::try_from(number + 2).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 4, high, low).into()
}

/// Behind it are many, as behind NAT.
const SHARED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 4, 0, 1));

const FIRST_SERIAL: u64 = 0x51D0_0000_0000_0000;
