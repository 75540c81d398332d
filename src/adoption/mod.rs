//! Who fetched what, whether it helped, and which trust anchor devices have.

mod addresses;
mod announcement_fetches;
mod download;
mod sightings;

pub(crate) use addresses::{AddressRecord, AnchorSeen};
pub(crate) use announcement_fetches::{AnnouncementFetches, Suspicion};
pub(crate) use download::{Download, PendingDownload};
pub(crate) use sightings::{Sightings, VerifiedChain};
