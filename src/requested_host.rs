//! The host that a request asks (RFC 9110 section 7.2, RFC 9112 section 3.2).

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Request, Uri, Version};

use engage_wire::HostName;

/// Every host that a request names, as it is written and as it is read. That of the target comes
/// first and counts alone (RFC 9112 section 3.2.2), but who believes the header may sit in between.
///
/// Fails unless HTTP/1.1 has one Host header, HTTP/1.0 at most one, and each is a host.
pub(crate) fn requested_hosts<B>(
    request: &Request<B>,
) -> Result<impl Iterator<Item = (&str, HostName)>, RequestedHostError> {
    let target = request.uri().authority().map(Authority::as_str);
    let mut headers = request.headers().get_all(HOST).iter();
    let header = headers.next();
    if headers.next().is_some() {
        return Err(RequestedHostError::Several);
    }
    // A health check or a simple client of HTTP/1.0 names none.
    if header.is_none() && request.version() > Version::HTTP_10 {
        return Err(RequestedHostError::Missing);
    }
    // Where the target names the host, or `OPTIONS *` asks for none, the header may be empty.
    let may_be_empty = target.is_some() || request.uri().path() == "*";
    let header = header.filter(|text| !(may_be_empty && text.is_empty()));
    let target = target.map(parse).transpose()?;
    let header = header.map(|text| match text.to_str() {
        Ok(text) => parse(text),
        Err(_) => Err(malformed(text.as_bytes())),
    });
    let header = header.transpose()?;
    Ok(target.into_iter().chain(header))
}

/// The host that selects a site: the first of [`requested_hosts`], of a request that has been found to
/// name hosts only.
pub(crate) fn requested_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority()
        .map(Authority::as_str)
        .or_else(|| headers.get(HOST)?.to_str().ok())
}

/// Why a request does not say which host it asks, with what it says cut off where no host could go on.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RequestedHostError {
    #[error("it names no host; HTTP/1.1 asks for a Host header")]
    Missing,
    #[error("it has more than one Host header")]
    Several,
    #[error("`{0}` is not a host and perhaps a port, such as `localhost:9480`")]
    Malformed(String),
}

fn parse(text: &str) -> Result<(&str, HostName), RequestedHostError> {
    let host = HostName::from_authority(text);
    host.map(|host| (text, host))
        .ok_or_else(|| malformed(text.as_bytes()))
}

fn malformed(text: &[u8]) -> RequestedHostError {
    let shown = &text[..text.len().min(MAX_HOST_BYTES)];
    RequestedHostError::Malformed(String::from_utf8_lossy(shown).into_owned())
}

/// A name has at most 253 characters (RFC 1035 section 2.3.4), a port six with its colon.
const MAX_HOST_BYTES: usize = 259;
