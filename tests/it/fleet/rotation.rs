//! A new root for a whole fleet: devices that are away, that lose power while they fetch, and that
//! share an address; and nobody is locked out.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use engage_device::TlsStack;
use engage_device::fleet::{Activity, Device, FleetReport};

use super::host::{Host, chain};
use super::{Building, silent_stack, stack};
use crate::database::postgres::postgres;
use crate::harness::Daemon;

#[test]
fn no_device_is_locked_out_while_the_root_is_changed() {
    Rotation::begin(&FEW, all_stacks(), "select", &[""]).run_whole();
}

#[test]
fn no_device_is_locked_out_under_a_cross_signed_root_whose_stack_stops_at_what_it_trusts() {
    let stacks = vec![stack("mbedtls"), stack("openssl")];
    Rotation::begin(&FEW, stacks, "cross", &[""]).run_whole();
}

#[test]
fn no_device_is_locked_out_by_two_hosts_on_one_database() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let line = format!("database_url = \"{}\"\n", database.url());
    Rotation::begin(&FEW, all_stacks(), "select", &[&line, &line]).run_whole();
}

#[test]
fn no_device_is_locked_out_when_a_change_is_undone_by_a_host_that_was_killed_meanwhile() {
    let stacks = vec![silent_stack(), stack("wolfssl"), stack("openssl")];
    Rotation::begin(&FEW, stacks, "select", &[""]).run_undone();
}

#[test]
#[ignore = "minutes: 500 devices"]
fn no_device_of_500_is_locked_out_while_the_root_is_changed() {
    Rotation::begin(&MANY, all_stacks(), "select", &[""]).run_whole();
}

#[test]
#[ignore = "minutes: 500 devices"]
fn no_device_of_500_is_locked_out_under_a_cross_signed_root() {
    let stacks = vec![stack("mbedtls"), stack("openssl")];
    Rotation::begin(&MANY, stacks, "cross", &[""]).run_whole();
}

#[test]
#[ignore = "minutes: 500 devices"]
fn no_device_of_500_is_locked_out_by_two_hosts_on_one_database() {
    let Some(server) = postgres() else { return };
    let database = server.create_database();
    let line = format!("database_url = \"{}\"\n", database.url());
    Rotation::begin(&MANY, all_stacks(), "select", &[&line, &line]).run_whole();
}

/// How many devices, and within what time they call in.
struct Size {
    devices: usize,
    window: Duration,
}

/// As many as two busy cores bear in a build that is not optimised.
const FEW: Size = Size {
    devices: 90,
    window: Duration::from_secs(2),
};

const MANY: Size = Size {
    devices: 500,
    window: Duration::from_secs(20),
};

fn all_stacks() -> Vec<TlsStack> {
    TlsStack::BUILT_IN.map(stack).into()
}

/// A fleet, and the hosts whose root is changed.
struct Rotation {
    building: Building,
    hosts: Vec<Host>,
    window: Duration,
    overlap: &'static str,
    begun: Instant,
    /// Whether a device trusts what is announced.
    announced: fn(&Device) -> bool,
}

impl Rotation {
    /// Commissions all devices; a host for each of `databases`, which are lines of its `[devices]`.
    fn begin(
        size: &Size,
        stacks: Vec<TlsStack>,
        overlap: &'static str,
        databases: &[&str],
    ) -> Self {
        let hosts: Vec<_> = databases.iter().map(|line| Host::start(line)).collect();
        let mut building = Building::new(size.devices, stacks, true);
        building.visit(&hosts.iter().map(|host| &host.daemon).collect::<Vec<_>>());
        let mut rotation = Self {
            building,
            hosts,
            window: size.window,
            overlap,
            begun: Instant::now(),
            announced: has_new,
        };
        rotation.tell(0.0, |_| true);
        rotation.call_in("a night before", |_| true);
        rotation
    }

    fn run_whole(mut self) {
        self.prepare();
        self.step("publish");
        // A third is away; of the others some lose power before they have the new one.
        let told = self.tell(0.3, is_there);
        assert!(told.commissioning.power_lost > 5, "{told:#?}");
        self.call_in("while a third is away", is_there);
        self.assert_refused("activate");
        self.call_in("when all are back", |_| true);
        self.tell(0.0, |device| !has_new(device));
        self.call_in("with the new one", |_| true);
        self.wait_for("activate");
        self.call_in("after activate", |_| true);
        self.retire();
        let after = self.call_in("after retire", |_| true);
        let kinds = &after.failed_attempts;
        assert!(!kinds.contains_key("not-anchored"), "{kinds:?}");
    }

    fn run_undone(mut self) {
        self.prepare();
        self.step("publish");
        self.tell(0.3, is_there);
        self.call_in("while a third is away", is_there);
        self.kill_and_restart();
        self.call_in("after a restart", |_| true);
        self.step("undo");
        self.announced = has_old;
        self.call_in("while the old one is announced again", |_| true);
        self.assert_refused("undo");
        self.tell(0.0, |device| !has_old(device));
        self.call_in("with the old one", |_| true);
        self.wait_for("undo");
        let after = self.call_in("after undo", |_| true);
        assert_eq!(after.call_ins.retried, 0, "{:?}", after.failed_attempts);
        self.assert_over();
    }

