//! One request and its answer, as a device takes it.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::VisitError;
use crate::{Request, Response, exchange};
use engage_wire::excerpt;

/// Asks, and refuses whatever a device would refuse.
pub(super) async fn ask<S>(
    stream: &mut S,
    request: &Request,
    expected: Expected,
    deadline: Instant,
) -> Result<Response, VisitError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = exchange(stream, request, deadline).await?.response()?;
    if expected.0.contains(&response.status()) {
        return Ok(response);
    }
    Err(VisitError::Status {
        code: response.status(),
        found: excerpt(response.status_line().as_bytes()),
        expected: expected.1,
    })
}

/// The version to ask with next, or what is wrong with the answer.
pub(super) fn database_version(body: &[u8]) -> Result<String, String> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|error| format!("{} is not JSON: {error}", excerpt(body)))?;
    let text = |member: &str| match &answer[member] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (version, next_call) = (text("nxtDbVerTS"), text("dbDwnLdTm"));
    let digits = version.strip_prefix("0x").unwrap_or_default();
    let is_version =
        (1..=16).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
    // `0` asks for everything, so whoever has nothing may answer it.
    if !is_version && version != "0" {
        return Err(format!("has `nxtDbVerTS` {}", excerpt(version.as_bytes())));
    }
    if next_call.len() != 14 || !next_call.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!("has `dbDwnLdTm` {}", excerpt(next_call.as_bytes())));
    }
    Ok(version)
}

/// Status codes, and how they are told.
#[derive(Clone, Copy)]
pub(super) struct Expected(&'static [u16], &'static str);

pub(super) const OK: Expected = Expected(&[200], "200");

/// The first time, and every other time.
pub(super) const STORED: Expected = Expected(&[201, 202], "201 or 202");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_database_only_with_its_version_and_the_next_call() {
        let answer = |version: &str, next: &str| {
            database_version(format!(r#"{{"dbDwnLdTm":{next},"nxtDbVerTS":{version}}}"#).as_bytes())
        };
        let next = "\"20261124021259\"";
        for version in ["\"0x8d1a1399bddb51d\"", "\"0x08D1A1399BDDB51D\"", "\"0\""] {
            assert_eq!(answer(version, next).unwrap(), version.trim_matches('"'));
            assert!(answer(version, "20261124021259").is_ok());
            assert!(answer(version, "\"2026-11-24\"").is_err());
        }
        for version in ["\"0x\"", "\"8d1a\"", "\"0x08d1a1399bddb51d0\"", "null", "5"] {
            assert!(answer(version, next).is_err(), "{version}");
        }
        let refused = database_version(b"<html>").unwrap_err();
        assert!(refused.starts_with("`<html>` is not JSON: "), "{refused}");
    }
}
