//! Behaviour of the real binary over real sockets.
//!
//! Every daemon listens on port 0 of the loopback interface; every certificate is made by the
//! openssl command line, and openssl and curl judge the answers beside our own clients.

#![expect(
    clippy::unwrap_used,
    reason = "a test reports a failed expectation by panicking"
)]

mod access;
mod admin;
mod admin_access;
mod admin_api;
mod admin_limits;
mod admin_pages;
mod admission;
mod adopt;
mod alerts;
mod answers;
mod base_url;
mod call_in;
mod chains;
mod check;
mod completions;
mod crash;
mod database;
mod database_away;
mod database_tls;
mod deadlines;
mod descriptors;
mod device_profile;
mod devices_backup;
mod devices_cli;
mod devices_db;
mod devices_import;
mod devices_quarantine;
mod devices_search;
mod disk;
mod doctor;
mod evictions;
mod expiry;
mod extremes;
mod fleet;
mod handshakes;
mod harness;
mod hash;
mod healthcheck;
mod hostile;
mod hostile_load;
mod https;
mod init;
mod json_files;
mod limits;
mod load;
mod log_messages;
mod log_reader;
mod logs;
mod malformed;
mod messages;
mod monitoring;
mod output;
mod passed_sockets;
mod paths;
mod refusals;
mod reload;
mod renew;
mod rotate;
mod rotation;
mod secrets;
mod service;
mod several_hosts;
mod simulate;
mod sites;
mod stop;
mod text_files;
mod threats;
mod traces;
mod trouble;
mod warnings;
mod webhook;
