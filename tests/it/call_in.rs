//! The nightly call-in: what is answered, what is recorded, and who may call.

mod amplification;
mod bodies;
mod body_limits;
mod callers;
mod databases;
mod directory;
mod downloads;
mod only_known;
mod parsers;
mod replay;

const CONFIG: &str = "/swordfish/lock/Config";
const AUDIT: &str = "/swordfish/lock/audit";
const ALERT: &str = "/swordfish/lock/alert";
const NO_DATABASE: &str = "/swordfish/lock/db/0";

/// The serial number of most devices here, and it as a parameter.
const DEVICE: &str = "0123456789ABCDEF";
const BY_QUERY: &str = "?sn=0123456789abcdef";

/// Something of the call-in at `path`, by that device.
fn of_device(path: &str) -> String {
    format!("{path}{BY_QUERY}")
}
