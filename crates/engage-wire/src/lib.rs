//! What an ENGAGE Wi-Fi device and its host agree on: certificates as a device sees them, the site
//! key and the announcement, paths and limits, and how errors are told.

mod caller_network;
pub mod clock;
pub mod diagnostic;
mod even_clock;
mod host_name;
mod http_url;
pub mod limits;
mod listener_address;
mod log_throttle;
pub mod paths;
pub mod pki;
mod read;
mod replace;
mod request_framing;
mod sharded_lru;
pub mod site;
mod terminal;
mod text;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use caller_network::CallerNetwork;
pub use even_clock::EvenClock;
pub use host_name::{HostName, HostNameError};
pub use http_url::{HostPort, HttpUrl, HttpUrlError, Scheme};
pub use listener_address::reached_from_here;
pub use log_throttle::{CallerThrottle, LogThrottle, Suppressed};
pub use read::{ReadError, read_regular_file};
pub use replace::{replace_file, sync_folder};
pub use request_framing::{FramingError, RequestFraming};
pub use sharded_lru::ShardedLru;
pub use terminal::{escape_bytes, escape_for_terminal, escape_json_for_terminal, excerpt};
pub use text::{Text, TextEncoding, TextError, read_text};

/// The one crypto provider; nothing depends on a process-wide default.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
