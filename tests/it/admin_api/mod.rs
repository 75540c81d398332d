//! The management API, as a program uses it.

mod client;
mod credentials;
mod databases;
mod devices;
mod document;
mod follow;
mod idempotency;
mod malformed;
mod night;
mod remote;
mod rotation;
mod sites;

use client::Api;

use crate::harness::{Daemon, Host, Installation, Role};

/// A host that records call-ins, with its API; `devices` are further lines of that section.
fn host(devices: &str) -> (Host, Api) {
    start(Host::installation(devices))
}

/// The same of what is prepared already.
fn start(installation: Installation) -> (Host, Api) {
    let token = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start(&installation);
    let address = daemon.admin();
    let host = Host {
        installation,
        daemon,
    };
    (host, Api { address, token })
}

/// A lock's batch of one event.
fn batch(code: &str) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{code}","time":"20261123021259"}}]}}"#)
}

const DEVICE: &str = "0123456789ABCDEF";

const DATABASE: &str = r#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],"add":[{"usrID":"148","primeCr":"735B174C056D0A03D5DBD83EC513463C"}]},"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]}}"#;

const OTHER: &str = r#"{"db":{"schedules":[{"days":["Mo"],"strtHr":0,"strtMn":0,"lngth":60}]}}"#;
