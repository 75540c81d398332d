//! `engage-host devices` and `devices audits` with conditions, over more than one page.

use std::sync::Arc;

use engage_store::{
    AuditBatch, Call, ConfigUpload, DeviceObservation, DeviceStore, KeepDays, SqlOptions, SqlStore,
};
use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Finished, program, run};

/// A configuration and a database; the daemon's other files are not needed.
struct Recorded(TempDir);

impl Recorded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = "static_dir = \"static\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [https]\nlisten = \"127.0.0.1:0\"\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\n\
             [[site]]\nname = \"hall\"\nkey_file = \"site.key\"\ncertificate = \"ca.der\"\n";
        fs_err::write(folder.path().join("config.toml"), config).unwrap();
        Self(folder)
    }

    /// Each device uploads its parameters and delivers two audits, in the order given.
    fn record(&self, devices: impl IntoIterator<Item = Device>) {
        let file = self.0.path().join("Engage_Data/engage-host.db");
        // Retention must not remove a night of 2026 from a test of later years.
        let keep = KeepDays::new(36_500).unwrap();
        let store = Arc::new(SqlStore::open(SqlOptions::sqlite(file), keep).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            // Together, so that they share a transaction.
            let mut tasks = tokio::task::JoinSet::new();
            for device in devices {
                tasks.spawn(device.call(Arc::clone(&store)));
            }
            tasks.join_all().await;
        });
    }

    fn devices(&self, args: &[&str]) -> Finished {
        run(program()
            .arg("devices")
            .args(args)
            .current_dir(self.0.path()))
    }

    fn shown(&self, args: &[&str]) -> String {
        let finished = self.devices(args);
        let (out, errors) = (finished.stdout_text(), finished.stderr_text());
        let text = format!("exit {}\n{out}{errors}", finished.code.unwrap());
        let folder = self.0.path().canonicalize().unwrap();
        text.replace(folder.to_str().unwrap(), "$")
            .replace(self.0.path().to_str().unwrap(), "$")
    }

    /// What the table or the array names, in its order.
    fn listed(&self, args: &[&str]) -> Vec<String> {
        let finished = self.devices(&[args, &["--json"]].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
        let devices: Vec<Value> = serde_json::from_slice(&finished.stdout).unwrap();
        let name = |device: &Value| device["device"].as_str().unwrap().to_owned();
        let names: Vec<_> = devices.iter().map(name).collect();
        let table = self.devices(args).stdout_text();
        let lines = table.lines().skip(1);
        let first = |line: &str| line.split(' ').next().unwrap().to_owned();
        assert_eq!(lines.map(first).collect::<Vec<_>>(), names);
        names
    }
}

struct Device {
    number: u64,
    site: &'static str,
    model: &'static str,
    called_at: &'static str,
}

