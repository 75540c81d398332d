//! Nights of a whole fleet, in compressed time, and a new root in the middle of them.

mod building;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use engage_device::fleet::{Activity, Device, Fleet as Devices, Phase};

use crate::accounting::{CpuTime, memory};
use crate::process;
use crate::trouble::{Outcome, Trouble};
use building::Building;
use report::{Night, Nights};

/// Change the root of a fleet, night after night
#[derive(Args, Debug)]
pub(crate) struct Fleet {
    /// The release binary of engage-host
    #[arg(long, value_name = "FILE")]
    engage_host: PathBuf,
    /// Folder for sites, chains, devices and logs; emptied first
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Devices, a tenth of them behind one address for each site
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// Sites, each with a key of its own
    #[arg(long, default_value_t = 1_000)]
    sites: usize,
    /// Seconds into which the four hours of a night are compressed
    #[arg(long, default_value_t = 300)]
    night: u64,
}

/// All nights; fails if a device of them was locked out.
pub(crate) async fn run(plan: Fleet) -> Outcome<()> {
    process::raise_descriptor_limit();
    let begun = Instant::now();
    let building = Building::new(&plan)?;
    println!(
        "{} devices of {} sites; the first answer after {} ms, memory {} KB",
        plan.devices,
        plan.sites,
        building.started.as_millis(),
        memory(&building.server.processes())? / 1024
    );
    let mut nights = Nights::new(building, Duration::from_secs(plan.night));
    nights
        .run("commissioning", Activity::Commission, everybody)
        .await?;
    nights
        .run("a night before", Activity::CallIn, everybody)
        .await?;
    nights.rotate(&["prepare"])?;
    nights.rotate(&["publish"])?;
    nights
        .run(
            "two thirds are told to fetch, 1 of 20 loses power",
            Activity::Commission,
            is_there,
        )
        .await?;
    nights
        .run("a night without the last third", Activity::CallIn, is_there)
        .await?;
    if nights.rotate(&["activate"]).is_ok() {
        return Err(Trouble::new(
            "`rotate activate` agreed although a third had not fetched",
        ));
    }
    nights
        .run("the last third is back", Activity::CallIn, everybody)
        .await?;
    nights
        .run(
            "all who lack it are told to fetch",
            Activity::Commission,
            everybody,
        )
        .await?;
    nights
        .run("a night with it", Activity::CallIn, everybody)
        .await?;
    nights.rotate_when_stored(&["activate"]).await?;
    nights
        .run(
            "the first night after `activate`",
            Activity::CallIn,
            everybody,
        )
        .await?;
    nights.rotate_when_stored(&["retire"]).await?;
    nights
        .run(
            "the first night after `retire`",
            Activity::CallIn,
            everybody,
        )
        .await?;
    println!(
        "{nights}all of it took {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn everybody(_: &Device) -> bool {
    true
}

/// A third is not, each third of every site.
fn is_there(device: &Device) -> bool {
    !device.spec().serial.is_multiple_of(3)
}

impl Nights {
    async fn run(
        &mut self,
        name: &'static str,
        activity: Activity,
        comes: fn(&Device) -> bool,
    ) -> Outcome<()> {
        let is_told = activity == Activity::Commission;
        // The third is the one in which the new certificate is fetched.
        let phase = Phase {
            activity,
            window: if is_told {
                self.length / 4
            } else {
                self.length
            },
            power_loss: if self.finished.len() == 2 { 0.05 } else { 0.0 },
        };
        let processes = self.building.server.processes();
        let (begun, before) = (Instant::now(), CpuTime::read(&processes)?);
        let devices: &mut Devices = &mut self.building.devices;
        let report = devices.run(phase, comes, &std::sync::Arc::default()).await;
        let again = devices
            .devices()
            .iter()
            .filter(|it| it.failed_in_a_row() > 1);
        self.finished.push(Night {
            name,
            activity,
            again: again.count(),
            took: begun.elapsed(),
            cpu: CpuTime::read(&processes)?.since(&before),
            memory: memory(&processes)?,
            report,
        });
        let night = &self.finished[self.finished.len() - 1];
        eprintln!("{night}");
        night
            .fault()
            .map_or(Ok(()), |fault| Err(Trouble::new(fault)))
    }

    /// What devices have shown is stored in batches: it is tried for a minute.
    async fn rotate_when_stored(&self, arguments: &[&str]) -> Outcome<()> {
        for _ in 0..6 {
            if self.rotate(arguments).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        self.rotate(arguments)
    }

    /// `engage-host rotate`, which has to succeed.
    fn rotate(&self, arguments: &[&str]) -> Outcome<()> {
        let begun = Instant::now();
        let told = self.building.rotate(arguments)?;
        eprintln!(
            "rotate {} ({:.1} s): {told}",
            arguments.join(" "),
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
