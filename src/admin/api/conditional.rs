//! `If-Match` against lost updates (RFC 9110 section 13.1.1).

use std::fmt::Display;

use http::header::IF_MATCH;
use http::{HeaderMap, StatusCode};
use miette::Diagnostic;
use utoipa::IntoParams;

use super::extract::header;
use super::problem::Refused;

/// For the document; read by [`tag`](Self::tag).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header")]
pub(super) struct IfMatch {
    /// The `ETag` of what is to be changed: 412 if it is another meanwhile
    #[param(rename = "If-Match", required = false)]
    if_match: Option<String>,
}

impl IfMatch {
    /// The tag without its quotes. One tag is what can be meant: a resource has one state.
    pub(super) fn tag(headers: &HeaderMap) -> Result<Option<String>, Refused> {
        let Some(text) = header(headers, &IF_MATCH)? else {
            return Ok(None);
        };
        let tag = text
            .trim()
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|tag| !tag.is_empty() && !tag.contains('"'));
        match tag {
            Some(tag) => Ok(Some(tag.to_owned())),
            None => Err(Refused::new(StatusCode::BAD_REQUEST, &MalformedTag(text))),
        }
    }
}

/// As the header `ETag` has it.
pub(super) fn etag(tag: &impl Display) -> String {
    format!("\"{tag}\"")
}

#[derive(Debug, Diagnostic, thiserror::Error)]
#[error(
    "`If-Match: {0}` is not one strong entity tag; allowed: the `ETag` of a GET, with its quotes"
)]
#[diagnostic(
    code("malformed-if-match"),
    help("send what came as `ETag`, such as `If-Match: \"0x0123456789abcdef\"`")
)]
struct MalformedTag(String);
