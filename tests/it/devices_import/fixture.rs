//! A directory as version 0.1.0 left it, written by hand.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::harness::Host;

/// Numbers of the events of the last whole batch of audits.
pub(super) const LAST_AUDITS: [u32; 3] = [4, 5, 6];

/// What the webhook has not delivered, in the order in which it is to be.
pub(super) const UNDELIVERED: &[u64] = &[5, 6, 12];

pub(super) const DATABASE: &str =
    r#"{"db":{"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1}]}}"#;

/// How a line begins that was never acknowledged.
pub(super) const TORN: &[u8] = b"{\"received_at\":\"2026-11-24";

pub(super) struct Old {
    root: PathBuf,
    _folder: Option<TempDir>,
}

impl Old {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            root: folder.path().to_owned(),
            _folder: Some(folder),
        }
    }

    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            _folder: None,
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn write(&self, name: &str, contents: &[u8]) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, contents).unwrap();
    }

    /// Six audits in two months, three alerts, and all that there is beside them. Of a batch only the
    /// first line was written when the power went.
    pub(super) fn device(&self, device: &str) {
        let write =
            |name: &str, text: &str| self.write(&format!("{device}/{name}"), text.as_bytes());
        let batch = |moment: &str, numbers: &[u32]| batch(device, moment, numbers);
        let october = batch("2026-10-30T02:00:00Z", &[1, 2]) + &batch("2026-10-31T02:00:00Z", &[3]);
        write("audits-2026-10.jsonl", &october);
        let november = batch("2026-11-23T02:13:05.123456Z", &LAST_AUDITS);
        let torn = batch("2026-11-24T02:00:00Z", &[7, 8]);
        let half = torn.len() / 2 + 40;
        write(
            "audits-2026-11.jsonl",
            &format!("{november}{}", &torn[..half]),
        );
        // The clock was wrong, and set right: events went on into the newest file.
        let alerts = batch("2026-11-20T00:00:00Z", &[10])
            + &batch("2026-10-20T00:00:00Z", &[11])
            + &batch("2026-11-25T00:00:00Z", &[12]);
        write("alerts-2026-11.jsonl", &alerts);
        write("config.json", r#"{"lckPrmtrs":{"mdl":"NDE80"} }"#);
        write("device.json", &record(device));
        write(".webhook.json", &cursor(device));
        write(".webhook-undelivered.json", &undelivered(device));
        write(".db-last-good.json", DATABASE);
    }
}

fn record(device: &str) -> String {
    format!(
        r#"{{
  "device": "{device}",
  "first_seen": "2026-10-30T02:00:00Z",
  "last_seen": "2026-11-23T02:13:06Z",
  "address": "10.44.0.7",
  "model": "NDE80",
  "config_saved_at": "2026-11-23T02:13:04Z",
  "audits_stored_at": "2026-11-23T02:13:05.123456Z"
}}
"#
    )
}

/// The audits were delivered up to number 4, the alerts up to number 11.
fn cursor(device: &str) -> String {
    let position = |file: &str, numbers: &[u32]| {
        let id = batch_id(device, numbers);
        format!(r#"{{"file":"{file}","start":0,"end":1,"batch":"{id}","line":1}}"#)
    };
    format!(
        "{{\"alerts\":{},\"audits\":{}}}\n",
        position("alerts-2026-11.jsonl", &[11]),
        position("audits-2026-11.jsonl", &LAST_AUDITS)
    )
}

fn undelivered(device: &str) -> String {
    let event = batch(device, "2026-10-30T02:00:00Z", &[1]);
    format!(
        "{{\"dropped\":2,\"events\":[{{\"set_aside_at\":\"2026-10-30T03:00:00Z\",\"log\":\"audits\",\"reason\":\"the receiver said no\",\"event\":{}}}]}}\n",
        event.trim_end()
    )
}

/// The lines of a batch.
fn batch(device: &str, moment: &str, numbers: &[u32]) -> String {
    let id = batch_id(device, numbers);
    let line = |(at, number): (usize, &u32)| {
        let (time, of) = (time(*number), numbers.len());
        format!(
            "{{\"received_at\":\"{moment}\",\"event\":\"0B040001\",\"time\":\"{time}\",\"code\":\"0B040001\",\"name\":\"host connected or disconnected\",\"at\":\"2026-11-23T00:00:{number:02}\",\"batch\":\"{id}\",\"line\":{},\"of\":{of}}}\n",
            at + 1
        )
    };
    numbers.iter().enumerate().map(line).collect()
}

/// Over the device and the events, as it is documented.
fn batch_id(device: &str, numbers: &[u32]) -> String {
    use std::fmt::Write as _;

    let mut hash = Sha256::new().chain_update(device).chain_update("\n");
    for number in numbers {
        hash.update(event(*number));
        hash.update("\n");
    }
    hash.finalize()[..16]
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn event(number: u32) -> String {
    format!(r#"{{"event":"0B040001","time":"{}"}}"#, time(number))
}

fn time(number: u32) -> String {
    format!("20261123{number:06}")
}

/// What a device sends.
pub(super) fn body_of(numbers: &[u32]) -> String {
    let events: Vec<_> = numbers.iter().map(|number| event(*number)).collect();
    format!(
        r#"{{"asyncEvents":[{}],"nxtDbVerTS":"0x1"}}"#,
        events.join(",")
    )
}

pub(super) fn audit(host: &Host, device: u32, number: u32) {
    let target = format!("/swordfish/lock/audit?sn={device:016X}");
    let status = host.call("POST", &target, body_of(&[number])).status();
    assert!([201, 202].contains(&status), "{status}");
}
