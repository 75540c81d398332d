//! `engage-host simulate`: many devices against a running host.

mod plan;
mod summary;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use ipnet::IpNet;
use jiff::SignedDuration;
use tokio::time::interval;

use super::doctor::announcement_url;
use super::output::{SystemError, print_result};
use crate::failure::Failure;
use crate::platform::raise_descriptor_limit;
use engage_device::fleet::{Activity, Device, Fleet, FleetReport, Phase};
use engage_wire::{HostPort, HttpUrl};
use summary::Summary;

/// Load a running host, ours or any other, with simulated devices.
///
/// Each device asks in clear text what to install, downloads the certificate, verifies its hash with the site key, and
/// trusts that certificate only; then it calls in over TLS: uploads its parameters, asks for its database and delivers
/// audits, now and then an alert. Whatever a device would refuse is a deviation. The host stores what they deliver:
/// leave hosts that are in use alone.
/// Exit code 0 if every device got what it needs, 1 if there was a deviation, 2 if it could not be tried.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host simulate http://10.44.68.128 --devices 200 --site-key-file pki/site.key\n  engage-host simulate http://127.0.0.1:8080 --https 127.0.0.1:8443 --devices 500 --site-key-file pki/site.key --profile mbedtls,wolfssl,openssl --source 127.1.0.0/16 --shared-address 10 --window 20s --json"
)]
pub(super) struct Simulate {
    /// The host, as `http://HOST[:PORT]`
    url: HttpUrl,
    /// Where TLS is spoken; without it, the URL's host at port 443
    #[arg(long, value_name = "HOST:PORT")]
    https: Option<HostPort>,
    /// How many devices: 1 to 250000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250_000))]
    devices: u32,
    /// Site key of all of them: Base64, hex or raw
    #[arg(long, value_name = "FILE")]
    site_key_file: PathBuf,
    /// TLS stacks, in turn: `mbedtls`, `wolfssl`, `openssl`, or a TOML file (docs/SIMULATE.md)
    #[arg(
        long,
        value_name = "PROFILE",
        value_delimiter = ',',
        default_value = "mbedtls"
    )]
    profile: Vec<String>,
    /// Within what time all devices come: to be commissioned, and for each call-in
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    window: Window,
    /// How often each device calls in after it was commissioned: 0 to 1000
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=1000))]
    call_ins: u32,
    /// How many of 100 devices ask again what to install before each call-in, as a person has them do with the app
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    ask_again: u8,
    /// The same number makes the same decisions
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Addresses of this computer from which the devices connect, one each: 127.1.0.0/16
    #[arg(long, value_name = "NETWORK")]
    source: Option<IpNet>,
    /// How many of 100 devices share one of these addresses, as behind NAT
    #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "source", value_parser = clap::value_parser!(u8).range(..=100))]
    shared_address: u8,
    /// How many of 100 visits end in the middle because the device loses power
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    power_loss: u8,
    /// How long a connection, a handshake or an answer may take
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    timeout: Window,
    /// Print the summary as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Simulate {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (json, begun) = (self.json, Instant::now());
        let runtime =
            tokio::runtime::Runtime::new().map_err(SystemError::new("start the runtime"))?;
        raise_descriptor_limit();
        let planned = runtime.block_on(plan::fleet(&self));
        let (profiles, mut fleet) = planned.map_err(Failure::into_usage_error)?;
        let report = runtime.block_on(self.visit(&mut fleet));
        // A name service that does not answer must not delay the end.
        runtime.shutdown_background();
        let summary = Summary::new(&self, profiles, begun.elapsed(), report);
        print_result(&summary, json)?;
        Ok(ExitCode::from(u8::from(!summary.ok)))
    }

    /// Commissions all devices, then has them call in.
    async fn visit(&self, fleet: &mut Fleet) -> FleetReport {
        let everybody = |_: &Device| true;
        let mut report = self.phase(fleet, Activity::Commission, everybody).await;
        for round in 0..u64::from(self.call_ins) {
            if self.ask_again > 0 {
                let is_told = |device: &Device| {
                    // Neighbours are far apart, and others' turn is in the next round.
                    let turn = device.spec().serial % 100 * 61 + round * 17;
                    turn % 100 < u64::from(self.ask_again)
                };
                report.add(self.phase(fleet, Activity::Commission, is_told).await);
            }
            report.add(self.phase(fleet, Activity::CallIn, everybody).await);
        }
        report
    }

    async fn phase(
        &self,
        fleet: &mut Fleet,
        activity: Activity,
        comes: impl Fn(&Device) -> bool,
    ) -> FleetReport {
        let phase = Phase {
            activity,
            window: self.window.0,
            power_loss: f64::from(self.power_loss) / 100.0,
        };
        let all = fleet.devices().iter().filter(|it| comes(it)).count();
        let done = Arc::new(AtomicUsize::new(0));
        let mut visits = std::pin::pin!(fleet.run(phase, comes, &done));
        let mut ticks = interval(Duration::from_millis(200));
        let is_watched = io::stderr().is_terminal();
        loop {
            tokio::select! {
                report = &mut visits => {
                    if is_watched {
                        draw("");
                    }
                    return report;
                }
                _ = ticks.tick(), if is_watched => draw(&bar(activity, done.load(Ordering::Relaxed), all)),
            }
        }
    }
}

fn bar(activity: Activity, done: usize, all: usize) -> String {
    let what = match activity {
        Activity::Commission => "commissioning",
        Activity::CallIn => "call-in",
    };
    let filled = done * BAR_CHARS / all.max(1);
    let (filled, empty) = ("#".repeat(filled), ".".repeat(BAR_CHARS - filled));
    format!("{what} [{filled}{empty}] {done} of {all} devices")
}

/// In place of the line that was drawn before.
fn draw(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r{line}\x1b[K\r");
    let _ = stderr.flush();
}

/// A time that is neither nothing nor more than a day.
#[derive(Clone, Copy, Debug)]
struct Window(Duration);

impl FromStr for Window {
    type Err = UnknownWindow;

    fn from_str(text: &str) -> Result<Self, UnknownWindow> {
        let parsed: SignedDuration = text.parse().map_err(|_| UnknownWindow)?;
        let window = Duration::try_from(parsed).map_err(|_| UnknownWindow)?;
        let allowed = Duration::from_millis(1)..=Duration::from_hours(24);
        if allowed.contains(&window) {
            Ok(Self(window))
        } else {
            Err(UnknownWindow)
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("allowed: a time of at most a day, such as `500ms`, `60s`, `5m` or `4h`")]
struct UnknownWindow;

const BAR_CHARS: usize = 40;
