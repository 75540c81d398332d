//! What a device is filed under.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SerialNumber;

/// A device: its serial number, or where it called from when it did not say.
///
/// Displayed as the name of its directory, which is the same on every file system: upper-case
/// hexadecimal digits, or `addr-` and the address with `-` for `:`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceId {
    /// The peer's address, IPv4 where it is one.
    Address(IpAddr),
    /// The device's own number.
    Serial(SerialNumber),
}

impl DeviceId {
    /// Who is calling: the HTTP Basic user name, else the query's serial number, else the peer's
    /// address.
    ///
    /// Which of them real devices send is not public (PROTOCOL.md section 4).
    pub fn from_caller(user_name: Option<&str>, query: Option<&str>, peer: IpAddr) -> Self {
        user_name
            .and_then(SerialNumber::from_user_name)
            .or_else(|| query.and_then(SerialNumber::from_query))
            .map_or_else(|| Self::Address(peer.to_canonical()), Self::Serial)
    }

    /// Its serial number, if it said one.
    pub fn serial(self) -> Option<SerialNumber> {
        match self {
            Self::Address(_) => None,
            Self::Serial(serial) => Some(serial),
        }
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            // A colon is not allowed in file names everywhere.
            Self::Address(address) => {
                format!("{ADDRESS_PREFIX}{}", address.to_string().replace(':', "-"))
            }
            Self::Serial(serial) => serial.to_string(),
        };
        f.pad(&name)
    }
}

impl FromStr for DeviceId {
    type Err = UnknownDeviceId;

    /// Reads a directory's name, a serial number of any case, or an address.
    fn from_str(text: &str) -> Result<Self, UnknownDeviceId> {
        let address = |text: &str| text.parse().ok().map(|ip: IpAddr| ip.to_canonical());
        let filed = |text: &str| address(text).or_else(|| address(&text.replace('-', ":")));
        SerialNumber::from_hex(text.as_bytes())
            .map(Self::Serial)
            .or_else(|| filed(text.strip_prefix(ADDRESS_PREFIX)?).map(Self::Address))
            .or_else(|| address(text).map(Self::Address))
            .ok_or_else(|| UnknownDeviceId(text.to_owned()))
    }
}

impl TryFrom<String> for DeviceId {
    type Error = UnknownDeviceId;

    fn try_from(text: String) -> Result<Self, UnknownDeviceId> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(device: DeviceId) -> Self {
        device.to_string()
    }
}

/// Text that names no device.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is not a device; allowed: a serial number of 16 or 32 hexadecimal digits, or an IP address"
)]
pub struct UnknownDeviceId(String);

const ADDRESS_PREFIX: &str = "addr-";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 44, 0, 7));

    #[test]
    fn the_user_name_comes_before_the_query_and_the_address_last() {
        let named = Some("0123456789abcdef");
        let query = Some("sn=00000000000000ff");
        let filed = |user, query| DeviceId::from_caller(user, query, PEER).to_string();
        assert_eq!(filed(named, query), "0123456789ABCDEF");
        assert_eq!(filed(None, query), "00000000000000FF");
        assert_eq!(filed(Some("admin"), query), "00000000000000FF");
        assert_eq!(filed(Some("admin"), None), "addr-10.44.0.7");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let mapped = "::ffff:10.44.0.7".parse().unwrap();
        assert_eq!(
            DeviceId::from_caller(None, None, mapped),
            DeviceId::Address(PEER)
        );
    }

    proptest! {
        #[test]
        fn a_name_is_safe_for_a_directory_and_leads_back(bytes: [u8; 16], four: [u8; 4]) {
            for device in [
                DeviceId::Address(IpAddr::from(bytes).to_canonical()),
                DeviceId::Address(IpAddr::from(four)),
                DeviceId::from_caller(None, Some(&format!("sn={}", u128::from_be_bytes(bytes))), PEER),
            ] {
                let name = device.to_string();
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'));
                prop_assert!(!name.starts_with('.'));
                prop_assert_eq!(name.parse(), Ok(device));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = text.parse::<DeviceId>();
        }
    }
}
