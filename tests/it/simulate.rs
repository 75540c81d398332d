//! `engage-host simulate` against the real daemon, and against hosts that have one fault each.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::doctor::faulty_host::{Fault, Host};
use crate::doctor::openssl::Pki;
use crate::harness::{Daemon, Finished, Installation, program, run, standard};

/// Everything that a fleet met with.
struct Simulated {
    code: Option<i32>,
    summary: Value,
}

impl Simulated {
    fn run(daemon: &Daemon, installation: &Installation, arguments: &str) -> Self {
        let key = installation.path("pki/site.key");
        Self::from(&mut simulate(
            daemon.http,
            &daemon.https.to_string(),
            &key,
            arguments,
        ))
    }

    /// A host that answers one connection after the other.
    fn of_faulty_host(pki: &Pki, fault: Fault) -> Self {
        let host = Host::start(pki, fault);
        let http = host.url().trim_start_matches("http://").parse().unwrap();
        let key = pki.path("site.key");
        let arguments = "--devices 2 --window 50ms --timeout 5s";
        Self::from(&mut simulate(
            http,
            &host.https(),
            Path::new(&key),
            arguments,
        ))
    }

    fn from(command: &mut Command) -> Self {
        let Finished {
            code,
            stdout,
            stderr,
        } = run(command.arg("--json"));
        let summary = serde_json::from_slice(&stdout);
        Self {
            code,
            summary: summary.unwrap_or_else(|error| {
                panic!(
                    "{error}: {}",
                    String::from_utf8_lossy(&[stdout, stderr].concat())
                )
            }),
        }
    }

    #[track_caller]
    fn count(&self, of: &str, what: &str) -> u64 {
        let count = self.summary[of][what].as_u64();
        count.unwrap_or_else(|| panic!("no {of}.{what} in {:#}", self.summary))
    }

    #[track_caller]
    fn assert_good(&self) {
        assert_eq!(
            self.summary["deviations"],
            serde_json::json!({}),
            "{:#}",
            self.summary
        );
        assert_eq!(self.summary["ok"], true);
        assert_eq!(self.code, Some(0));
    }

    /// The first deviation of this kind, in words; the host fails.
    #[track_caller]
    fn deviation(&self, kind: &str) -> String {
        let deviation = &self.summary["deviations"][kind];
        assert!(deviation.is_object(), "no {kind} in {:#}", self.summary);
        assert_eq!(self.summary["ok"], false);
        assert_eq!(self.code, Some(1));
        format!(
            "{} at {}: {}",
            deviation["device"].as_str().unwrap(),
            deviation["step"].as_str().unwrap(),
            deviation["message"].as_str().unwrap()
        )
    }
}

fn simulate(http: SocketAddr, https: &str, key: &Path, arguments: &str) -> Command {
    let mut command = program();
    command
        .args(["simulate", &format!("http://{http}"), "--https", https])
        .arg("--site-key-file")
        .arg(key)
        .args(arguments.split_whitespace());
    command
}

#[test]
fn devices_of_every_stack_are_content_with_our_daemon_which_stores_what_they_deliver() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    let simulated = Simulated::run(
        &daemon,
        &installation,
        "--devices 30 --profile mbedtls,wolfssl,openssl --window 1s --call-ins 2 \
         --source 127.1.0.0/24 --shared-address 10",
    );
    simulated.assert_good();
    assert_eq!(simulated.count("commissioning", "at_once"), 30);
    assert_eq!(simulated.count("call_ins", "at_once"), 60);
    let steps = &simulated.summary["milliseconds"];
    for step in ["announcement", "certificate"] {
        assert_eq!(steps[step]["count"], 30, "{steps:#}");
    }
    for step in ["handshake", "config", "database", "audit"] {
        assert_eq!(steps[step]["count"], 60, "{steps:#}");
    }
    // All that it knows is stored then.
    daemon.terminate();
    assert_eq!(daemon.finish().0, Some(0));
    let listed = run(program()
        .args(["devices", "--json", "--config"])
        .arg(installation.path("config.toml")));
    let listed = listed.stdout_text();
    let addresses = |address: &str| listed.matches(&format!("\"{address}\"")).count();
    assert_eq!(listed.matches("51D0000000000").count(), 30, "{listed}");
    assert_eq!(
        (addresses("127.1.0.1"), addresses("127.1.0.2")),
        (3, 1),
        "{listed}"
    );
}