impl Device {
    async fn call(self, store: Arc<SqlStore>) {
        let call = Call {
            device: format!("{:016X}", self.number).parse().unwrap(),
            peer: "10.44.0.7".parse().unwrap(),
            is_authenticated: true,
            is_listed: false,
            received_at: self.called_at.parse().unwrap(),
        };
        let upload = format!(r#"{{"lckPrmtrs":{{"mdl":"{}"}}}}"#, self.model);
        let upload = ConfigUpload::parse(upload.as_bytes()).unwrap();
        store.save_config(&call, upload).await.unwrap();
        let events = r#"[{"event":"0B040001"},{"event":"0B040002"}]"#;
        let batch = AuditBatch::parse(events.as_bytes()).unwrap();
        store.append_audits(&call, batch).await.unwrap();
        let seen = DeviceObservation::Seen {
            address: call.peer,
            site: Some(self.site.to_owned()),
            is_registered: true,
        };
        let fingerprint = vec![format!("{:02X}", self.number); 32].join(":");
        let fetched = DeviceObservation::CertificateFetched { fingerprint };
        store.observe(call.device, seen, call.received_at);
        store.observe(call.device, fetched, call.received_at);
    }
}

fn three_devices() -> Recorded {
    let recorded = Recorded::new();
    let moments = [
        "2026-11-21T02:00:00Z",
        "2026-11-22T02:00:00Z",
        "2026-11-23T02:00:00Z",
    ];
    let devices = [
        (0x1A, "hall", "NDE80"),
        (0x1B, "50%", "NDE80"),
        (0x2A, "50", "LE"),
    ];
    let devices = devices.into_iter().zip(moments);
    recorded.record(devices.map(|((number, site, model), called_at)| Device {
        number,
        site,
        model,
        called_at,
    }));
    recorded
}

const FIRST: &str = "000000000000001A";
const SECOND: &str = "000000000000001B";
const THIRD: &str = "000000000000002A";

#[test]
fn devices_are_found_by_conditions_that_all_hold() {
    let recorded = three_devices();
    let fingerprint = "1b".repeat(32);
    for (args, expected) in [
        (&[][..], &[FIRST, SECOND, THIRD][..]),
        (&["--serial", "000000000000001"], &[FIRST, SECOND]),
        (&["--serial", "000000000000002a"], &[THIRD]),
        (&["--site", "50%"], &[SECOND]),
        (&["--model", "NDE80"], &[FIRST, SECOND]),
        (&["--model", "NDE80", "--site", "hall"], &[FIRST]),
        (&["--certificate", &fingerprint], &[SECOND]),
        (&["--seen-since", "2026-11-22T02:00:00Z"], &[SECOND, THIRD]),
        (&["--not-seen-since", "2026-11-22T02:00:00Z"], &[FIRST]),
        (&["--limit", "2"], &[FIRST, SECOND]),
    ] {
        assert_eq!(recorded.listed(args), expected, "{args:?}");
    }
    assert_snapshot!("no_match", recorded.shown(&["--site", "%"]));
    assert_snapshot!("no_match_json", recorded.shown(&["--site", "%", "--json"]));
    for (name, args) in [
        ("bad_serial", ["--serial", "00%"]),
        ("bad_certificate", ["--certificate", "ab:cd"]),
        ("bad_limit", ["--limit", "0"]),
    ] {
        assert_snapshot!(name, recorded.shown(&args));
    }
}

#[test]
fn audits_are_limited_to_a_time_or_to_the_newest() {
    let recorded = three_devices();
    let printed = |args: &[&str]| {
        let finished = recorded.devices(&[&["audits", "--json"], args].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr_text());
        let event = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            let device = event["device"].as_str().unwrap();
            format!("{}.{}", device.trim_start_matches('0'), event["line"])
        };
        let text = finished.stdout_text();
        text.lines().map(event).collect::<Vec<_>>().join(" ")
    };
    let (second_night, third_night) = ("2026-11-22", "2026-11-23");
    assert_eq!(printed(&[]), "1A.1 1A.2 1B.1 1B.2 2A.1 2A.2");
    assert_eq!(printed(&["--until", second_night]), "1A.1 1A.2");
    let night = ["--since", second_night, "--until", third_night];
    assert_eq!(printed(&night), "1B.1 1B.2");
    assert_eq!(printed(&["--limit", "3"]), "2A.2 2A.1 1B.2");
    assert_eq!(
        printed(&["--limit", "3", "--until", third_night]),
        "1B.2 1B.1 1A.2"
    );
    assert_eq!(printed(&[FIRST, "--limit", "1"]), "1A.2");
    assert_snapshot!("newest", recorded.shown(&["audits", "--limit", "2"]));
    assert_snapshot!(
        "no_audits",
        recorded.shown(&["audits", "--until", "2026-01-01"])
    );
    assert_snapshot!(
        "limit_and_follow",
        recorded.shown(&["audits", "--limit", "1", "--follow"])
    );
}

#[test]
fn more_devices_and_audits_than_one_page_holds_are_all_printed_in_order() {
    let recorded = Recorded::new();
    recorded.record((0..1100).map(|number| Device {
        number,
        site: "hall",
        model: "NDE80",
        called_at: "2026-11-23T02:00:00Z",
    }));
    let names: Vec<_> = (0..1100).map(|number| format!("{number:016X}")).collect();
    assert_eq!(recorded.listed(&[]), names);
    assert_eq!(recorded.listed(&["--limit", "1050"]), names[..1050]);
    let printed = recorded.devices(&["audits", "--csv"]).stdout_text();
    let device = |line: &str| line.split(',').nth(1).unwrap().to_owned();
    let devices: Vec<_> = printed.lines().skip(1).map(device).collect();
    let twice: Vec<_> = names
        .iter()
        .flat_map(|name| [name.clone(), name.clone()])
        .collect();
    assert_eq!(devices, twice);
}
