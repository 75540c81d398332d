//! How far devices have come with the announced certificates: who fetched which, and who then
//! completed a handshake.

mod announcement_fetches;

pub use announcement_fetches::{AnnouncementFetches, Fetch};