#[test]
fn devices_that_lose_power_come_again_and_lose_no_event() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    let arguments =
        "--devices 40 --window 500ms --call-ins 3 --power-loss 30 --ask-again 50 --seed 7";
    let simulated = Simulated::run(&daemon, &installation, arguments);
    simulated.assert_good();
    assert!(simulated.count("commissioning", "power_lost") > 3);
    let asked: u64 = ["at_once", "retried", "power_lost"]
        .map(|how| simulated.count("commissioning", how))
        .iter()
        .sum();
    // Once each, and then about half of them three times.
    assert!((90..110).contains(&asked), "{asked}");
    assert!(simulated.count("call_ins", "power_lost") > 9);
    let all: u64 = ["at_once", "retried", "power_lost"]
        .map(|how| simulated.count("call_ins", how))
        .iter()
        .sum();
    assert_eq!(all, 120);
    daemon.terminate();
    assert_eq!(daemon.finish().0, Some(0));
    for device in 1..=40 {
        let stored = installation.audits(&format!("{:016X}", 0x51D0_0000_0000_0000_u64 + device));
        let number = |event: &Value| u32::from_str_radix(event["code"].as_str().unwrap(), 16);
        let numbers: BTreeSet<_> = stored.iter().map(|event| number(event).unwrap()).collect();
        let last = numbers.last().copied().unwrap_or(0);
        // Every eighth may have been an alert.
        let missing = |number: &u32| !number.is_multiple_of(8) && !numbers.contains(number);
        assert_eq!(
            (1..last).find(missing),
            None,
            "of device {device}: {numbers:?}"
        );
    }
}

#[test]
fn the_wrong_site_key_is_told_with_what_was_announced_and_what_was_expected() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    installation.write("other.key", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
    let key = installation.path("other.key");
    let https = daemon.https.to_string();
    let arguments = "--devices 3 --window 100ms --call-ins 0";
    let simulated = Simulated::from(&mut simulate(daemon.http, &https, &key, arguments));
    let told = simulated.deviation("hash-mismatch");
    assert!(told.starts_with("51D0000000000"), "{told}");
    assert!(
        told.contains(" at certificate: the announced hash is `"),
        "{told}"
    );
    assert!(told.contains("; expected `"), "{told}");
    assert_eq!(simulated.count("commissioning", "failed"), 3);
    assert_eq!(simulated.summary["deviations"]["hash-mismatch"]["count"], 9);
}

#[test]
fn a_wrong_hash_and_a_length_in_lower_case_are_deviations_of_the_host() {
    let pki = Pki::vendor_like();
    let wrong = Simulated::of_faulty_host(&pki, Fault::WrongHash);
    wrong.deviation("hash-mismatch");
    let lower = Simulated::of_faulty_host(&pki, Fault::LowerCaseLength);
    let told = lower.deviation("response-length-spelling");
    assert!(
        told.contains("at announcement: the length header is spelled `content-length:`"),
        "{told}"
    );
}

#[test]
fn a_chain_over_4096_bytes_is_a_deviation_of_the_host() {
    let large = Simulated::of_faulty_host(&Pki::with_large_chain(), Fault::None);
    let told = large.deviation("chain-too-large");
    assert!(told.contains("at handshake: "), "{told}");
    assert!(told.contains("a device accepts at most 4096"), "{told}");
    assert_eq!(large.count("commissioning", "at_once"), 2);
    assert_eq!(large.count("call_ins", "failed"), 2);
}

#[test]
fn where_nothing_listens_or_addresses_are_foreign_it_could_not_be_tried() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    let key = installation.path("pki/site.key");
    let arguments = "--devices 2 --window 10ms";
    let https = daemon.https.to_string();
    let foreign = format!("{arguments} --source 198.51.100.0/24");
    // Nothing listens at the port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (http, https, arguments) in [
        (gone, https.clone(), arguments),
        (daemon.http, gone.to_string(), arguments),
        (daemon.http, https, &*foreign),
    ] {
        let tried = run(&mut simulate(http, &https, &key, arguments));
        assert_eq!(tried.code, Some(2), "{tried:?}");
        assert!(tried.stderr_text().contains("error: "), "{tried:?}");
    }
}

#[test]
fn people_read_a_table_and_one_last_line() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    let key = installation.path("pki/site.key");
    installation.write(
        "mine.toml",
        "versions = \"1.2 and 1.3\"\nunknown_issuer = \"none\"\n",
    );
    let profile = installation.path("mine.toml").display().to_string();
    let arguments = format!("--devices 2 --window 10ms --seed 3 --profile {profile}");
    let https = daemon.https.to_string();
    let told = run(&mut simulate(daemon.http, &https, &key, &arguments));
    let text = told.stdout_text();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with(&format!("2 devices ({profile}) at http://127.0.0.1:")),
        "{text}"
    );
    assert!(lines[0].ends_with(" s, seed 3"), "{text}");
    assert_eq!(
        lines[2],
        "called in     2 at once, 0 at another attempt, 0 not, 0 lost power"
    );
    assert_eq!(*lines.last().unwrap(), "ok: every device got what it needs");
    // A bar is for a terminal only.
    assert_eq!(told.stderr_text(), "");
}
