//! Who may use the pages and the API of the admin listener.

mod check;
mod command;
mod secrecy;
mod sessions;
mod tls;
mod tokens;
