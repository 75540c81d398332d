//! A device, simulated: what `doctor`, load generation and the tests speak with.
//!
//! HTTP is raw bytes of our own, because HTTP libraries hide the spelling of header names, on
//! which devices depend (PROTOCOL.md section 3). TLS is rustls with a device's own idea of trust:
//! one certificate, a chain of at most 4096 bytes, no key over 2048 bits (section 2).
//!
//! Every wait ends at a deadline that the caller gives; every buffer has a bound.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use tokio::time::Instant;
//! use engage_device::{ReceivedAnnouncement, Request, connect, exchange};
//! use engage_wire::HttpUrl;
//!
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! let deadline = Instant::now() + Duration::from_secs(5);
//! let url: HttpUrl = "http://127.0.0.1:8080/swordfish/lock/certificates/current".parse()?;
//! let mut stream = connect(&url.address(), deadline).await?;
//! let received = exchange(&mut stream, &Request::get(&url), deadline).await?;
//! let announced = ReceivedAnnouncement::parse(received.response()?.body())?;
//! println!("{}", announced.cert_url());
//! # Ok(())
//! # }
//! ```

mod announcement;
mod cached_client;
mod connect;
pub mod fleet;
mod http;
mod response;
mod response_error;
mod socket;
mod stack;
mod tls;
mod verifier;

pub use announcement::{AnnouncementError, FormatDeviation, ReceivedAnnouncement};
pub use cached_client::CachedTlsClient;
pub use connect::{ConnectError, connect, connect_from, resolve};
pub use http::{EndOfRead, ExchangeError, Received, Request, exchange};
pub use response::{Header, LenientResponse, MAX_BODY_BYTES, MAX_HEAD_BYTES, Response};
pub use response_error::ResponseError;
pub use stack::{Alert, ChainSearch, CipherSuites, CipherSuitesError, TlsStack};
pub use tls::{TlsClient, TlsConnection, TlsError, TlsVersions};
pub use verifier::{ChainRefusal, PeerChain};
