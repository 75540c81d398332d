//! `rotate status`: how far it is, and which command comes next.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use engage_store::{Overlap, Rotation, RotationId, RotationStep};
use engage_wire::pki::Fingerprint;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::devices::{Behind, Devices};
use super::hosts::{HostEntry, hosts_table};
use super::report::next;
use super::session::Session;
use crate::adoption::Counts;
use crate::failure::Failure;
use crate::reload_outcome::ReloadRefusal;
use crate::rotation::in_force;
use crate::table::{moment, or_dash, table};

/// Serialises as `rotate status --json`.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusReport {
    pub(crate) ok: bool,
    revision: i64,
    rotation: Option<RotationEntry>,
    /// Files beside the present ones, where no rotation is under way.
    unused_files: Option<String>,
    /// What devices would refuse of the new files on this host.
    #[schema(value_type = Vec<crate::failure::ErrorEntry>)]
    problems: Vec<ReloadRefusal>,
    hosts: Vec<HostEntry>,
    devices: Option<DevicesEntry>,
    in_force: &'static str,
    next: String,
}

#[derive(Serialize, ToSchema)]
struct RotationEntry {
    #[schema(value_type = String)]
    id: RotationId,
    #[schema(value_type = String)]
    step: RotationStep,
    #[schema(value_type = String)]
    overlap: Overlap,
    #[schema(value_type = String)]
    leaf: Fingerprint,
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    step_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct DevicesEntry {
    #[serde(skip)]
    #[schema(ignore)]
    step: RotationStep,
    all: Counts,
    ready_percent: f64,
    sites: BTreeMap<String, Counts>,
    /// Those that are not ready and are expected last.
    slowest: Vec<Behind>,
    overdue: usize,
    /// When the last that still calls has called.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_expected: Option<Timestamp>,
    /// Addresses that several devices share.
    shared_addresses: Vec<SharedAddress>,
}

#[derive(Serialize, ToSchema)]
struct SharedAddress {
    #[schema(value_type = String)]
    address: IpAddr,
    devices: u32,
}

impl StatusReport {
    pub(crate) fn read(session: &Session) -> Result<Self, Failure> {
        let rotation = session.stored.rotation.as_ref();
        let devices = rotation
            .map(|it| Devices::read(&session.reader, it, Timestamp::now()))
            .transpose()?;
        let hosts = match rotation {
            Some(_) => HostEntry::all(session, &session.reader.rotation_reports()?),
            None => Vec::new(),
        };
        let problems = rotation.map(|it| session.check(it, it.step));
        let folder = session.files.folder();
        let is_unused = rotation.is_none() && folder.exists();
        let problems = problems.unwrap_or_default();
        Ok(Self {
            ok: problems.is_empty() && hosts.iter().all(|it| it.follows),
            revision: session.stored.revision,
            rotation: rotation.map(RotationEntry::new),
            unused_files: is_unused.then(|| folder.display().to_string()),
            problems,
            hosts,
            in_force: in_force(rotation),
            next: next_command(session, devices.as_ref()),
            devices: devices
                .zip(rotation)
                .map(|(devices, it)| DevicesEntry::new(devices, it.step)),
        })
    }
}

/// Not what is not allowed yet.
fn next_command(session: &Session, devices: Option<&Devices>) -> String {
    let is_unknown = devices.is_some_and(|it| it.all.devices == 0);
    let is_ready = devices.is_some_and(|it| it.behind.is_empty());
    match session.stored.rotation.as_ref().map(|it| it.step) {
        Some(RotationStep::Published | RotationStep::Activated) if is_unknown => next(session),
        Some(RotationStep::Published) if is_ready => "`engage-host rotate activate`".to_owned(),
        Some(RotationStep::Activated) if is_ready => "`engage-host rotate retire`".to_owned(),
        Some(RotationStep::Undoing) if is_ready => "`engage-host rotate undo`".to_owned(),
        _ => next(session),
    }
}

impl RotationEntry {
    fn new(rotation: &Rotation) -> Self {
        Self {
            id: rotation.id,
            step: rotation.step,
            overlap: rotation.overlap,
            leaf: rotation.leaf,
            began_at: rotation.began_at,
            step_at: rotation.step_at,
        }
    }
}

impl DevicesEntry {
    fn new(devices: Devices, step: RotationStep) -> Self {
        let overdue = devices.behind.iter().filter(|it| it.is_overdue).count();
        let shared = devices.shared.iter().take(MAX_LISTED);
        Self {
            step,
            all: devices.all,
            ready_percent: devices.all.ready_percent(step),
            last_expected: devices.last_expected(),
            overdue,
            shared_addresses: shared
                .map(|&(address, devices)| SharedAddress { address, devices })
                .collect(),
            sites: devices.sites,
            slowest: devices.behind.into_iter().take(MAX_LISTED).collect(),
        }
    }
}

/// Ends without a line break.
impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.rotation, &self.unused_files) {
            (Some(rotation), _) => writeln!(f, "{rotation}\n")?,
            (None, Some(folder)) => writeln!(
                f,
                "no rotation is under way; `{folder}` holds new files that nothing uses: `prepare` takes them up, or move the folder away"
            )?,
            (None, None) => writeln!(f, "no rotation is under way")?,
        }
        if let Some(devices) = &self.devices {
            writeln!(f, "{devices}\n")?;
        }
        if self.rotation.is_some() {
            writeln!(f, "{}\n", hosts_table(&self.hosts))?;
        }
        for problem in &self.problems {
            let hint = engage_wire::diagnostic::hint(problem);
            writeln!(f, "problem on this host: {problem}\n  hint: {hint}")?;
        }
        write!(f, "in force: {}\nnext: {}", self.in_force, self.next)
    }
}

