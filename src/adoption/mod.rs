//! Who fetched what, and whether it helped.

mod announcement_fetches;
mod certificate_fetches;
mod download;
mod fetch_file;

pub use announcement_fetches::AnnouncementFetches;
pub use certificate_fetches::{CertificateFetch, CertificateFetches};
pub use download::{Download, PendingDownload};
pub(crate) use fetch_file::keep_fetches;
