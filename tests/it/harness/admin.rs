//! Tokens of the admin listener, and a client that shows one.

use std::net::SocketAddr;

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{Installation, Response, exchange, openssl};

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

/// `NAME.pem` and `NAME.key`: a certificate as browsers want it, by openssl, under which `localhost` is asked.
pub(crate) fn make_admin_identity(installation: &Installation, name: &str, common_name: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN={common_name}");
    openssl(
        installation.folder(),
        [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-subj",
            &subject,
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &key,
            "-out",
            &pem,
        ],
    );
}

/// As far as a browser counts here: it keeps the cookie of a session.
pub(crate) struct Browser {
    address: SocketAddr,
    /// Its name and its value.
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookie: None,
        }
    }

    /// Sends the form to sign in.
    pub(crate) fn sign_in(&self, token: &str, next: &str) -> Response {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let form = format!("token={}&next={}", encoded(token), encoded(next));
        self.post_form("/sign-in", &form)
    }

    /// Signs in, and keeps the cookie.
    pub(crate) fn signed_in(&mut self, token: &str) {
        let answer = self.sign_in(token, "/");
        assert_eq!(answer.status(), 303, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap();
        self.cookie = cookie.split(';').next().map(str::to_owned);
    }

    pub(crate) fn get(&self, target: &str) -> Response {
        self.send(&format!("GET {target}"), "", "")
    }

    pub(crate) fn post_form(&self, target: &str, form: &str) -> Response {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send(&format!("POST {target}"), headers, form)
    }

    /// A request with the cookie.
    pub(crate) fn send(&self, method_and_target: &str, headers: &str, body: &str) -> Response {
        let cookie = self.cookie.as_ref();
        let cookie = cookie.map_or_else(String::new, |it| format!("Cookie: {it}\r\n"));
        let headers = format!("{cookie}{headers}");
        ask_admin(self.address, method_and_target, &headers, body)
    }

    /// What the forms of its pages send.
    pub(crate) fn form_token(&self) -> String {
        let page = String::from_utf8(self.get("/sign-out").body).unwrap();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}
