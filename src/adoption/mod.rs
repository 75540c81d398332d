//! Who fetched what, and whether it helped.

mod announcement_fetches;
mod download;

pub use announcement_fetches::{AnnouncementFetches, Suspicion};
pub use download::{Download, PendingDownload};
