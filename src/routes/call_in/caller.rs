//! Which device is calling, and whether it may.
//!
//! How real devices authenticate in this mode is not public (PROTOCOL.md section 4): 401 fits HTTP
//! Basic, so that is what is understood. This module is the only place that decides it.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tracing::warn;
use zeroize::Zeroizing;

use super::CallIn;
use crate::connection::{Connection, ListenerKind};
use crate::login_throttle::LoginThrottle;
use crate::requested_host::requested_host;
use crate::routes::error::ApiError;
use crate::telemetry::{LogThrottle, MaybeTraced, Shortened};
use engage_store::{
    Call, Credentials, CredentialsError, DeviceId, DeviceObservation, SerialNumber,
};

/// Who may call in, and on which listener.
#[derive(Debug)]
pub struct Authenticator {
    /// Whether the call-in is answered in clear text.
    plain_http: bool,
    /// Who may call; `None` lets every device, and an empty one waits for a file that can be read.
    credentials: Option<ArcSwapOption<Credentials>>,
    /// Addresses that keep trying.
    throttle: LoginThrottle,
    /// Turns to hash a password: 19 MiB and a core each.
    hashing: Semaphore,
    /// Calls in clear text that have been logged.
    in_clear: LogThrottle,
    /// Refused callers that have been logged, by reason.
    refused: [LogThrottle; 3],
}

/// The device that calls, from where and when, and the trace of that.
pub(in crate::routes) struct Caller(pub(super) Call, pub(super) MaybeTraced);

impl FromRequestParts<Arc<CallIn>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        call_in: &Arc<CallIn>,
    ) -> Result<Self, ApiError> {
        let connection = parts.extensions.get::<Arc<Connection>>();
        let connection = connection.ok_or(ApiError::Internal)?;
        let (listener, peer) = (connection.listener, connection.peer);
        if listener == ListenerKind::Http && !call_in.authenticator.plain_http {
            call_in
                .authenticator
                .note_in_clear(connection, parts.uri.path());
            return Err(ApiError::NotFound);
        }
        if call_in.authenticator.lacks_credentials() {
            return Err(ApiError::StorageUnavailable);
        }
        let login = BasicCredentials::from_headers(&parts.headers);
        let traced = MaybeTraced::from_extensions(&parts.extensions);
        let authenticator = &call_in.authenticator;
        let authenticated = authenticator.authenticate(login.as_ref(), peer.ip());
        let is_good = match authenticator.credentials {
            Some(_) => traced.child("authenticate", authenticated).await,
            None => authenticated.await,
        };
        if !is_good {
            return Err(ApiError::Unauthorized);
        }
        let user_name = login.as_ref().map(|login| login.user_name.as_str());
        let device = DeviceId::from_caller(user_name, parts.uri.query(), peer.ip());
        let call = Call {
            device,
            peer: peer.ip(),
            is_authenticated: call_in.authenticator.credentials.is_some(),
            is_listed: call_in.lists(device),
            received_at: Timestamp::now(),
        };
        if !call.is_registered()
            && let Some(burst) = &call_in.only_known
        {
            note_unknown(burst, &call);
            return Err(ApiError::UnknownDevice);
        }
        let host = requested_host(&parts.uri, &parts.headers);
        call_in.note_caller(&call, connection, host);
        Ok(Self(call, traced))
    }
}

fn note_unknown(burst: &LogThrottle, call: &Call) {
    let Call { device, peer, .. } = call;
    if let Some(others) = burst.check() {
        warn!(
            %device, %peer, others = others.count(),
            "call-in of device {device} from {peer} refused: `[devices] only_known` is set, and it is not listed for any site{others}"
        );
    }
}

impl CallIn {
    fn lists(&self, device: DeviceId) -> bool {
        let publication = self.published.current();
        device.serial().is_some_and(|it| publication.lists(it))
    }

    /// Whether only known devices may call in, and none is.
    pub(crate) fn knows_nobody(&self) -> bool {
        self.only_known.is_some() && !self.registers_devices()
    }

    /// Whether any device can be told from strangers.
    pub(crate) fn registers_devices(&self) -> bool {
        self.authenticator.credentials.is_some() || self.published.current().lists_devices()
    }

    /// Writes into the device's record that it called, from where and for which site.
    fn note_caller(&self, call: &Call, connection: &Connection, host: Option<&str>) {
        let store = &self.store;
        let Call {
            device,
            peer: address,
            received_at: now,
            ..
        } = *call;
        let site = self
            .published
            .current()
            .site(device.serial(), host)
            .ok()
            .map(|site| site.name.to_string());
        if let Some(tls) = connection.tls
            && connection.called_in()
        {
            let site = site.as_deref();
            self.sightings.called_in(call, site, tls.verified);
        }
        let seen = DeviceObservation::Seen {
            address,
            site,
            is_registered: call.is_registered(),
        };
        store.observe(device, seen, now);
        if let Some(tls) = connection.tls {
            let version = tls.version.to_owned();
            store.observe(device, DeviceObservation::TlsSession { version }, now);
        }
    }
}

