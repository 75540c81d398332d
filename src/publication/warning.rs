//! What devices accept today, but somebody should look at.

use std::path::Path;

use serde::Serialize;

use engage_wire::HostName;
use engage_wire::limits::{EXPIRY_WARNING_DAYS, MAX_CHAIN_BYTES, TIGHT_CHAIN_BYTES};
use engage_wire::pki::{Certificate, Role};
use engage_wire::site::SiteName;
use jiff::Timestamp;

/// One thing to look at. Serialises for `check --json`.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct Warning {
    /// Stable, kebab-case name for scripts.
    pub code: &'static str,
    /// What was found, and where.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Warning {
    pub(super) fn base_url_path(base: &str) -> Self {
        Self::new(
            "base-url-path",
            format!(
                "devices are told URLs that start with `{base}/`, which this daemon does not answer itself"
            ),
            "this works only behind a proxy that removes the path; otherwise leave it out of `base_url`",
        )
    }

    pub(super) fn no_site_at_base_url(host: &HostName) -> Self {
        Self::new(
            "no-site-at-base-url",
            format!("no site answers at `{host}`, the host of base_url: devices there get 404"),
            "add it to a site's `hosts`, or leave `hosts` out of one site",
        )
    }

    pub(super) fn path_length(
        role: Role,
        certificate: &Certificate,
        path: &Path,
        allowed: u32,
        found: usize,
    ) -> Self {
        Self::new(
            "path-length",
            format!(
                "{} allows {allowed} intermediates below it (pathLenConstraint); there are {found}",
                of(role, certificate, path)
            ),
            "TLS clients that look at it refuse the chain: issue it without the constraint",
        )
    }

    pub(super) fn server_announced(certificate: &Certificate, path: &Path) -> Self {
        Self::new(
            "server-announced",
            format!(
                "{} is itself what devices are told to install, and another certificate issued it",
                of(Role::Server, certificate, path)
            ),
            "each renewal would have to be installed in every device: announce the root or an intermediate",
        )
    }

    pub(super) fn unknown_critical(
        role: Role,
        certificate: &Certificate,
        path: &Path,
        oid: &str,
    ) -> Self {
        Self::new(
            "unknown-critical-extension",
            format!(
                "{} has the critical extension {oid}, which is not known here",
                of(role, certificate, path)
            ),
            "TLS clients that do not know it either refuse the certificate: issue it without",
        )
    }

    pub(super) fn certificate_message(path: &Path, bytes: usize) -> Self {
        Self::new(
            "tls-message-large",
            format!(
                "chain `{}` makes a TLS Certificate message of {bytes} bytes with its framing, more than {MAX_CHAIN_BYTES}",
                path.display()
            ),
            "a device that counts the framing too would fail; issue the chain with shorter names",
        )
    }

    pub(super) fn derived_base_url(base_url: &str) -> Self {
        Self::new(
            "loopback-base-url",
            format!("devices are told `{base_url}`, an address that only this computer can reach"),
            "set `base_url` to the address under which devices reach this computer",
        )
    }

    pub(super) fn ecdsa_key(role: Role, certificate: &Certificate, path: &Path) -> Self {
        Self::new(
            "ecdsa-key",
            format!(
                "{} has a key of {}, which is not documented for devices",
                of(role, certificate, path),
                certificate.key()
            ),
            "use RSA 2048 unless your devices are known to accept it",
        )
    }

    pub(super) fn expires_soon(
        role: Role,
        certificate: &Certificate,
        path: &Path,
        now: Timestamp,
    ) -> Option<Self> {
        let validity = certificate.validity();
        let days = validity.days_left(now);
        (days <= EXPIRY_WARNING_DAYS).then(|| {
            Self::new(
                "expires-soon",
                format!(
                    "{} expires in {days} days, at {}",
                    of(role, certificate, path),
                    validity.not_after
                ),
                "renew it now: devices fail at night, when it is too late",
            )
        })
    }

    pub(super) fn https_base_url() -> Self {
        Self::new(
            "https-base-url",
            "`base_url` starts with `https://`: a device that does not trust this server yet cannot fetch its certificate".to_owned(),
            "use the plain listener's `http://` address",
        )
    }

    pub(super) fn issuer_not_ca(role: Role, certificate: &Certificate, path: &Path) -> Self {
        Self::new(
            "issuer-not-ca",
            format!(
                "{} issues another certificate but is not marked as a certificate authority",
                of(role, certificate, path)
            ),
            "devices have accepted this, strict TLS clients do not: issue it with `basicConstraints = critical, CA:TRUE` \
             (`openssl ca -extensions v3_ca`)",
        )
    }

    pub(super) fn key_in_static_dir(path: &Path) -> Self {
        Self::new(
            "key-in-static-dir",
            format!(
                "private key `{}` lies in the static directory; it is not served",
                path.display()
            ),
            "move it to `pki/`: any other web server that is pointed at this folder would hand it out",
        )
    }

    pub(super) fn key_readable(path: &Path, mode: u32) -> Self {
        Self::new(
            "key-readable-by-others",
            format!(
                "secret file `{}` has mode {mode:04o}: other users can read it",
                path.display()
            ),
            "`chmod 600` it",
        )
    }

    pub(super) fn leaf_extensions(certificate: &Certificate, path: &Path) -> Option<Self> {
        let key_use = certificate.key_use();
        let missing: Vec<_> = [
            (key_use.server_auth.is_none(), "extKeyUsage"),
            (!key_use.has_subject_key_id, "subjectKeyIdentifier"),
            (!key_use.has_authority_key_id, "authorityKeyIdentifier"),
            (key_use.digital_signature.is_none(), "keyUsage"),
        ]
        .into_iter()
        .filter_map(|(is_missing, name)| is_missing.then_some(name))
        .collect();
        (!missing.is_empty()).then(|| {
            Self::new(
                "missing-extensions",
                format!(
                    "{} has no {}",
                    of(Role::Server, certificate, path),
                    missing.join(", ")
                ),
                "strict TLS clients want them all; `engage-host init` sets them",
            )
        })
    }

    pub(super) fn leaf_is_ca(certificate: &Certificate, path: &Path) -> Self {
        Self::new(
            "server-is-ca",
            format!(
                "{} is marked as a certificate authority",
                of(Role::Server, certificate, path)
            ),
            "strict TLS clients refuse it: issue it with `basicConstraints = CA:FALSE`",
        )
    }

    pub(super) fn leaf_use(certificate: &Certificate, path: &Path, missing: &str) -> Self {
        Self::new(
            "wrong-key-use",
            format!(
                "{} does not allow {missing}",
                of(Role::Server, certificate, path)
            ),
            "strict TLS clients refuse it: add it, or leave the extension out",
        )
    }

    pub(super) fn name_only_as_ip(certificate: &Certificate, path: &Path) -> Self {
        Self::new(
            "only-ip-names",
            format!(
                "{} has IP addresses but no DNS name in subjectAltName",
                of(Role::Server, certificate, path)
            ),
            "some embedded TLS clients look at DNS names only: add one",
        )
    }

    pub(super) fn name_missing(certificate: &Certificate, path: &Path, host: &HostName) -> Self {
        Self::new(
            "name-missing",
            format!(
                "{} has no subjectAltName for `{host}`, the host of base_url",
                of(Role::Server, certificate, path)
            ),
            "curl and browsers refuse it, a device may: issue it with `subjectAltName = IP:.. , DNS:..`",
        )
    }

    /// `reason` is a sentence that names the file.
    pub(super) fn not_served(reason: &str) -> Self {
        Self::new(
            "not-served",
            format!("{reason}; it is not served"),
            "only files that are exactly one DER certificate are served; remove it or convert it",
        )
    }

    pub(super) fn root_not_counted(path: &Path, topmost: &Certificate) -> Self {
        Self::new(
            "root-not-counted",
            format!(
                "the root `{}` above chain `{}` is not known, so its bytes are missing from the count",
                topmost.issuer(),
                path.display()
            ),
            "a device counts it: name its file as `[https] root = \"..\"`",
        )
    }

    pub(super) fn site_key_text(site: &SiteName, path: &Path) -> Self {
        Self::new(
            "site-key-is-text",
            format!(
                "site key `{}` of site `{site}` is 32 characters of text, used as they are",
                path.display()
            ),
            "ENGAGE shows site keys as 44 Base64 characters or 64 hexadecimal digits: is this all of it?",
        )
    }

    pub(super) fn tight(path: &Path, bytes: usize) -> Self {
        Self::new(
            "chain-tight",
            format!(
                "chain `{}` has {bytes} bytes, close to the limit of {MAX_CHAIN_BYTES} (warned above {TIGHT_CHAIN_BYTES})",
                path.display()
            ),
            "a renewal with a longer name may not fit; issue the chain with shorter names",
        )
    }

    pub(super) fn weak_signature(
        role: Role,
        certificate: &Certificate,
        path: &Path,
        hash: &str,
    ) -> Self {
        Self::new(
            "weak-signature",
            format!("{} is signed with {hash}", of(role, certificate, path)),
            "sign it again with SHA-256",
        )
    }

    fn new(code: &'static str, message: String, hint: &str) -> Self {
        Self {
            code,
            message,
            hint: hint.to_owned(),
        }
    }
}

fn of(role: Role, certificate: &Certificate, path: &Path) -> String {
    format!(
        "{role} certificate `{}` in `{}`",
        certificate.subject(),
        path.display()
    )
}
