//! What the tests stand on: certificates by openssl, an installation on disk, the daemon, and
//! clients that show every byte.

mod admin;
mod attack;
mod certificate;
mod command;
mod daemon;
mod host;
mod installation;
mod keys;
mod kill;
mod metrics;
mod shown;
mod stored;
mod tls;
mod wire;

pub(crate) use admin::{Browser, Role, TOKEN_FILE, ask_admin, bearer, make_admin_identity};
pub(crate) use attack::{Attack, HonestDevice, affordable};
pub(crate) use certificate::{CA, Certificate, Chain, INTERMEDIATE, Request, SERVER, standard};
pub(crate) use command::{Finished, openssl, program, run, run_with_input, with_descriptors};
pub(crate) use daemon::Daemon;
pub(crate) use host::{Host, ledger, request};
pub(crate) use installation::{Installation, SITE_KEY_BASE64, SITE_KEY_HEX};
pub(crate) use keys::Key;
pub(crate) use kill::killing_library;
pub(crate) use shown::{hex, shown, wire_text};
pub(crate) use stored::audit_texts;
pub(crate) use tls::{client_config, get_over, tls_connect, tls_connect_as, tls_get, trusting};
pub(crate) use wire::{
    Response, close_sending, connect, connect_from, exchange, get, get_from, read_answer,
    read_to_end,
};
