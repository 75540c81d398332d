//! What a host has stored, as its commands tell it and the store's reader.

use std::path::Path;

use engage_store::{
    DeviceEvent, DeviceId, EventFilter, EventKind, QuarantinedBody, SqlOptions, StoreReader,
};
use serde_json::Value;

use super::{Finished, Installation, program, run};

impl Installation {
    /// `engage-host devices`, whether or not the daemon runs.
    pub(crate) fn devices(&self, args: &[&str]) -> Finished {
        let mut command = program();
        command.arg("devices").args(args);
        run(command.arg("--config").arg(self.path("config.toml")))
    }

    /// What is known of each device, by name.
    pub(crate) fn records(&self) -> Vec<Value> {
        let printed = self.devices(&["--json"]);
        assert_eq!(printed.code, Some(0), "{}", printed.stderr_text());
        serde_json::from_slice(&printed.stdout).unwrap()
    }

    /// Null of a device that is not known.
    pub(crate) fn record(&self, device: &str) -> Value {
        let mut records = self.records().into_iter();
        records
            .find(|record| record["device"] == device)
            .unwrap_or_default()
    }

    /// The names of the devices that have records.
    pub(crate) fn known(&self) -> Vec<String> {
        let name = |record: &Value| record["device"].as_str().unwrap().to_owned();
        self.records().iter().map(name).collect()
    }

    /// A device's audits in the order in which they were stored; none of a device that is not known.
    pub(crate) fn audits(&self, device: &str) -> Vec<Value> {
        self.events(device, &[])
    }

    /// Its alerts.
    pub(crate) fn alerts(&self, device: &str) -> Vec<Value> {
        self.events(device, &["--alerts"])
    }

    fn events(&self, device: &str, form: &[&str]) -> Vec<Value> {
        let printed = self.devices(&[&["audits", device, "--json"], form].concat());
        let text = printed.stdout_text();
        if text.contains(r#""code":"unknown-device""#) {
            return Vec::new();
        }
        assert_eq!(printed.code, Some(0), "{text}{}", printed.stderr_text());
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A device's audits, byte for byte as they are stored.
    pub(crate) fn audit_texts(&self, device: &str) -> Vec<String> {
        audit_texts(&self.path(DATABASE), device)
    }

    /// A device's last upload, byte for byte.
    pub(crate) fn config(&self, device: &str) -> Option<Vec<u8>> {
        let device: DeviceId = device.parse().unwrap();
        let config = reader(&self.path(DATABASE)).config(device).unwrap();
        config.map(|config| config.to_vec())
    }

    /// What is in quarantine, oldest first: device, kind and body.
    pub(crate) fn quarantined(&self) -> Vec<(String, String, Vec<u8>)> {
        let reader = reader(&self.path(DATABASE));
        let bodies = reader.quarantined_bodies().unwrap();
        let whole = |it: &QuarantinedBody| {
            let body = reader.quarantined_body(it.device, Some(it.received_at));
            let kind = it.kind.as_str().to_owned();
            (it.device.to_string(), kind, body.unwrap().unwrap())
        };
        bodies.iter().map(whole).collect()
    }
}

/// A device's audits in a database, byte for byte.
pub(crate) fn audit_texts(database: &Path, device: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut found = |event: &DeviceEvent| {
        texts.push(event.text.clone());
        Ok(())
    };
    let filter = EventFilter {
        device: Some(device.parse().unwrap()),
        kind: Some(EventKind::Audits),
        ..EventFilter::default()
    };
    reader(database).follow(filter).read(&mut found).unwrap();
    texts
}

fn reader(database: &Path) -> StoreReader {
    StoreReader::open(&SqlOptions::sqlite(database.to_owned())).unwrap()
}

/// Where it is unless the configuration names another.
const DATABASE: &str = "Engage_Data/engage-host.db";
