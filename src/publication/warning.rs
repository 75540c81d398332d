//! What devices accept today, but somebody should look at.

use std::path::PathBuf;

use miette::Diagnostic;

use super::serials::MalformedLine;
use crate::secret_file::ReadableByOthers;
use engage_wire::HostName;
use engage_wire::pki::device_profile::Violation;
use engage_wire::site::SiteName;

/// One thing to look at.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum Warning {
    /// `base_url` has a path.
    #[error(
        "devices are told URLs that start with `{base_url}/`, which this daemon does not answer itself"
    )]
    #[diagnostic(
        code("base-url-path"),
        help(
            "this works only behind a proxy that removes the path; otherwise leave it out of `base_url`"
        )
    )]
    BaseUrlPath {
        /// With its path.
        base_url: String,
    },
    /// A certificate that strict TLS clients refuse, or that soon will be refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Certificate(Violation),
    /// A chain that strict TLS clients refuse, or that leaves little room.
    #[error("chain `{}`", path.display())]
    #[diagnostic(forward(source))]
    Chain {
        /// The server's PEM file.
        path: PathBuf,
        /// What it is.
        source: Violation,
    },
    /// `base_url` needs the trust that it is to establish.
    #[error(
        "`base_url` starts with `https://`: a device that does not trust this server yet cannot fetch its certificate"
    )]
    #[diagnostic(
        code("https-base-url"),
        help("use the plain listener's `http://` address")
    )]
    HttpsBaseUrl,
    /// A private key where web servers serve files.
    #[error("{kind} `{}` lies in the static directory; it is not served", path.display())]
    #[diagnostic(
        code("key-in-static-dir"),
        help(
            "move it to `pki/`: any other web server that is pointed at this folder would hand it out"
        )
    )]
    KeyInStaticDir {
        /// What kind of key.
        kind: &'static str,
        /// The path of the key, in `static_dir`.
        path: PathBuf,
    },
    /// A secret file with an open mode.
    #[error(transparent)]
    #[diagnostic(transparent)]
    KeyReadable(ReadableByOthers),
    /// More than somebody reads.
    #[error("{count} more warnings of these kinds are left out")]
    #[diagnostic(code("more-warnings"), help("look after those that are shown first"))]
    LeftOut {
        /// How many.
        count: usize,
    },
    /// A derived `base_url` that devices cannot reach.
    #[error("devices are told `{base_url}`, an address that only this computer can reach")]
    #[diagnostic(
        code("loopback-base-url"),
        help("set `base_url` to the address under which devices reach this computer")
    )]
    LoopbackBaseUrl {
        /// The URL.
        base_url: String,
    },
    /// A device that is listed for no site by that.
    #[error(transparent)]
    #[diagnostic(transparent)]
    MalformedSerial(MalformedLine),
    /// Nobody can call in.
    #[error("`[devices] only_known` is set, and no device is known: every call-in is answered 503")]
    #[diagnostic(
        code("nobody-known"),
        help(
            "list serial numbers under `serials` or in the `serials_file` of a site, or set `[devices] credentials_file`"
        )
    )]
    NobodyKnown,
    /// No site for those who follow `base_url`.
    #[error("no site answers at `{host}`, the host of base_url: devices there get 404")]
    #[diagnostic(
        code("no-site-at-base-url"),
        help("add it to a site's `hosts`, or leave `hosts` out of one site")
    )]
    NoSiteAtBaseUrl {
        /// The host.
        host: HostName,
    },
    /// A file in the static directory that is not served. `reason` names it.
    #[error("{reason}; it is not served")]
    #[diagnostic(
        code("not-served"),
        help(
            "only files that are exactly one DER certificate are served; remove it or convert it"
        )
    )]
    NotServed {
        /// A sentence that names the file.
        reason: String,
    },
    /// A site key that nobody made by chance.
    #[error("site key `{}` of site `{site}` is a placeholder: {why}", path.display())]
    #[diagnostic(
        code("site-key-placeholder"),
        help(
            "anybody can guess it: use the key that the ENGAGE site was created with, or make a random one with \
             `openssl rand -base64 32` before the site is created"
        )
    )]
    PlaceholderSiteKey {
        /// The name of the site whose key it is.
        site: SiteName,
        /// The key file.
        path: PathBuf,
        /// What gives it away.
        why: &'static str,
    },
    /// Hosts of a site that the server certificate does not name.
    #[error(
        "the server certificate has no subjectAltName for {hosts}, of site `{site}`; it has {names}"
    )]
    #[diagnostic(
        code("site-host-not-named"),
        help(
            "curl and browsers refuse it there, a device may: issue it with `subjectAltName = DNS:.. , IP:..` for each host"
        )
    )]
    SiteHostNotNamed {
        /// The name of the site whose hosts they are.
        site: SiteName,
        /// Its hosts, in quotes.
        hosts: String,
        /// The names that there are.
        names: String,
    },
    /// A site key that is text.
    #[error("site key `{}` of site `{site}` is 32 characters of text, used as they are", path.display())]
    #[diagnostic(
        code("site-key-is-text"),
        help(
            "ENGAGE shows site keys as 44 Base64 characters or 64 hexadecimal digits: is this all of it?"
        )
    )]
    SiteKeyIsText {
        /// The name of the site whose key it is.
        site: SiteName,
        /// The key file.
        path: PathBuf,
    },
}
