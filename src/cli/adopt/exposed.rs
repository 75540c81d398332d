//! What the old server let anybody download: Flask serves everything below `static/`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::old_server::{MAX_DEPTH, OldServer, files_below};
use engage_wire::pki::issue::CertifiedIssuer;
use engage_wire::pki::{Certificate, PrivateKey, private_key_kind_of_file};
use engage_wire::site::SiteKey;

/// A secret that is none any more.
#[derive(Debug, Serialize)]
pub(super) struct Exposed {
    pub(super) path: String,
    /// What it is.
    pub(super) what: &'static str,
    /// What has to be done.
    pub(super) remedy: &'static str,
}

/// The key of an authority, wherever it lies in the old folder.
pub(super) struct AuthorityKey {
    pub(super) path: PathBuf,
    /// The file name that `init` looks for.
    pub(super) name: &'static str,
    pub(super) what: &'static str,
}

impl AuthorityKey {
    pub(super) fn is_intermediate(&self) -> bool {
        self.name == INTERMEDIATE_KEY
    }
}

/// Secrets in the folder that was served.
pub(super) fn exposed(server: &OldServer, site_key: &SiteKey) -> Vec<Exposed> {
    let secrets = files_below(&server.folder.join("static"), MAX_DEPTH);
    secrets
        .into_iter()
        .filter_map(|path| {
            let (what, remedy) = classify(server, site_key, &path)?;
            Some(Exposed {
                path: path.display().to_string(),
                what,
                remedy,
            })
        })
        .collect()
}

/// Keys that issued the chain: with the intermediate's, `init` can renew the server certificate.
pub(super) fn authority_keys(server: &OldServer) -> Vec<AuthorityKey> {
    let mut keys: Vec<AuthorityKey> = Vec::new();
    for path in files_below(&server.folder, MAX_DEPTH) {
        let Some((name, what)) = authority_of(server, &path) else {
            continue;
        };
        if keys.iter().all(|key| key.name != name) {
            keys.push(AuthorityKey { path, name, what });
        }
    }
    keys
}

fn classify(
    server: &OldServer,
    site_key: &SiteKey,
    path: &Path,
) -> Option<(&'static str, &'static str)> {
    if private_key_kind_of_file(path).is_none() {
        return is_site_key(site_key, path).then_some((
            "the site key",
            "whoever has it can give certificates of their own to these devices: make a new ENGAGE site",
        ));
    }
    Some(match authority_of(server, path) {
        Some((_, what)) => (
            what,
            "whoever has it can issue server certificates that devices accept: plan a new root, which every device \
             must install",
        ),
        None if is_key_of(&server.chain[0], path) => (
            "private key of the server certificate",
            "whoever has it can pass for this server: issue a new server certificate with a new key",
        ),
        None => (
            "a private key",
            "if anything trusts its certificate, issue both anew",
        ),
    })
}

fn authority_of(server: &OldServer, path: &Path) -> Option<(&'static str, &'static str)> {
    let others = server.other_certificates();
    let known = || {
        let chain = server.chain.iter().skip(1);
        let others = others.iter().map(|(_, certificate)| certificate);
        [&server.anchor].into_iter().chain(chain).chain(others)
    };
    private_key_kind_of_file(path)?;
    let issuer = known().find(|issuer| is_key_of(issuer, path))?;
    Some(if issuer.is_self_signed() {
        ("partner_CA.key", "private key of the root")
    } else {
        (INTERMEDIATE_KEY, "private key of the intermediate")
    })
}

fn is_key_of(certificate: &Certificate, path: &Path) -> bool {
    PrivateKey::load(path)
        .is_ok_and(|key| CertifiedIssuer::from_existing(certificate.clone(), key).is_ok())
}

fn is_site_key(site_key: &SiteKey, path: &Path) -> bool {
    SiteKey::load(path)
        .is_ok_and(|found| found.announcement_hash(b"") == site_key.announcement_hash(b""))
}

const INTERMEDIATE_KEY: &str = "partner_intermediate.key";
