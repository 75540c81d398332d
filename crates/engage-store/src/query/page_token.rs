//! Where a page ends.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::DeviceOrder;
use crate::DeviceId;

/// The end of a page of devices. Its text is for nobody but [`FromStr`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DevicePageToken {
    pub(crate) key: DeviceKey,
    pub(crate) device: DeviceId,
}

/// What a row is sorted by before its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DeviceKey {
    Name,
    DoorName(String),
    LastSeenNewestFirst(i64),
    LastSeenOldestFirst(i64),
    BatteryLowestFirst(i64),
}

impl DevicePageToken {
    /// Of a page that is sorted by nothing else.
    pub(crate) fn by_name(device: DeviceId) -> Self {
        let key = DeviceKey::Name;
        Self { key, device }
    }

    /// Of the page that it ends.
    pub(crate) fn order(&self) -> DeviceOrder {
        match self.key {
            DeviceKey::Name => DeviceOrder::Name,
            DeviceKey::DoorName(_) => DeviceOrder::DoorName,
            DeviceKey::LastSeenNewestFirst(_) => DeviceOrder::LastSeenNewestFirst,
            DeviceKey::LastSeenOldestFirst(_) => DeviceOrder::LastSeenOldestFirst,
            DeviceKey::BatteryLowestFirst(_) => DeviceOrder::BatteryLowestFirst,
        }
    }
}

/// The end of a page of events. Its text is for nobody but [`FromStr`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPageToken(pub(crate) EventPosition);

impl EventPageToken {
    pub(crate) fn position(&self) -> EventPosition {
        self.0
    }
}

/// Where an event is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EventPosition {
    /// By its key.
    Filed {
        filed_at: i64,
        device: DeviceId,
        seq: i64,
    },
    /// In the order in which all were stored: the number of its run, and its own among the device's.
    Appended { number: i64, seq: i64 },
}

/// Text that no page ended with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no page token; begin with the first page, and use what came with it")]
pub struct InvalidPageToken;

impl fmt::Display for DevicePageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, order) = (self.device, self.order());
        let text = match &self.key {
            DeviceKey::Name => format!("devices {device}"),
            DeviceKey::DoorName(name) => format!("devices {device} {order} {name}"),
            DeviceKey::LastSeenNewestFirst(number)
            | DeviceKey::LastSeenOldestFirst(number)
            | DeviceKey::BatteryLowestFirst(number) => format!("devices {device} {order} {number}"),
        };
        f.write_str(&encode(&text))
    }
}

impl FromStr for DevicePageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        parse(text, |fields| {
            let ["devices", device, key @ ..] = fields else {
                return None;
            };
            let device = device.parse().ok()?;
            let [order, key @ ..] = key else {
                let key = DeviceKey::Name;
                return Some(Self { key, device });
            };
            // A name may hold spaces.
            let key = key.join(" ");
            let number = || key.parse().ok();
            let key = match DeviceOrder::parse(order)? {
                DeviceOrder::Name => return None,
                DeviceOrder::DoorName => DeviceKey::DoorName(key),
                DeviceOrder::LastSeenNewestFirst => DeviceKey::LastSeenNewestFirst(number()?),
                DeviceOrder::LastSeenOldestFirst => DeviceKey::LastSeenOldestFirst(number()?),
                DeviceOrder::BatteryLowestFirst => DeviceKey::BatteryLowestFirst(number()?),
            };
            Some(Self { key, device })
        })
    }
}

impl fmt::Display for EventPageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            EventPosition::Filed {
                filed_at,
                device,
                seq,
            } => format!("events {filed_at} {device} {seq}"),
            EventPosition::Appended { number, seq } => format!("appended {number} {seq}"),
        };
        f.write_str(&encode(&text))
    }
}

impl FromStr for EventPageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        let position = |fields: &[&str]| match fields {
            ["events", filed_at, device, seq] => Some(EventPosition::Filed {
                filed_at: filed_at.parse().ok()?,
                device: device.parse().ok()?,
                seq: seq.parse().ok()?,
            }),
            ["appended", number, seq] => Some(EventPosition::Appended {
                number: number.parse().ok()?,
                seq: seq.parse().ok()?,
            }),
            _ => None,
        };
        parse(text, |fields| position(fields).map(Self))
    }
}

fn encode(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Takes only what it would write itself.
fn parse<T: fmt::Display>(
    text: &str,
    read: impl FnOnce(&[&str]) -> Option<T>,
) -> Result<T, InvalidPageToken> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .and_then(|fields| read(&fields.split(' ').collect::<Vec<_>>()))
        .filter(|token| token.to_string() == text)
        .ok_or(InvalidPageToken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_read_back_and_is_of_one_kind(filed_at: i64, serial: u64, seq: i64, name: String) {
            let device: DeviceId = format!("{serial:016X}").parse().unwrap();
            for key in [
                DeviceKey::Name,
                DeviceKey::DoorName(name),
                DeviceKey::LastSeenNewestFirst(filed_at),
                DeviceKey::LastSeenOldestFirst(filed_at),
                DeviceKey::BatteryLowestFirst(seq),
            ] {
                let devices = DevicePageToken { key, device };
                prop_assert_eq!(devices.to_string().parse(), Ok(devices.clone()));
                prop_assert_eq!(devices.to_string().parse::<EventPageToken>(), Err(InvalidPageToken));
            }
            for position in [
                EventPosition::Filed { filed_at, device, seq },
                EventPosition::Appended { number: filed_at, seq },
            ] {
                let events = EventPageToken(position);
                prop_assert_eq!(events.to_string().parse(), Ok(events.clone()));
                prop_assert_eq!(events.to_string().parse::<DevicePageToken>(), Err(InvalidPageToken));
            }
        }

        #[test]
        fn other_text_is_refused(text: String) {
            prop_assert_eq!(text.parse::<DevicePageToken>(), Err(InvalidPageToken));
            prop_assert_eq!(encode(&text).parse::<EventPageToken>(), Err(InvalidPageToken));
        }
    }

    #[test]
    fn another_spelling_of_a_token_is_refused() {
        for fields in [
            "devices 0123456789abcdef",
            "devices",
            "devices 0123456789ABCDEF ",
            "devices 0123456789ABCDEF name ",
            "devices 0123456789ABCDEF battery-lowest-first +1",
            "devices 0123456789ABCDEF color 1",
            "appended 1",
            "appended 01 1",
            "events 01 0123456789ABCDEF 1",
            "events 1 0123456789ABCDEF +1",
            "events 1 0123456789ABCDEF",
        ] {
            let text = encode(fields);
            assert_eq!(text.parse::<DevicePageToken>(), Err(InvalidPageToken));
            assert_eq!(text.parse::<EventPageToken>(), Err(InvalidPageToken));
        }
    }
}
