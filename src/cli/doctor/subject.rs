//! Who is examined, and with which key.

use std::path::Path;

use super::Doctor;
use crate::cli::output::Failure;
use crate::config::{Config, SiteConfig};
use crate::routes::ANNOUNCEMENT;
use engage_device::{HostPort, HostUrl, Scheme};
use engage_wire::site::SiteKey;

/// A host to examine.
pub(super) struct Subject {
    /// The announcement's URL.
    pub(super) url: HostUrl,
    /// Where TLS is spoken.
    pub(super) https: HostPort,
    pub(super) key: SiteKey,
    /// The private key's file name, if a configuration names it.
    pub(super) private_key: Option<String>,
}

impl Subject {
    pub(super) fn of(doctor: Doctor) -> Result<Self, Failure> {
        let Doctor {
            url,
            config,
            site_key_file,
            site,
            https,
            json: _,
        } = doctor;
        if let (Some(url), Some(key_file)) = (&url, site_key_file) {
            let url = announcement_url(url)?;
            return Ok(Self {
                https: https.unwrap_or_else(|| at_port(&url, Scheme::Https.port())),
                key: SiteKey::load(&key_file)?,
                url,
                private_key: None,
            });
        }
        let config = Config::load(&config)?;
        let url = match url {
            Some(url) => announcement_url(&url)?,
            None => configured_url(&config)?,
        };
        let site = select_site(&config, &url, site.as_deref())?;
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

/// A device knows a host, not a path: only the announcement's own path may follow.
fn announcement_url(url: &HostUrl) -> Result<HostUrl, Failure> {
    if url.scheme() == Scheme::Https {
        return Err(Failure::new(format_args!(
            "`{url}` cannot be examined: a device asks in clear text first; allowed: `http://HOST[:PORT]`\n  \
             hint: name the plain listener, and the TLS listener with `--https HOST:PORT`"
        )));
    }
    match url.target() {
        "/" | ANNOUNCEMENT => Ok(url.with_target(ANNOUNCEMENT)),
        _ => Err(Failure::new(format_args!(
            "`{url}` cannot be examined: it has a path; allowed: `http://HOST[:PORT]`\n  \
             hint: a device always asks for {ANNOUNCEMENT}"
        ))),
    }
}

fn configured_url(config: &Config) -> Result<HostUrl, Failure> {
    if config.base_url.is_none() && config.http.listen.port() == 0 {
        return Err(Failure::new(format_args!(
            "configuration file `{}` does not say where the daemon is: it has no `base_url`, and port 0 of \
             `[http] listen` is another at each start\n  \
             hint: name the address of the daemon's `listening on` line: engage-host doctor http://ADDR --https ADDR",
            config.path.display()
        )));
    }
    let base_url = config.base_url_at(config.http.listen).to_string();
    let url: HostUrl = base_url.parse().map_err(Failure::new)?;
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
    url: &HostUrl,
    name: Option<&str>,
) -> Result<&'a SiteConfig, Failure> {
    let found = match name {
        Some(name) => config.sites.iter().find(|site| site.name.as_str() == name),
        None => config
            .sites
            .iter()
            .find(|site| site.hosts.contains(url.host()))
            .or_else(|| config.sites.iter().find(|site| site.hosts.is_empty())),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = config
            .sites
            .iter()
            .map(|site| format!("`{}`", site.name))
            .collect();
        let wanted = name.map_or_else(
            || format!("whose `hosts` contain `{}`, and none without `hosts`", url.host()),
            |name| format!("named `{name}`"),
        );
        Failure::new(format_args!(
            "configuration file `{}` has no site {wanted}; it has {}\n  \
             hint: choose one with `--site NAME`, or name the host that devices of the site are told",
            config.path.display(),
            names.join(", ")
        ))
    })
}

fn at_port(url: &HostUrl, port: u16) -> HostPort {
    HostPort {
        port,
        ..url.address()
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(ToOwned::to_owned)
}
