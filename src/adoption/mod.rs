//! Who fetched what, and whether it helped.

mod announcement_fetches;
mod download;

pub(crate) use announcement_fetches::{AnnouncementFetches, Suspicion};
pub(crate) use download::{Download, PendingDownload};
