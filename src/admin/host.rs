//! Under which names the admin listener may be asked.
//!
//! A page from anywhere can point its own name at this computer and then have a visitor's browser ask
//! `http://attacker.example:9480/metrics`, and read the answer (DNS rebinding). Only the host that is
//! asked for tells such a request from a scraper's.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tracing::warn;

use super::Admin;
use crate::requested_host::{RequestedHostError, requested_hosts};
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

    fn check(&self, request: &Request) -> Result<(), HostRefusal> {
        for (text, host) in requested_hosts(request)? {
            if !self.allows(&host) {
                return Err(HostRefusal::NotAllowed(text.to_owned()));
            }
        }
        Ok(())
    }

    fn allows(&self, host: &HostName) -> bool {
        match host {
            HostName::Ip(_) => true,
            HostName::Dns(name) if name == "localhost" || name.ends_with(".localhost") => true,
            HostName::Dns(_) => self.names.contains(host),
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
enum HostRefusal {
    #[error(transparent)]
    Malformed(#[from] RequestedHostError),
    #[error(
        "`{0}` is not a host of this listener: ask by address or as localhost, or add the name to `[admin] hosts`"
    )]
    NotAllowed(String),
}

impl HostRefusal {
    /// 400 where the request is wrong (RFC 9112 section 3.2), 421 where another host is meant.
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NotAllowed(_) => StatusCode::MISDIRECTED_REQUEST,
        }
    }
}

/// Answers only who asks for a host of this listener.
pub(super) async fn require_allowed_host(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let Err(refusal) = admin.hosts.check(&request) else {
        return next.run(request).await;
    };
    admin.app.metrics.admin_refused("hosts");
    if let Some(others) = admin.hosts.refused.check() {
        warn!(
            listener = "admin",
            others = others.count(),
            "request on the admin listener refused: {refusal}{others}"
        );
    }
    (refusal.status(), format!("{refusal}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Version;
    use http::header::HOST;

    use super::*;

    fn check(target: &str, hosts: &[&str]) -> Result<(), HostRefusal> {
        let allowed = AllowedHosts::new(vec!["metrics.example.com".parse().unwrap()]);
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        allowed.check(&request.body(Body::empty()).unwrap())
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
            "localhost:",
            "localhost.",
            "a.localhost",
            "Metrics.Example.com:9480",
        ] {
            assert_eq!(check("/metrics", &[host]), Ok(()), "{host}");
            let target = format!("http://{host}/metrics");
            assert_eq!(check(&target, &["localhost"]), Ok(()), "{host}");
        }
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
        ] {
            let refused = Err(HostRefusal::NotAllowed(host.to_owned()));
            assert_eq!(check("/metrics", &[host]), refused, "{host}");
            // In the target as well as in the header beside it.
            let target = format!("http://{host}/metrics");
            assert_eq!(check(&target, &["localhost"]), refused, "{host}");
            assert_eq!(
                check("http://localhost/metrics", &[host]),
                refused,
                "{host}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused_as_such() {
        for host in [
            "localhost:80@attacker.example",
            "127.0.0.1@attacker.example",
            "attacker.example@127.0.0.1",
            "localhost:80x",
            "localhost, attacker.example",
            "::1",
            "1.2.3",
            "",
        ] {
            let refused = Err(RequestedHostError::Malformed(host.to_owned()).into());
            assert_eq!(check("/metrics", &[host]), refused, "{host}");
        }
        let target = "http://localhost:80@attacker.example/metrics";
        let refused = check(target, &["localhost"]).unwrap_err();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn http_1_1_names_exactly_one_host() {
        assert_eq!(
            check("/metrics", &[]),
            Err(RequestedHostError::Missing.into())
        );
        let two = check("/metrics", &["localhost", "localhost"]);
        assert_eq!(two, Err(RequestedHostError::Several.into()));
        let old = Request::builder().uri("/healthz").version(Version::HTTP_10);
        let allowed = AllowedHosts::default();
        assert_eq!(allowed.check(&old.body(Body::empty()).unwrap()), Ok(()));
    }
}
