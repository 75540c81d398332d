//! What the daemon renews by itself, and what would keep it from it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use miette::Diagnostic;

use super::{AuthorityFiles, RenewError, Renewal, Renewed};
use crate::config::{BaseUrl, Config};
use crate::platform::is_writable_dir;
use crate::staged_file::folder;
use engage_wire::diagnostic::{causes, hint};
use engage_wire::pki::issue::ValidityPolicy;
use engage_wire::pki::load_certificate_chain;

/// Renews the server certificate for the same names and the same time as the present one.
pub(crate) fn like_present(
    config: &Config,
    base_url: &BaseUrl,
    now: Timestamp,
) -> Result<Renewed, RenewError> {
    let present = load_certificate_chain("server certificate", &config.https.certificate)?;
    let validity = present[0].validity();
    let renewal = Renewal {
        config,
        base_url,
        hosts: &[],
        validity_policy: ValidityPolicy::lasting_as(validity, now),
        root_key: None,
        must_outlast: true,
    };
    renewal.execute()
}

/// Why the daemon that `config` is of could not renew by itself, if it is to.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("`[pki] auto_renew` is set, but the certificate could not be renewed: {reason}")]
#[diagnostic(
    code("auto-renew-impossible"),
    help("{hint}; or renew by hand (`engage-host renew`), and leave `auto_renew` out")
)]
pub(crate) struct AutoRenewWarning {
    reason: String,
    hint: String,
}

/// What is in the way: files that cannot be written, or the issuer's key.
pub(crate) fn warnings(config: &Config) -> Vec<AutoRenewWarning> {
    if !config.pki.auto_renew {
        return Vec::new();
    }
    let https = &config.https;
    let folders = BTreeSet::from([folder(&https.certificate), folder(&https.private_key)]);
    let folders = folders.into_iter().filter_map(|folder| {
        is_writable_dir(folder)
            .map_err(RenewError::file("write to", folder))
            .err()
    });
    let issuer = AuthorityFiles::from_config(config).intermediate().err();
    let errors = folders.chain(issuer);
    let warnings = errors.map(|error| AutoRenewWarning {
        reason: causes(&error),
        hint: hint(&error),
    });
    warnings.collect()
}
