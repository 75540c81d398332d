//! Where a page ends.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::DeviceId;

/// The end of a page of devices. Its text is for nobody but [`FromStr`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DevicePageToken(pub(crate) DeviceId);

/// The end of a page of events. Its text is for nobody but [`FromStr`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPageToken {
    pub(crate) filed_at: i64,
    pub(crate) device: DeviceId,
    pub(crate) seq: i64,
}

/// Text that no page ended with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no page token; begin with the first page, and use what came with it")]
pub struct InvalidPageToken;

impl fmt::Display for DevicePageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&format!("devices {}", self.0)))
    }
}

impl FromStr for DevicePageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        parse(text, |fields| match fields {
            ["devices", device] => Some(Self(device.parse().ok()?)),
            _ => None,
        })
    }
}

impl fmt::Display for EventPageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            filed_at,
            device,
            seq,
        } = self;
        f.write_str(&encode(&format!("events {filed_at} {device} {seq}")))
    }
}

impl FromStr for EventPageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        parse(text, |fields| match fields {
            ["events", filed_at, device, seq] => Some(Self {
                filed_at: filed_at.parse().ok()?,
                device: device.parse().ok()?,
                seq: seq.parse().ok()?,
            }),
            _ => None,
        })
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
        fn a_token_is_read_back_and_is_of_one_kind(filed_at: i64, serial: u64, seq: i64) {
            let device: DeviceId = format!("{serial:016X}").parse().unwrap();
            let devices = DevicePageToken(device);
            let events = EventPageToken { filed_at, device, seq };
            prop_assert_eq!(devices.to_string().parse(), Ok(devices.clone()));
            prop_assert_eq!(events.to_string().parse(), Ok(events.clone()));
            prop_assert_eq!(events.to_string().parse::<DevicePageToken>(), Err(InvalidPageToken));
            prop_assert_eq!(devices.to_string().parse::<EventPageToken>(), Err(InvalidPageToken));
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
            "devices 0123456789ABCDEF ",
            "devices",
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
