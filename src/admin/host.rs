//! Under which names the admin listener may be asked.
//!
//! A page from anywhere can point its own name at this computer and then have a visitor's browser ask
//! `http://attacker.example:9480/metrics`, and read the answer (DNS rebinding). Only the host that is
//! asked for tells such a request from a scraper's.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::HOST;
use http::{HeaderValue, StatusCode};
use tracing::warn;

use super::Admin;
use crate::telemetry::LogThrottle;
use engage_wire::HostName;

/// What a request may name as its host: any literal address, which nobody can point elsewhere,
/// `localhost` (RFC 6761 section 6.3), and the names of `[admin] hosts`.
#[derive(Debug, Default)]
pub(super) struct AllowedHosts {
    names: Vec<HostName>,
    refused: LogThrottle,
}

impl AllowedHosts {
    /// Allows `names` besides addresses and `localhost`.
    pub(super) fn new(names: Vec<HostName>) -> Self {
        Self {
            names,
            refused: LogThrottle::default(),
        }
    }

    /// A request without a host is no browser's, so it is allowed: health checks speak HTTP/1.0.
    fn allows(&self, request: &Request) -> bool {
        if let Some(authority) = request.uri().authority() {
            return self.allows_host(authority.as_str());
        }
        let mut hosts = request.headers().get_all(HOST).iter();
        hosts.all(|host| host.to_str().is_ok_and(|host| self.allows_host(host)))
    }

    fn allows_host(&self, host: &str) -> bool {
        match HostName::from_host_header(host) {
            Some(HostName::Ip(_)) => true,
            Some(HostName::Dns(name)) if name == "localhost" || name.ends_with(".localhost") => {
                true
            }
            Some(host) => self.names.contains(&host),
            None => false,
        }
    }
}

/// Answers 421 to whoever asks for another host.
pub(super) async fn require_allowed_host(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    if admin.hosts.allows(&request) {
        return next.run(request).await;
    }
    let host = asked_host(&request);
    admin.app.metrics.admin_refused("hosts");
    if let Some(others) = admin.hosts.refused.check() {
        warn!(
            host,
            others = others.count(),
            "request for host `{host}` on the admin listener refused: it is no name of `[admin] hosts`{others}"
        );
    }
    let reason = format!(
        "`{host}` is not a host of this listener: ask by address or as localhost, or add the name to `[admin] hosts`\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, reason).into_response()
}

/// The host as the request spells it, cut off where no host name could go on.
fn asked_host(request: &Request) -> String {
    let header = || request.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority = request.uri().authority().map(|it| it.as_str().as_bytes());
    let host = authority.or_else(header).unwrap_or_default();
    let host = &host[..host.len().min(MAX_HOST_BYTES)];
    String::from_utf8_lossy(host).into_owned()
}

/// A name has at most 253 characters (RFC 1035 section 2.3.4), a port six with its colon.
const MAX_HOST_BYTES: usize = 259;

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn allows(hosts: &[&str]) -> bool {
        let allowed = AllowedHosts::new(vec!["metrics.example.com".parse().unwrap()]);
        let mut request = Request::builder().uri("/metrics");
        for host in hosts {
            request = request.header(HOST, *host);
        }
        allowed.allows(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn addresses_localhost_and_configured_names_are_allowed() {
        for host in [
            "127.0.0.1:9480",
            "10.0.0.5",
            "[::1]:9480",
            "[fd00::1]",
            "localhost",
            "LocalHost:9480",
            "localhost.",
            "a.localhost",
            "Metrics.Example.com:9480",
        ] {
            assert!(allows(&[host]), "{host}");
        }
        assert!(allows(&[]));
    }

    #[test]
    fn any_other_name_is_not() {
        for host in [
            "attacker.example",
            "attacker.example:9480",
            "127.0.0.1.attacker.example",
            "localhost.attacker.example",
            "xlocalhost",
            "example.com",
            "127.0.0.1@attacker.example",
            "attacker.example@127.0.0.1",
            "1.2.3",
            "",
        ] {
            assert!(!allows(&[host]), "{host}");
        }
        assert!(!allows(&["localhost", "attacker.example"]));
    }

    #[test]
    fn the_host_of_an_absolute_target_counts() {
        let request = Request::builder()
            .uri("http://attacker.example/metrics")
            .header(HOST, "localhost");
        assert!(!AllowedHosts::default().allows(&request.body(Body::empty()).unwrap()));
    }
}
