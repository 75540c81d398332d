//! Who may use the pages and the API: whoever shows a token of `[admin] token_file`.

mod layer;
mod new_token;
mod principal;
mod refusal;
mod role;
mod token;
mod token_file;

use std::path::{Path, PathBuf};

use arc_swap::ArcSwap;
use tracing::error;

use crate::connection::AdminPeer;
use engage_wire::diagnostic::{code, one_line};
use token::TokenHash;
use token_file::Holder;

pub(super) use layer::{require_api, require_page};
pub(crate) use new_token::add_token;
pub(crate) use principal::{Principal, Source};
pub(crate) use role::Role;
pub(crate) use token::TokenName;
pub(crate) use token_file::TokenFile;

/// Whose tokens are known.
#[derive(Debug)]
pub(crate) struct Access {
    path: PathBuf,
    tokens: ArcSwap<TokenFile>,
}

impl Access {
    /// Reads the tokens. Where they cannot be used, nobody is let in until they can: a daemon that does
    /// not start would keep doors from what they come for.
    pub(crate) fn open(path: &Path) -> Self {
        let tokens = TokenFile::load(path).unwrap_or_else(|error| {
            error!(
                code = %code(&error),
                "nobody is let in to the pages and the API until this is mended: {}",
                one_line(&error)
            );
            TokenFile::default()
        });
        Self {
            path: path.to_owned(),
            tokens: ArcSwap::from_pointee(tokens),
        }
    }

    /// Where the tokens are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Has what the file says now decide. Sessions whose token it lacks end.
    pub(crate) fn replace_tokens(&self, tokens: TokenFile) {
        self.tokens.store(tokens.into());
    }

    fn principal(&self, hash: TokenHash, source: Source, peer: &AdminPeer) -> Option<Principal> {
        let tokens = self.tokens.load();
        let Holder { name, role } = tokens.holder(hash)?.clone();
        Some(Principal {
            name,
            role,
            source,
            address: peer.address.ip().to_canonical(),
        })
    }
}