impl fmt::Display for RotationEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            step,
            overlap,
            leaf,
            step_at,
            ..
        } = self;
        let since = moment(*step_at);
        write!(
            f,
            "rotation {id}: {step} since {since}, overlap {overlap}\nnew server certificate {leaf}"
        )
    }
}

impl fmt::Display for DevicesEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_sites(f)?;
        if self.all.devices == 0 {
            return write!(
                f,
                "no device was seen in 30 days: nothing is known of who has which certificate"
            );
        }
        writeln!(
            f,
            "ready: {} of {} devices that were seen in 30 days ({:.1} %)",
            self.all.ready(self.step),
            self.all.devices,
            self.ready_percent
        )?;
        self.fmt_slowest(f)?;
        for SharedAddress { address, devices } in &self.shared_addresses {
            writeln!(
                f,
                "{address} is shared by {devices} devices: what is seen of the address alone is not counted for one of them"
            )?;
        }
        match self.last_expected {
            Some(at) => {
                let at = moment(at);
                write!(f, "the last that calls by its rhythm is expected at {at}")?;
            }
            None => write!(f, "no device is waited for that calls by its rhythm")?,
        }
        match self.overdue {
            0 => Ok(()),
            overdue => write!(f, "; {overdue} are overdue"),
        }
    }
}

impl DevicesEntry {
    /// Those that are waited for first.
    fn fmt_sites(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = match self.step {
            RotationStep::Undoing => "STILL NEW",
            _ => "STILL OLD",
        };
        let headings = [
            "SITE", "DEVICES", "VERIFIED", "FETCHED", "TOLD", other, "UNSEEN",
        ];
        let sites = self.sites.iter().map(|(site, it)| (site.clone(), *it));
        let mut sites: Vec<_> = sites.collect();
        sites.sort_by_key(|(_, it)| it.devices == it.ready(self.step));
        let all = ("all".to_owned(), self.all);
        let shown = sites.iter().take(MAX_SITES).cloned();
        let rows: Vec<_> = shown.chain([all]).map(counts_row).collect();
        writeln!(f, "{}", table(headings, &rows))?;
        if sites.len() > MAX_SITES {
            let others = sites.len() - MAX_SITES;
            writeln!(f, "{others} more sites are in `--json`")?;
        }
        Ok(())
    }

    fn fmt_slowest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.slowest.is_empty() {
            return Ok(());
        }
        let headings = [
            "SLOWEST",
            "SITE",
            "ADDRESS",
            "STATE",
            "LAST SEEN",
            "EXPECTED",
            "LAST FAILURE",
        ];
        let rows = self.slowest.iter().map(|it| behind_row(it, self.step));
        writeln!(f, "\n{}", table(headings, &rows.collect::<Vec<_>>()))
    }
}

fn counts_row((site, counts): (String, Counts)) -> [String; 7] {
    [
        or_dash(Some(&site)),
        counts.devices.to_string(),
        counts.verified.to_string(),
        counts.fetched.to_string(),
        counts.told.to_string(),
        counts.other.to_string(),
        counts.unseen.to_string(),
    ]
}

fn behind_row(behind: &Behind, step: RotationStep) -> [String; 7] {
    let overdue = if behind.is_overdue { ", overdue" } else { "" };
    [
        behind.device.to_string(),
        or_dash(behind.site.as_deref()),
        behind
            .address
            .map_or_else(|| "-".to_owned(), |it| it.to_string()),
        behind.state.name(step).to_owned(),
        moment(behind.last_seen),
        format!("{}{overdue}", moment(behind.expected)),
        or_dash(behind.failure.as_deref()),
    ]
}

const MAX_LISTED: usize = 10;

/// Lines of a table that is read.
const MAX_SITES: usize = 40;
