//! Who may use the pages and the API: whoever shows a token of `[admin] token_file`.

mod cookie;
mod forms;
mod headers;
mod layer;
mod local_path;
mod new_token;
mod principal;
mod refusal;
mod role;
mod sessions;
mod sign_in;
mod sign_in_page;
mod token;
mod token_file;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{error, warn};

use crate::connection::AdminPeer;
use crate::login_throttle::LoginThrottle;
use crate::telemetry::{LogThrottle, Metrics};
use engage_wire::diagnostic::{code, one_line};
use refusal::AccessRefusal;
use sessions::{FormToken, SessionId, Sessions};
use token::TokenHash;
use token_file::Holder;

pub(super) use headers::with_headers;
pub(super) use layer::{require_api, require_page};
pub(crate) use new_token::{HEADING as TOKEN_FILE_HEADING, add_token};
pub(super) use principal::Principal;
pub(crate) use role::Role;
pub(super) use sign_in::sign_in_routes;
pub(crate) use token::{Token, TokenName};
pub(crate) use token_file::{TokenFile, TokenFileError};

/// Whose tokens are known.
#[derive(Debug)]
pub(crate) struct AdminAccess {
    tokens: ArcSwap<TokenFile>,
    sessions: Sessions,
    failures: LoginThrottle,
    refused: LogThrottle,
    metrics: Arc<Metrics>,
}

impl AdminAccess {
    /// Reads the tokens. Where they cannot be used, nobody is let in until they can: a daemon that does
    /// not start would keep doors from what they come for.
    pub(crate) fn open(path: &Path, metrics: &Arc<Metrics>) -> Self {
        let tokens = TokenFile::load(path).unwrap_or_else(|error| {
            error!(
                code = %code(&error),
                "nobody is let in to the pages and the API until this is mended: {}",
                one_line(&error)
            );
            TokenFile::default()
        });
        Self {
            tokens: ArcSwap::from_pointee(tokens),
            sessions: Sessions::default(),
            failures: LoginThrottle::default(),
            refused: LogThrottle::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// Has what the file says now decide. Sessions whose token it lacks end.
    pub(crate) fn replace_tokens(&self, tokens: TokenFile) {
        self.sessions.retain(|hash| tokens.holder(hash).is_some());
        self.tokens.store(tokens.into());
    }

    /// Whose token it is. Failures count against the network that they come from; a token that is known
    /// is let in whatever others of its network have tried, as nobody can guess 256 random bits.
    fn holder_of(
        &self,
        token: Option<&Token>,
        peer: &AdminPeer,
    ) -> Result<Principal, AccessRefusal> {
        let known = token.and_then(|token| self.principal(token.hash(), None, peer));
        known.ok_or_else(|| self.refuse(peer))
    }

    /// Whether somebody would be let in now as they were: an answer that goes on for long asks again.
    pub(super) fn lets_in_still(&self, principal: &Principal) -> bool {
        let tokens = self.tokens.load();
        let holder = tokens.holder(principal.token);
        holder.is_some_and(|holder| holder.role >= principal.role)
    }

    /// Whose session it is. It is looked up anew for each request: whose token is taken away, or has
    /// another role, is told at once.
    fn session(&self, id: &SessionId, peer: &AdminPeer) -> Option<Principal> {
        let (token, form_token) = self.sessions.find(id)?;
        self.principal(token, Some(form_token), peer)
    }

    fn principal(
        &self,
        hash: TokenHash,
        form_token: Option<FormToken>,
        peer: &AdminPeer,
    ) -> Option<Principal> {
        let tokens = self.tokens.load();
        let Holder { name, role } = tokens.holder(hash)?.clone();
        Some(Principal {
            name,
            role,
            address: peer.address.ip().to_canonical(),
            token: hash,
            form_token,
        })
    }

    fn refuse(&self, peer: &AdminPeer) -> AccessRefusal {
        let address = peer.address.ip();
        let refusal = if self.failures.check(address) {
            self.failures.record_failure(address);
            AccessRefusal::UnknownToken
        } else {
            AccessRefusal::TooManyFailures
        };
        self.metrics.admin_refused("tokens");
        if let Some(others) = self.refused.check() {
            warn!(
                listener = "admin",
                peer = %address.to_canonical(),
                others = others.count(),
                "token on the admin listener refused: {refusal}{others}"
            );
        }
        refusal
    }
}
