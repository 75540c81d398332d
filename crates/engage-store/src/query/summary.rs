//! All devices in a few numbers.

use jiff::Timestamp;
use serde::Serialize;

/// All devices, counted.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct DeviceSummary {
    /// All that are known.
    pub devices: u64,
    /// Those that called since.
    pub seen_since: u64,
    /// The same of each site, by its name.
    pub by_site: Vec<SiteDevices>,
    /// Those whose voltage is known and below 20, by their voltage.
    pub batteries: Vec<BatteryCount>,
}

/// The devices that selected a site with their last call.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SiteDevices {
    /// Its name; `None` of devices of which no site is known.
    pub site: Option<String>,
    /// All of them.
    pub devices: u64,
    /// Those that called since.
    pub seen: u64,
}

/// Devices whose main battery has about the same voltage.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct BatteryCount {
    /// In tenths of the device's unit: 61 stands for 6.10 up to 6.19.
    pub tenths: u16,
    /// How many devices have it.
    pub devices: u64,
}

/// An hour in which devices called in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct HourlyCallIns {
    /// Its beginning.
    pub hour: Timestamp,
    /// The devices that called in it, each counted once.
    pub count: u64,
}
