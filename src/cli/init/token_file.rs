//! The file of tokens that open the pages and the API: empty, so that it lets nobody in.

use std::net::SocketAddr;
use std::path::Path;

use super::error::InitError;
use super::layout::{Layout, exists};
use crate::admin::TOKEN_FILE_HEADING;
use crate::config::{AdminListen, Config};
use crate::new_files::{NewFile, Readers};

/// The file, if one is named that does not exist.
pub(super) fn missing(layout: &Layout) -> Result<Option<NewFile>, InitError> {
    match &layout.token_file {
        Some(path) if !exists(path)? => Ok(Some(new_file(path))),
        _ => Ok(None),
    }
}

/// A file without a token, which the daemon reads and does not write.
pub(in crate::cli) fn new_file(path: &Path) -> NewFile {
    NewFile::new(
        path.to_owned(),
        TOKEN_FILE_HEADING.as_bytes().to_vec(),
        WHAT,
        Readers::Daemon(None),
    )
}

/// What the operator does so that somebody is let in; nothing where somebody may be already.
pub(super) fn next_step(config: &Config, is_new: bool) -> Option<String> {
    let path = config.path.display();
    let address: SocketAddr = match config.admin.listen {
        AdminListen::Off => return None,
        AdminListen::Default => AdminListen::DEFAULT_ADDRESS.into(),
        AdminListen::Address(address) => address,
    };
    match config.admin.token_file {
        None => Some(SWITCH_ON.replace("FILE", &path.to_string())),
        Some(_) if is_new && address.port() == 0 => Some(format!(
            "{TOKEN}{path}, and open the address that the daemon logs"
        )),
        Some(_) if is_new => {
            let scheme = config.admin.identity().map_or("http", |_| "https");
            Some(format!("{TOKEN}{path}, and open {scheme}://{address}/"))
        }
        Some(_) => None,
    }
}

const WHAT: &str = "tokens for the pages and the API; none yet";

const TOKEN: &str = "to see the devices in a browser, make a token: engage-host admin token NAME --role read\n   --config ";

const SWITCH_ON: &str = "for the pages and the API, which are off, add `token_file = \"admin-tokens\"` below `[admin]` in\n   \
                         FILE, and run this command again";
