//! A program that uses the API: requests, and answers as JSON.

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::{Response, exchange};

/// A host's API, and the token with which it is used.
pub(super) struct Api {
    pub(super) address: SocketAddr,
    pub(super) token: String,
}

impl Api {
    /// One request on its own connection.
    pub(super) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Response {
        let Self { address, token } = self;
        let mut request = format!(
            "{method} /api{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n{headers}"
        );
        if !body.is_empty() {
            let length = body.len();
            let content = "Content-Type: application/json\r\nContent-Length: ";
            request = format!("{request}{content}{length}\r\n");
        }
        Response::parse(&exchange(*address, format!("{request}\r\n{body}")))
    }

    pub(super) fn get(&self, path: &str) -> Value {
        self.expect(200, "GET", path, "", "")
    }

    /// The JSON of an answer that has this status.
    #[track_caller]
    pub(super) fn expect(
        &self,
        status: u16,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Value {
        let answer = self.ask(method, path, headers, body);
        assert_eq!(
            answer.status(),
            status,
            "{method} {path}: {}",
            shown(&answer)
        );
        json(&answer)
    }

    /// The code of a problem, whose form is looked at.
    #[track_caller]
    pub(super) fn refused(
        &self,
        status: u16,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> String {
        let answer = self.ask(method, path, headers, body);
        assert_eq!(
            answer.status(),
            status,
            "{method} {path}: {}",
            shown(&answer)
        );
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("application/problem+json"));
        let problem = json(&answer);
        assert_eq!(problem["status"], status, "{problem}");
        for member in ["type", "title", "detail", "hint"] {
            let text = problem[member].as_str().unwrap();
            assert!(!text.is_empty(), "{member}: {problem}");
        }
        problem["code"].as_str().unwrap().to_owned()
    }
}

pub(super) fn json(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{error}: {}", shown(answer)))
}

pub(super) fn shown(answer: &Response) -> String {
    format!("{}\n{}", answer.head, String::from_utf8_lossy(&answer.body))
}