impl Authenticator {
    /// Lets in whom `credentials` let in; everybody where none are configured, and nobody where
    /// they could not be read.
    pub fn new(
        plain_http: bool,
        credentials: Option<Result<Credentials, CredentialsError>>,
    ) -> Self {
        Self {
            plain_http,
            credentials: credentials.map(|read| ArcSwapOption::from_pointee(read.ok())),
            throttle: LoginThrottle::default(),
            hashing: Semaphore::new(HASHES_AT_A_TIME),
            in_clear: LogThrottle::default(),
            refused: std::array::from_fn(|_| LogThrottle::default()),
        }
    }

    /// Lines of the credentials file that cannot be used, for people.
    pub(crate) fn credential_problems(&self) -> Vec<String> {
        let credentials = self.credentials.as_ref().and_then(ArcSwapOption::load_full);
        let problems = credentials.iter().flat_map(|it| it.problems());
        problems.map(ToString::to_string).collect()
    }

    /// Whether credentials are configured and could not be read yet.
    pub(crate) fn lacks_credentials(&self) -> bool {
        let credentials = self.credentials.as_ref();
        credentials.is_some_and(|it| it.load().is_none())
    }

    /// Puts a new credentials file in force; without one at start, a restart is needed.
    pub fn replace_credentials(&self, credentials: Credentials) {
        if let Some(current) = &self.credentials {
            current.store(Some(Arc::new(credentials)));
        }
    }

    /// Whether a login is good; without a credentials file, every one is, and none at all too.
    async fn authenticate(&self, login: Option<&BasicCredentials>, peer: IpAddr) -> bool {
        let Some(credentials) = &self.credentials else {
            return true;
        };
        let Some(login) = login else {
            return self.refuse(peer, None, Reason::NoCredentials);
        };
        let serial = SerialNumber::from_user_name(&login.user_name);
        if !self.throttle.check(peer) {
            return self.refuse(peer, serial, Reason::TooManyFailures);
        }
        let password = login.password.as_bytes();
        let Some(credentials) = credentials.load_full() else {
            return false;
        };
        let is_good = match serial {
            None => false,
            Some(serial) if credentials.is_remembered(serial, password) => true,
            Some(serial) => {
                let Ok(_turn) = self.hashing.acquire().await else {
                    return false;
                };
                // Others from the same address may have failed while this one waited.
                if !self.throttle.check(peer) {
                    return self.refuse(peer, Some(serial), Reason::TooManyFailures);
                }
                verify_blocking(credentials, serial, login.password.clone()).await
            }
        };
        if !is_good {
            self.throttle.record_failure(peer);
            return self.refuse(peer, serial, Reason::Wrong);
        }
        true
    }

    fn refuse(&self, peer: IpAddr, serial: Option<SerialNumber>, reason: Reason) -> bool {
        let what = match reason {
            Reason::NoCredentials => "no credentials",
            Reason::TooManyFailures => "too many failures from this address",
            Reason::Wrong => "unknown or wrong credentials",
        };
        if let Some(others) = self.refused[reason as usize].check() {
            let serial = serial.map(tracing::field::display);
            warn!(%peer, device.serial = serial, others = others.count(), "call-in from {peer} refused: {what}{others}");
        }
        false
    }

    fn note_in_clear(&self, connection: &Connection, path: &str) {
        let (peer, path) = (connection.peer, Shortened(path));
        if let Some(others) = self.in_clear.check() {
            warn!(
                %peer, others = others.count(),
                "call-in from {peer} on the plain listener refused ({path}): its credentials and audits would travel in clear; \
                 install the certificate in the device, or set `[devices] plain_http = true`{others}",
            );
        }
    }
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug)]
enum Reason {
    NoCredentials,
    TooManyFailures,
    Wrong,
}

/// A password hash is slow and large on purpose: not on a thread that serves connections.
async fn verify_blocking(
    credentials: Arc<Credentials>,
    serial: SerialNumber,
    password: Zeroizing<String>,
) -> bool {
    let verify = move || credentials.verify(serial, password.as_bytes());
    tokio::task::spawn_blocking(verify).await.unwrap_or(false)
}

/// HTTP Basic credentials (RFC 7617). The password is wiped when dropped.
pub(in crate::routes) struct BasicCredentials {
    pub(in crate::routes) user_name: String,
    password: Zeroizing<String>,
}

impl BasicCredentials {
    pub(in crate::routes) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let (user_name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Self {
            user_name: user_name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }
}

const HASHES_AT_A_TIME: usize = 2;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn login(value: &'static str) -> Option<BasicCredentials> {
        BasicCredentials::from_headers(&HeaderMap::from_iter([(
            AUTHORIZATION,
            HeaderValue::from_static(value),
        )]))
    }

    #[test]
    fn basic_credentials_are_read_and_a_password_may_contain_colons() {
        // 0123456789ABCDEF:a:b
        let login = login("basic MDEyMzQ1Njc4OUFCQ0RFRjphOmI=").unwrap();
        assert_eq!(login.user_name, "0123456789ABCDEF");
        assert_eq!(*login.password, "a:b");
    }

    #[test]
    fn other_schemes_and_damaged_values_are_no_login() {
        for value in [
            "Bearer abc",
            "Basic",
            "Basic !!",
            "Basic YWJj",
            "Basic /w==",
        ] {
            assert!(login(value).is_none(), "{value}");
        }
    }
}
