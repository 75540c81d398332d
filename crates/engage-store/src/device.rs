//! What is known of one device: the contents of its `device.json`.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CallTime, DeviceId, Properties};

/// What is known of a device. Everything but its name may be unknown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeviceRecord {
    /// The device.
    pub device: DeviceId,
    /// When it called for the first time.
    pub first_seen: Timestamp,
    /// When it called last, on whatever route.
    pub last_seen: Timestamp,
    /// Where it called from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The site whose announcement it fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What its door is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its model, or its base type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The version of its main firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The voltage of its main battery, in the device's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<String>,
    /// The last certificate that it fetched, by its SHA-256 fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Timestamped>,
    /// Its last TLS session, with the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Timestamped>,
    /// The last call-in that got as far as uploading parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_saved_at: Option<Timestamp>,
    /// The last audits that were acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audits_stored_at: Option<Timestamp>,
    /// The last database that it asked for, with the stamp that it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Timestamped>,
    /// Why its `db.json` is not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_refused: Option<String>,
    /// When it is to call next, with the local time that it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_call_in: Option<Timestamped>,
}

/// A value, and when it was so.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Timestamped {
    /// When.
    pub at: Timestamp,
    /// The value.
    pub value: String,
}

impl DeviceRecord {
    /// A device that nothing is known of yet.
    pub fn new(device: DeviceId, seen: Timestamp) -> Self {
        Self {
            device,
            first_seen: seen,
            last_seen: seen,
            address: None,
            site: None,
            name: None,
            model: None,
            firmware: None,
            battery: None,
            certificate: None,
            tls: None,
            config_saved_at: None,
            audits_stored_at: None,
            database: None,
            database_refused: None,
            next_call_in: None,
        }
    }

    /// The last call that only a call-in makes: anybody asks for the announcement.
    pub fn last_call_in(&self) -> Option<Timestamp> {
        let database = self.database.as_ref().map(|answered| answered.at);
        [self.config_saved_at, self.audits_stored_at, database]
            .into_iter()
            .flatten()
            .max()
    }

    /// Takes over what was noted at `at`.
    pub fn apply(&mut self, note: DeviceObservation, at: Timestamp) {
        self.last_seen = self.last_seen.max(at);
        let dated = |value| Some(Timestamped { at, value });
        match note {
            DeviceObservation::Seen { address, site, .. } => {
                self.address = Some(address);
                self.site = site.or_else(|| self.site.take());
            }
            DeviceObservation::CertificateFetched { fingerprint } => {
                self.certificate = dated(fingerprint);
            }
            DeviceObservation::TlsSession { version } => self.tls = dated(version),
            DeviceObservation::ConfigSaved(properties) => self.take_over(properties, at),
            DeviceObservation::AuditsStored => self.audits_stored_at = Some(at),
            DeviceObservation::DatabaseAnswered { version, next_call } => {
                self.database = dated(version);
                self.next_call_in = Some(Timestamped {
                    at: next_call.timestamp(),
                    value: next_call.to_string(),
                });
            }
            DeviceObservation::DatabaseChecked { refused } => self.database_refused = refused,
        }
    }

    /// A smaller upload does not erase what a larger one said.
    fn take_over(&mut self, properties: Properties, at: Timestamp) {
        let Properties {
            name,
            model,
            firmware,
            battery,
        } = properties;
        self.config_saved_at = Some(at);
        self.name = name.or_else(|| self.name.take());
        self.model = model.or_else(|| self.model.take());
        self.firmware = firmware.or_else(|| self.firmware.take());
        self.battery = battery.or_else(|| self.battery.take());
    }
}

/// Something that was seen of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeviceObservation {
    /// It called.
    Seen {
        /// From here.
        address: IpAddr,
        /// The site that its request selected.
        site: Option<String>,
        /// Whether somebody has entered it here: [`Call::is_registered`](crate::Call::is_registered).
        is_registered: bool,
    },
    /// It fetched a certificate, whole.
    CertificateFetched {
        /// The certificate's fingerprint.
        fingerprint: String,
    },
    /// It completed a TLS handshake.
    TlsSession {
        /// "1.2" or "1.3".
        version: String,
    },
    /// Its parameters were stored.
    ConfigSaved(Properties),
    /// Its audits were stored.
    AuditsStored,
    /// It was answered a database.
    DatabaseAnswered {
        /// The version in the answer.
        version: String,
        /// When it is to call next.
        next_call: CallTime,
    },
    /// Its `db.json` was looked at.
    DatabaseChecked {
        /// Why it is not sent, if so.
        refused: Option<String>,
    },
}
