//! Everything that a start does, tried without keeping anything of it.

use miette::Diagnostic;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{BaseUrl, Config, OtlpConfig};
use crate::failure::ErrorEntry;
use crate::otlp::{Collector, OtlpWarning};
use crate::publication::{Inventory, Publication, Validation, validate};
use crate::recording::{self, StoreLocation};
use crate::renewal;
use engage_store::{Rotation, RotationId, RotationStep, StoreReader};
use engage_wire::clock;
use engage_wire::limits::MAX_CHAIN_BYTES;

/// The result of a check; serialises as `check --json`.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckReport {
    pub(crate) ok: bool,
    pub(crate) config: Option<String>,
    pub(crate) base_url: Option<String>,
    #[serde(flatten)]
    pub(crate) inventory: Inventory,
    pub(crate) chain_limit_bytes: usize,
    pub(crate) warnings: Vec<ErrorEntry>,
    pub(crate) refusals: Vec<ErrorEntry>,
    /// That the root is being changed; the new files were tried too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rotation: Option<RotationEntry>,
    /// Whether certificates are served, if not of every site.
    #[serde(skip)]
    pub(crate) is_served: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RotationUnderWay)]
pub(crate) struct RotationEntry {
    #[schema(value_type = String)]
    pub(crate) id: RotationId,
    #[schema(value_type = String)]
    pub(crate) step: RotationStep,
}

/// What was found out elsewhere.
#[derive(Default)]
pub(crate) struct Others {
    pub(crate) refusals: Vec<ErrorEntry>,
    pub(crate) warnings: Vec<ErrorEntry>,
}

impl Others {
    /// Adds the refusals and warnings of another check.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.refusals.extend(more.refusals);
        self.warnings.extend(more.warnings);
        self
    }
}

/// As the store says; what keeps it from saying anything is told with its other troubles.
pub(crate) fn rotation(config: &Config) -> Option<Rotation> {
    let location = StoreLocation::from_config(config)
        .ok()?
        .existing(&config.path)
        .ok()?;
    StoreReader::open(&location.options)
        .ok()?
        .rotation()
        .ok()?
        .rotation
}

fn otlp_refusal(config: &OtlpConfig) -> Option<ErrorEntry> {
    let error = Collector::load(config).err()?;
    Some(ErrorEntry::new(&error))
}

impl CheckReport {
    /// Tries what a configuration says. `others` is what else stands against a start.
    pub(crate) fn new(config: &Config, others: Others, strict: bool) -> Self {
        let base_url = config.base_url_at(config.http.listen);
        let rotation = rotation(config);
        let validation = validate(config, &base_url, clock::now(), None, rotation.as_ref());
        Self::from_validation(config, &base_url, validation, others, strict)
    }

    fn from_validation(
        config: &Config,
        base_url: &BaseUrl,
        validation: Validation,
        others: Others,
        strict: bool,
    ) -> Self {
        let Validation {
            inventory,
            warnings,
            outcome,
        } = validation;
        let mut warnings = ErrorEntry::all(&warnings);
        warnings.extend(ErrorEntry::all(&renewal::warnings(config)));
        warnings.extend(ErrorEntry::all(&recording::warnings(config)));
        let of_otlp: Vec<_> = config.otlp.iter().flat_map(OtlpWarning::all).collect();
        warnings.extend(ErrorEntry::all(&of_otlp));
        let is_served = outcome.is_ok();
        let in_rotation = outcome.as_ref().ok();
        let of_rotation = in_rotation.map(|it| ErrorEntry::all(it.rotation_refusals()));
        let rotation = in_rotation.and_then(Publication::rotation);
        let rotation = rotation.map(|it| RotationEntry {
            id: it.rotation().id,
            step: it.rotation().step,
        });
        let mut refusals = match &outcome.and_then(Publication::whole) {
            Ok(_) => Vec::new(),
            Err(refusals) => ErrorEntry::all(refusals.iter()),
        };
        refusals.extend(of_rotation.unwrap_or_default());
        refusals.extend(ErrorEntry::all(&recording::refusals(config)));
        refusals.extend(config.otlp.as_ref().and_then(otlp_refusal));
        refusals.extend(others.refusals);
        warnings.extend(others.warnings);
        Self {
            ok: refusals.is_empty() && (warnings.is_empty() || !strict),
            config: Some(config.path.display().to_string()),
            base_url: Some(base_url.to_string()),
            inventory,
            chain_limit_bytes: MAX_CHAIN_BYTES,
            warnings,
            refusals,
            rotation,
            is_served,
        }
    }

    /// Of a configuration that cannot be read.
    pub(crate) fn from_error(error: &dyn Diagnostic) -> Self {
        Self {
            ok: false,
            config: None,
            base_url: None,
            inventory: Inventory::default(),
            chain_limit_bytes: MAX_CHAIN_BYTES,
            warnings: Vec::new(),
            refusals: vec![ErrorEntry::new(error)],
            rotation: None,
            is_served: false,
        }
    }
}
