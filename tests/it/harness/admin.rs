//! Tokens of the admin listener, and a client that shows one.

use std::net::SocketAddr;

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::{Installation, Response, exchange};

/// What a token allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Read,
    Write,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Installation {
    /// Puts a line for a new token into the token file, which is made and configured if there is none,
    /// and returns the token. Its name is that of its role. The admin listener must be switched on.
    pub(crate) fn with_admin_token(&self, role: Role) -> String {
        self.with_named_admin_token(role.name(), role)
    }

    /// The same with another name.
    pub(crate) fn with_named_admin_token(&self, name: &str, role: Role) -> String {
        let path = self.path(TOKEN_FILE);
        if !path.exists() {
            self.set("[admin]", &format!("token_file = \"{TOKEN_FILE}\""));
        }
        let before = fs_err::read_to_string(&path).unwrap_or_default();
        let mut random = [0; 32];
        rand::fill(&mut random).unwrap();
        let token = format!("engage_{}", BASE64URL_NOPAD.encode(&random));
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(&token));
        self.write(
            TOKEN_FILE,
            format!("{before}{name} {} {hash}\n", role.name()),
        );
        token
    }
}

/// A request to the admin listener with these header lines, each with its line end, and its answer.
pub(crate) fn ask_admin(
    address: SocketAddr,
    method_and_target: &str,
    headers: &str,
    body: &str,
) -> Response {
    let length = body.len();
    let request = format!(
        "{method_and_target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    Response::parse(&exchange(address, request))
}

/// The header line that shows a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) const TOKEN_FILE: &str = "admin-tokens";
