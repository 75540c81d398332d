//! Pages: how many, and behind what.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use miette::Diagnostic;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Refused;
use engage_store::PageLimit;

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// Behind this page: `next` of the one before
    cursor: Option<String>,
    /// How many on one page
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

/// How many rows; 100 where nobody says.
pub(super) fn page_limit(limit: Option<u64>) -> Result<PageLimit, Refused> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(PageLimit::clamped(limit)),
        found => Err(bad(&PageError::Limit { found })),
    }
}

/// A page of things that are sorted by their name, which is told apart by it.
pub(super) fn page_of_names<T>(
    mut sorted: Vec<T>,
    page: &PageParams,
    name: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), Refused> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    page_limit(page.limit)?;
    if let Some(cursor) = &page.cursor {
        let after = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
        let after = after.and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.as_deref().and_then(|it| it.strip_prefix(NAME));
        let after = after.ok_or_else(|| bad(&PageError::Cursor))?;
        let first = sorted.partition_point(|it| name(it) <= after);
        sorted.drain(..first);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = sorted.len() > limit;
    sorted.truncate(limit);
    let last = sorted.last().filter(|_| has_more);
    let next = last.map(|it| BASE64_URL_SAFE_NO_PAD.encode(format!("{NAME}{}", name(it))));
    Ok((sorted, next))
}

/// Tells the cursor of a list of names from all others.
const NAME: &str = "name ";

/// The page's token, where one was given.
pub(super) fn cursor<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, Refused> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| bad(&PageError::Cursor))
}

fn bad(error: &PageError) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, error)
}

#[derive(Debug, Diagnostic, thiserror::Error)]
enum PageError {
    #[error("the cursor is none that this list gave")]
    #[diagnostic(
        code("malformed-cursor"),
        help(
            "begin without one, and then use what came with the page before, with the same filter"
        )
    )]
    Cursor,
    #[error("a page of {found} is asked for; allowed: 1 to {MAX_LIMIT}")]
    #[diagnostic(code("malformed-limit"), help("ask for the next page with `cursor`"))]
    Limit { found: u64 },
}

const DEFAULT_LIMIT: u64 = 100;

const MAX_LIMIT: u64 = 1000;
