//! `engage-host check`: everything that a start does, without keeping anything of it.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use miette::Diagnostic;
use serde::Serialize;

use super::check_ports::Ports;
use super::devices::store_args::StoreLocation;
use super::output::{ErrorEntry, Failure, print_result};
use crate::config::{BaseUrl, Config, ConfigSource, ListenOverrides};
use crate::daemon::{recording_refusals, recording_warnings};
use crate::platform::run_as;
use crate::publication::{Inventory, Publication, SiteEntry, Validation, validate};
use crate::renewal;
use engage_store::{Rotation, RotationId, RotationStep, StoreReader};
use engage_wire::clock;
use engage_wire::limits::MAX_CHAIN_BYTES;

/// Try everything that `serve` does at its start, without serving or keeping anything.
///
/// Changes nothing, and can be used beside a daemon that runs. Exit code 0 when `serve` would serve all of it, 1 when not, also if
/// that concerns a single site only.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host check --config /etc/engage-host/config.toml --as-user engage-host"
)]
pub(super) struct Check {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Try it with the rights of the service's user; needs root
    #[arg(long, value_name = "USER")]
    as_user: Option<String>,
    #[command(flatten)]
    listen: ListenOverrides,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let source = ConfigSource {
            path: self.config,
            listen: self.listen,
        };
        // With the rights that this command has: a unit gives its user ports below 1024.
        let ports = source
            .load()
            .map_or(Ports::Usable, |it| Ports::try_bind(&it));
        if let Some(user) = self.as_user {
            run_as(&user).map_err(|source| AsUserError { user, source })?;
        }
        let report = match source.load() {
            Ok(config) => {
                let base_url = config.base_url_at(config.http.listen);
                let rotation = rotation(&config);
                let validation =
                    validate(&config, &base_url, clock::now(), None, rotation.as_ref());
                Report::from_validation(&config, &base_url, validation, ports, self.strict)
            }
            Err(error) if self.json => Report::from_error(&error),
            Err(error) => return Err(error.into()),
        };
        print_result(&report, self.json)?;
        Ok(ExitCode::from(u8::from(!report.ok)))
    }
}

/// Why nothing can be tried as another user.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to take the rights of user `{user}`")]
#[diagnostic(
    code("as-user"),
    help("run this as root, and name a user that `id USER` knows")
)]
struct AsUserError {
    user: String,
    source: io::Error,
}

/// The result of a check; serialises as `check --json`.
#[derive(Serialize)]
struct Report {
    ok: bool,
    config: Option<String>,
    base_url: Option<String>,
    #[serde(flatten)]
    inventory: Inventory,
    chain_limit_bytes: usize,
    warnings: Vec<ErrorEntry>,
    refusals: Vec<ErrorEntry>,
    /// That the root is being changed; the new files were tried too.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationEntry>,
    /// Whether certificates are served, if not of every site.
    #[serde(skip)]
    is_served: bool,
}

#[derive(Serialize)]
struct RotationEntry {
    id: RotationId,
    step: RotationStep,
}

/// As the store says; what keeps it from saying anything is told with its other troubles.
pub(super) fn rotation(config: &Config) -> Option<Rotation> {
    let location = StoreLocation::of(config)
        .ok()?
        .existing(&config.path)
        .ok()?;
    StoreReader::open(&location.options)
        .ok()?
        .rotation()
        .ok()?
        .rotation
}

impl Report {
    fn from_validation(
        config: &Config,
        base_url: &BaseUrl,
        validation: Validation,
        ports: Ports,
        strict: bool,
    ) -> Self {
        let Validation {
            inventory,
            warnings,
            outcome,
        } = validation;
        let mut warnings = ErrorEntry::all(&warnings);
        warnings.extend(ErrorEntry::all(&renewal::warnings(config)));
        warnings.extend(ErrorEntry::all(&recording_warnings(config)));
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
        refusals.extend(ErrorEntry::all(&recording_refusals(config)));
        match ports {
            Ports::Usable => {}
            Ports::Refused(error) => refusals.push(ErrorEntry::new(&error)),
            Ports::Unknown(warning) => warnings.push(warning),
        }
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

    fn from_error(error: &dyn Diagnostic) -> Self {
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

/// Ends without a line break.
impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inventory.certificates.is_empty() {
            self.fmt_chain(f)?;
        }
        for site in &self.inventory.sites {
            fmt_site(f, site)?;
        }
        if let Some(RotationEntry { id, step }) = &self.rotation {
            writeln!(
                f,
                "rotation {id} is {step}: `engage-host rotate status` says what comes next\n"
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning{warning}")?;
        }
        for refusal in &self.refusals {
            writeln!(f, "error{refusal}")?;
        }
        write!(
            f,
            "{}: {}, {}",
            if self.ok { "ok" } else { "refused" },
            counted(self.refusals.len(), "error"),
            counted(self.warnings.len(), "warning")
        )?;
        self.fmt_bad_sites(f)
    }
}

impl Report {
    /// What becomes of sites whose trouble concerns no other.
    fn fmt_bad_sites(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad = self.inventory.sites.iter().filter(|site| !site.ok);
        let bad: Vec<_> = bad.map(|site| format!("`{}`", site.name)).collect();
        if !self.is_served || bad.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "\n`serve` starts without site {}, whose devices are answered 503; a reload keeps its last announcement",
            bad.join(", ")
        )
    }

    fn fmt_chain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inventory {
            certificates,
            certificate_message_bytes,
            sites,
            served_files,
        } = &self.inventory;
        writeln!(
            f,
            "{:<13} {:>5}  {:<10} {:>9}  SUBJECT",
            "CERTIFICATE", "BYTES", "KEY", "DAYS LEFT"
        )?;
        for certificate in certificates {
            writeln!(
                f,
                "{:<13} {:>5}  {:<10} {:>9}  {}",
                certificate.role,
                certificate.size_bytes,
                certificate.key,
                certificate.days_left,
                certificate.subject
            )?;
        }
        if let Some(total) = sites.iter().filter_map(|site| site.chain_bytes).max() {
            let limit = self.chain_limit_bytes;
            writeln!(
                f,
                "{:<13} {total:>5}  of {limit} that a device accepts",
                "sum"
            )?;
        }
        if let Some(message) = certificate_message_bytes {
            let label = "TLS message";
            writeln!(
                f,
                "{label:<13} {message:>5}  with framing, as sent in the handshake"
            )?;
        }
        let label = "served";
        writeln!(
            f,
            "{label:<13} {served_files:>5}  certificates in the static directory\n"
        )
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn fmt_site(f: &mut fmt::Formatter<'_>, site: &SiteEntry) -> fmt::Result {
    let hosts = match site.hosts.as_slice() {
        [] if site.is_default => "default".to_owned(),
        [] => "by serial number".to_owned(),
        hosts => hosts.join(", "),
    };
    let refused = if site.ok { "" } else { ": refused" };
    writeln!(f, "site `{}` ({hosts}){refused}", site.name)?;
    for (label, value) in [
        ("cert_url", &site.cert_url),
        ("hash", &site.hash),
        ("fingerprint", &site.fingerprint_sha256),
    ] {
        writeln!(f, "  {label:<12} {}", value.as_deref().unwrap_or("-"))?;
    }
    writeln!(f)
}
