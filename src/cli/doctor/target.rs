//! Who is examined, and with which key.

use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::Doctor;
use crate::config::{Config, SiteConfig};
use crate::failure::Failure;
use engage_wire::paths::ANNOUNCEMENT;
use engage_wire::site::SiteKey;
use engage_wire::{HostPort, HttpUrl, Scheme};

/// A host to examine.
pub(super) struct Target {
    /// The announcement's URL.
    pub(super) url: HttpUrl,
    /// Where TLS is spoken.
    pub(super) https: HostPort,
    pub(super) key: SiteKey,
    /// The private key's file name, if a configuration names it.
    pub(super) private_key: Option<String>,
}

impl Target {
    pub(super) fn from_arguments(doctor: Doctor) -> Result<Self, Failure> {
        let https = doctor.https;
        if let (Some(url), Some(key_file)) = (&doctor.url, doctor.site_key_file) {
            let url = announcement_url(url)?;
            return Ok(Self {
                https: https.unwrap_or_else(|| at_port(&url, Scheme::Https.port())),
                key: SiteKey::load(&key_file)?,
                url,
                private_key: None,
            });
        }
        let config = Config::load(&doctor.config)?;
        let url = match doctor.url {
            Some(url) => announcement_url(&url)?,
            None => configured_url(&config)?,
        };
        let site = select_site(&config, &url, doctor.site.as_deref())?;
        let port = match config.https.listen.port() {
            0 => Scheme::Https.port(),
            port => port,
        };
        Ok(Self {
            https: https.unwrap_or_else(|| at_port(&url, port)),
            key: SiteKey::load(&site.key_file)?,
            private_key: file_name(&config.https.private_key),
            url,
        })
    }
}

/// Why nobody is examined.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(in crate::cli) enum TargetError {
    #[error(
        "`{0}` cannot be examined: a device asks in clear text first; allowed: `http://HOST[:PORT]`"
    )]
    #[diagnostic(
        code("not-plain-http"),
        help("name the plain listener, and the TLS listener with `--https HOST:PORT`")
    )]
    Https(HttpUrl),
    #[error("`{0}` cannot be examined: it has a path; allowed: `http://HOST[:PORT]`")]
    #[diagnostic(code("has-path"), help("a device always asks for {ANNOUNCEMENT}"))]
    Path(HttpUrl),
    #[error(
        "configuration file `{}` does not say where the daemon is: it has no `base_url`, and port 0 of \
         `[http] listen` is another at each start",
        config.display()
    )]
    #[diagnostic(
        code("unknown-address"),
        help(
            "name the address of the daemon's `listening on` line: engage-host doctor http://ADDR --https ADDR"
        )
    )]
    UnknownAddress { config: PathBuf },
    #[error("configuration file `{}` has no site {wanted}; it has {known}", config.display())]
    #[diagnostic(
        code("unknown-site"),
        help("choose one with `--site NAME`, or name the host that devices of the site are told")
    )]
    UnknownSite {
        config: PathBuf,
        wanted: String,
        known: String,
    },
}

/// A device knows a host, not a path: only the announcement's own path may follow.
pub(in crate::cli) fn announcement_url(url: &HttpUrl) -> Result<HttpUrl, TargetError> {
    if url.is_https() {
        return Err(TargetError::Https(url.clone()));
    }
    match url.target() {
        "/" | ANNOUNCEMENT => Ok(url.with_target(ANNOUNCEMENT)),
        _ => Err(TargetError::Path(url.clone())),
    }
}

fn configured_url(config: &Config) -> Result<HttpUrl, TargetError> {
    if config.base_url.is_none() && config.http.listen.port() == 0 {
        return Err(TargetError::UnknownAddress {
            config: config.path.clone(),
        });
    }
    let base_url = config.base_url_at(config.http.listen);
    let url = base_url.as_http_url().clone();
    // With `https` in base_url, devices still ask in clear text first.
    let url = match (url.scheme(), config.http.listen.port()) {
        (Scheme::Http, _) => url,
        (Scheme::Https, 0) => url.with_scheme(Scheme::Http, Scheme::Http.port()),
        (Scheme::Https, port) => url.with_scheme(Scheme::Http, port),
    };
    Ok(url.with_target(ANNOUNCEMENT))
}

fn select_site<'a>(
    config: &'a Config,
    url: &HttpUrl,
    name: Option<&str>,
) -> Result<&'a SiteConfig, TargetError> {
    let found = match name {
        Some(name) => config.sites.iter().find(|site| site.name.as_str() == name),
        None => config
            .sites
            .iter()
            .find(|site| site.hosts.contains(url.host()))
            .or_else(|| config.sites.iter().find(|site| site.hosts.is_default())),
    };
    found.map(|site| &**site).ok_or_else(|| {
        let names: Vec<_> = config
            .sites
            .iter()
            .map(|site| format!("`{}`", site.name))
            .collect();
        let wanted = name.map_or_else(
            || {
                format!(
                    "whose `hosts` contain `{}`, and none without `hosts`",
                    url.host()
                )
            },
            |name| format!("named `{name}`"),
        );
        TargetError::UnknownSite {
            config: config.path.clone(),
            wanted,
            known: names.join(", "),
        }
    })
}

fn at_port(url: &HttpUrl, port: u16) -> HostPort {
    HostPort {
        port,
        ..url.address()
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(ToOwned::to_owned)
}
