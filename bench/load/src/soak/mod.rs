//! An hour among strangers: what the daemon has and is afterwards that it was not before.

mod fleet;
mod footprint;
mod host;
mod receiver;
mod report;
mod strangers;
mod troubles;

use std::path::PathBuf;
use std::time::Duration;

use clap::value_parser;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, sleep_until};

use crate::process::raise_descriptor_limit;
use crate::trouble::{Outcome, Trouble};

use fleet::Fleet;
use footprint::Footprint;
use host::SoakedHost;
use receiver::WebhookReceiver;
use report::{Minute, SoakReport};
use strangers::{Kind, Strangers};
use troubles::Troubles;

/// Serve honest and hostile devices for an hour, with all that goes wrong in one
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// The release binary of engage-host
    #[arg(long, value_name = "FILE")]
    engage_host: PathBuf,
    /// Folder for the installation, its log and what devices deliver; emptied first
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// libfaketime, for clock steps
    #[arg(long, value_name = "FILE")]
    faketime: Option<PathBuf>,
    /// How long; 1440 are a day
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = value_parser!(u32).range(3..))]
    minutes: u32,
}

pub(crate) async fn run(soak: Soak) -> Outcome<()> {
    raise_descriptor_limit();
    let receiver = WebhookReceiver::start().await?;
    let mut host = SoakedHost::start(&soak, receiver.address())?;
    let fleet = Fleet::start(&host)?;
    let mut report = SoakReport::default();
    for minute in 0..soak.minutes {
        let minute = run_minute(minute, &host, &receiver, &fleet).await?;
        eprintln!("{minute}");
        report.minutes.push(minute);
        host.assert_running()?;
    }
    let fleet = fleet.stop().await?;
    report.delivered = receiver.wait_for(&fleet.acknowledged).await;
    // The reader brings a runtime of its own.
    report.stored = block_in_place(|| host.stored(&fleet.acknowledged))?;
    report.acknowledged = fleet.acknowledged;
    report.skipped = host.skipped.clone();
    println!("{report}");
    match report.failures().as_slice() {
        [] => Ok(()),
        failures => Err(Trouble::new(failures.join("; "))),
    }
}

/// Two attacks and what else goes wrong for three quarters of it, then a rest, at whose end the daemon
/// is looked at. The first minute has neither: what it shows is what the others are compared with.
async fn run_minute(
    number: u32,
    host: &SoakedHost,
    receiver: &WebhookReceiver,
    fleet: &Fleet,
) -> Outcome<Minute> {
    let end = Instant::now() + MINUTE;
    let kinds = Kind::of_minute(number);
    let strangers: Vec<_> = kinds
        .iter()
        .map(|kind| Strangers::begin(*kind, host))
        .collect();
    let mut troubles = Troubles::of_minute(number);
    let mut peak = Footprint::default();
    while Instant::now() + REST < end {
        troubles.next(host, receiver).await?;
        peak = peak.max(host.footprint()?);
        sleep(Duration::from_secs(1)).await;
    }
    let waits = fleet.take_waits();
    drop(strangers);
    Troubles::end(host, receiver)?;
    // Connections end, and idle threads.
    sleep_until(end - LOOK).await;
    let mut rest = host.footprint()?;
    while Instant::now() < end {
        sleep(Duration::from_millis(100)).await;
        rest = rest.min(host.footprint()?);
    }
    drop(fleet.take_waits());
    Ok(Minute {
        number,
        kinds,
        peak,
        rest,
        waits,
    })
}

const MINUTE: Duration = Duration::from_mins(1);
const REST: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(2);
