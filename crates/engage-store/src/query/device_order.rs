//! Which devices come first.

use std::fmt;

/// Which devices come first. Where they are equal in it, the one whose name sorts first by its bytes;
/// the last with [`LastSeenNewestFirst`](Self::LastSeenNewestFirst).
///
/// A device that calls while somebody turns pages by [`LastSeenOldestFirst`](Self::LastSeenOldestFirst)
/// moves to the end and comes again there; by `LastSeenNewestFirst` it moves to the beginning.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum DeviceOrder {
    /// By name, which is the serial number.
    #[default]
    Name,
    /// By what the door is called, in lower case; those without a name first.
    DoorName,
    /// Those that called last.
    LastSeenNewestFirst,
    /// Those that have not called for longest.
    LastSeenOldestFirst,
    /// The lowest voltage; those whose voltage is not known last.
    BatteryLowestFirst,
}

impl DeviceOrder {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Name,
        Self::DoorName,
        Self::LastSeenNewestFirst,
        Self::LastSeenOldestFirst,
        Self::BatteryLowestFirst,
    ];

    /// Reads what [`as_str`](Self::as_str) writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == text)
    }

    /// As it stands in addresses: "last-seen-newest-first".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::DoorName => "door-name",
            Self::LastSeenNewestFirst => "last-seen-newest-first",
            Self::LastSeenOldestFirst => "last-seen-oldest-first",
            Self::BatteryLowestFirst => "battery-lowest-first",
        }
    }
}

impl fmt::Display for DeviceOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