    /// On other ports: what was announced before leads nowhere.
    fn kill_and_restart(&mut self) {
        for host in &mut self.hosts {
            host.daemon.signal("KILL");
            host.daemon.exit_code();
            host.daemon = Daemon::start(&host.installation);
        }
        let daemons: Vec<_> = self.hosts.iter().map(|host| &host.daemon).collect();
        self.building.visit(&daemons);
    }

    /// Hosts that lack the new files are told of, until they have them.
    fn prepare(&self) {
        let (first, lacking) = self.hosts.split_first().unwrap();
        let wait = if lacking.is_empty() { "30" } else { "1" };
        let prepared = first.rotate(&["prepare", "--overlap", self.overlap, "--wait", wait]);
        let told = prepared.stdout_text() + &prepared.stderr_text();
        assert_eq!(
            prepared.code,
            Some(i32::from(!lacking.is_empty())),
            "{told}"
        );
        for host in lacking {
            host.take_next(first);
        }
    }

    #[track_caller]
    fn step(&self, command: &str) {
        let done = self.hosts[0].rotate(&[command]);
        assert_eq!(
            done.code,
            Some(0),
            "{}{}",
            done.stdout_text(),
            done.stderr_text()
        );
    }

    /// On each host, which has its files; every other step reaches all through their store.
    fn retire(&self) {
        // What was seen is written within seconds.
        self.wait_for_verified();
        for host in &self.hosts {
            // Both have one name here, so that each waits for the other's files too.
            let done = host.rotate(&["retire", "--wait", "8"]);
            assert_eq!(
                done.code,
                Some(0),
                "{}{}",
                done.stdout_text(),
                done.stderr_text()
            );
        }
        self.assert_over();
    }

    #[track_caller]
    fn assert_over(&self) {
        let status = self.hosts[0].status();
        assert!(status.contains("no rotation is under way"), "{status}");
    }

    /// What devices have shown is known to the command once it is stored.
    #[track_caller]
    fn wait_for(&self, command: &str) {
        let deadline = Instant::now() + STORED_WITHIN;
        while self.hosts[0].rotate(&[command]).code != Some(0) {
            assert!(Instant::now() < deadline, "{}", self.hosts[0].status());
        }
    }

    fn wait_for_verified(&self) {
        let deadline = Instant::now() + STORED_WITHIN;
        while !self.hosts[0]
            .status()
            .contains("next: `engage-host rotate retire`")
        {
            assert!(Instant::now() < deadline, "{}", self.hosts[0].status());
        }
    }

    /// With the names of those who are not ready.
    #[track_caller]
    fn assert_refused(&self, command: &str) {
        let refused = self.hosts[0].rotate(&[command]);
        assert_eq!(refused.code, Some(1), "{}", refused.stdout_text());
        let told = refused.stderr_text();
        let named = |device: &&Device| told.contains(&device.serial());
        let devices = self.building.fleet.devices();
        let named: Vec<_> = devices.iter().filter(named).collect();
        assert!(!named.is_empty(), "{told}");
        assert!(
            !named
                .iter()
                .any(|it| (self.announced)(it) && !is_shared(it)),
            "{told}"
        );
    }

    /// A person has devices ask what to install.
    fn tell(&mut self, power_loss: f64, comes: impl Fn(&Device) -> bool) -> FleetReport {
        let window = self.window / 3;
        let asking = Activity::Commission;
        let report = self
            .building
            .run_with_power_loss(asking, window, power_loss, comes);
        assert!(report.is_good(), "{report:#?}");
        assert_eq!(report.commissioning.failed, 0);
        report
    }

    /// Nobody fails who trusts what is announced, and nobody twice in a row.
    #[track_caller]
    fn call_in(&mut self, when: &str, comes: impl Fn(&Device) -> bool) -> FleetReport {
        let devices = self.building.fleet.devices();
        let had_it: HashSet<_> = devices
            .iter()
            .filter(|it| (self.announced)(it))
            .map(Device::serial)
            .collect();
        let report = self.building.run(Activity::CallIn, self.window, comes);
        let seconds = self.begun.elapsed().as_secs();
        println!(
            "{seconds} s, {when}: {:?} {:?}",
            report.call_ins, report.failed_attempts
        );
        // Whoever does not trust it may miss one call-in, and for this reason only.
        let other = report
            .deviations
            .keys()
            .find(|kind| *kind != "not-anchored");
        assert_eq!(other, None, "{when}: {report:#?}");
        let devices = self.building.fleet.devices();
        let failed = |device: &&Device| {
            let allowed = u32::from(!had_it.contains(&device.serial()));
            device.failed_in_a_row() > allowed
        };
        let failed: Vec<_> = devices.iter().filter(failed).map(Device::serial).collect();
        assert!(
            failed.is_empty(),
            "{when}: {failed:?} {report:#?}\n{}",
            self.hosts[0].status()
        );
        report
    }
}

/// Two of three, of each stack and behind the shared address too.
fn is_there(device: &Device) -> bool {
    super::number(device) % 9 > 2
}

fn is_shared(device: &Device) -> bool {
    device.spec().source == Some(super::SHARED)
}

fn has_new(device: &Device) -> bool {
    device.anchor().is_some() && !has_old(device)
}

fn has_old(device: &Device) -> bool {
    let old = &chain().root.der;
    device
        .anchor()
        .is_some_and(|anchor| anchor.der().as_ref() == old.as_slice())
}

/// Longer than sightings wait to be stored together, and than a host takes to follow.
const STORED_WITHIN: Duration = Duration::from_secs(30);
