//! Certificate distribution for Schlage ENGAGE Wi-Fi devices.
//!
//! A device trusts a partner's server only after it has installed the partner's certificate. It
//! asks for it in clear text on port 80:
//!
//! ```text
//! GET /swordfish/lock/certificates/current
//! {"cert_url":"http://10.44.68.128/static/Device_Certificates/partner_CA.der","hash":"2t86c.."}
//! ```
//!
//! fetches the DER file, checks that `hash` is Base64(HMAC-SHA1(site key, DER)), and from then on
//! speaks TLS on port 443. This crate checks all of that as a device would before it serves it.
//!
//! # The map
//!
//! Data flows one way: `config.toml` -> [`Config`] -> [`Publication`]
//! (checked, immutable) -> listeners. A module knows what lies below it, never above.
//!
//! - `cli`: one file per command; the only place that prints.
//! - `daemon`: start, run, reload, watch, drain.
//! - `server`: sockets, TLS, the one HTTP/1 profile.
//! - `routes`: the router of devices, the layers around it, the handlers.
//! - `publication`: everything that the certificate routes serve, and its validation.
//! - `renewal`: a new server certificate, made and validated before it takes the old one's place.
//! - `webhook`: the delivery of what devices sent to the access-control system.
//! - `http_client`: requests to servers of the site and to other hosts, and whom they trust.
//! - `otlp`: the export of traces to a collector.
//! - `adoption`: who fetched which certificate, who asks again and again without TLS, and how far devices
//!   are on their way to another trust anchor.
//! - `rotation`: a change of the root: who is shown which chain.
//! - `rotation_steps`: the steps of such a change, and how far it is. `table`: text in columns.
//! - `config`, `tls`: configuration, what the server authenticates with.
//! - `telemetry`, `platform`: logs; what differs by operating system.
//! - `login_throttle`: callers that keep presenting wrong credentials.
//! - `reload_outcome`: what a reload came to.
//! - `event_text`: events as lines of JSON or CSV. `pretty_json`: JSON for people.
//! - `check`: all that a start does, tried. `credentials_file`: its lines, set and removed. `recording`: where the store is, and what stands against it.
//! - `failure`: why something was not done, for people and programs.
//! - `sites`: the files of sites, added and removed. `new_files`: files that did not exist.
//! - `secret_file`: one that others can read. `file_version`: whether a file is still what it was when it was read. `staged_file`: one that is written whole or not at all, and a folder's lock.
//!
//! Below it: `engage-wire` (what a device and a host agree on), `engage-device` (a device,
//! simulated) and `engage-store` (what devices deliver).
//!
//! What is exported is what the binary, the benchmarks and the fuzz targets use.

mod admin;
mod adoption;
mod check;
mod cli;
mod config;
mod connection;
mod credentials_file;
mod daemon;
mod event_text;
mod failure;
mod file_version;
mod http_client;
mod login_throttle;
mod new_files;
mod operator_map;
mod otlp;
mod platform;
mod pretty_json;
mod publication;
mod recording;
mod reload_outcome;
mod renewal;
mod requested_host;
mod rotation;
mod rotation_steps;
mod routes;
mod secret_file;
mod server;
mod sites;
mod staged_file;
mod table;
mod telemetry;
mod tls;
mod webhook;

pub use cli::run;
pub use config::{Config, parse_site_file};
pub use connection::{Connection, ListenerKind};
pub use publication::{CurrentPublication, Publication, validate};
pub use routes::{App, DeviceService, device_service};
pub use server::parse_proxy_header;
pub use telemetry::start_access_log_nowhere;
pub use tls::hello::ClientHello;
