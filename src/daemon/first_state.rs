//! What a start reads and checks, before anybody is served.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::error;

use super::base_url::EffectiveBaseUrl;
use super::watch::{FileFingerprint, Sources};
use super::{log_bad_sites, log_warnings};
use crate::config::{BaseUrl, Config};
use crate::publication::{Publication, Refusals, Validation, validate};
use crate::rotation;
use engage_store::{Rotation, StoredRotation};
use engage_wire::clock;
use engage_wire::diagnostic::{code, one_line};

/// Later ones are a reload's candidates.
pub(super) struct FirstState {
    /// Where a rotation stood when the store was last read.
    pub(super) row: StoredRotation,
    /// As they were read.
    pub(super) files: FileFingerprint,
    pub(super) base_url: EffectiveBaseUrl,
    pub(super) publication: Publication,
}

impl FirstState {
    /// Fails if devices would not accept what is configured; with `strict` also if a part of it is bad.
    pub(super) fn read(config: &Config, http: SocketAddr, strict: bool) -> Result<Self, Refusals> {
        let directory = config.devices.directory.path();
        let row = directory.map(rotation::copied).unwrap_or_default();
        let sources = Arc::new(Sources::from_config(config, row.rotation.is_some()));
        let files = FileFingerprint::read(config, &sources, &sources.versions());
        let base_url = EffectiveBaseUrl::new(config, http);
        let publication = publication(config, &base_url.url, strict, row.rotation.as_ref())?;
        Ok(Self {
            row,
            files,
            base_url,
            publication,
        })
    }
}

/// What is published first, or why nothing is.
///
/// Where only the time of the server's chain stands against it, devices are at least told in clear
/// text which certificate to install: a restart must not take that from them.
fn publication(
    config: &Config,
    base_url: &BaseUrl,
    strict: bool,
    rotation: Option<&Rotation>,
) -> Result<Publication, Refusals> {
    let Validation {
        warnings, outcome, ..
    } = validate(config, base_url, clock::now(), None, rotation);
    log_warnings(&warnings);
    let mut publication = outcome?;
    if strict {
        publication = publication.whole()?;
    }
    log_bad_sites(&publication);
    rotation::log(None, &publication);
    for refusal in publication
        .identity()
        .err()
        .into_iter()
        .flat_map(Refusals::iter)
    {
        error!(
            code = %code(refusal),
            "the TLS listener refuses everybody: {}",
            one_line(refusal)
        );
    }
    Ok(publication)
}
