//! Who fetched what, whether it helped, which trust anchor devices have, and how far they are on their
//! way to another.

mod addresses;
mod announcement_fetches;
mod devices;
mod download;
mod sightings;

pub(crate) use addresses::{AddressRecord, AnchorSeen};
pub(crate) use announcement_fetches::{AnnouncementFetches, Suspicion};
pub(crate) use devices::{Anchors, COUNTED, Counts, DeviceState, count_devices, expected_call};
pub(crate) use download::{Download, PendingDownload};
pub(crate) use sightings::{Sightings, VerifiedChain};
