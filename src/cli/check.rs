//! `engage-host check`: everything that a start does, without keeping anything of it.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use miette::{Diagnostic, Severity};

use super::check_ports::Ports;
use super::output::{entry_text, print_result};
use crate::admin::AdminFiles;
use crate::check::{CheckReport, RotationEntry};
use crate::config::{ConfigSource, ListenOverrides};
use crate::failure::Failure;
use crate::platform::run_as;
use crate::publication::{Inventory, SiteEntry};
use engage_wire::clock;

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
                let admin = AdminFiles::check(&config.admin, clock::now());
                CheckReport::new(&config, ports.into_others().and(admin), self.strict)
            }
            Err(error) if self.json => CheckReport::from_error(&error),
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

/// Ends without a line break.
impl Display for CheckReport {
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
            writeln!(f, "{}", entry_text(Severity::Warning, warning))?;
        }
        for refusal in &self.refusals {
            writeln!(f, "{}", entry_text(Severity::Error, refusal))?;
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

impl CheckReport {
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
