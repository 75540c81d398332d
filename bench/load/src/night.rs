//! The night: a whole building returns after a power cut.

use std::net::SocketAddr;
use std::time::Duration;

use engage_device::connect_from;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::accounting::CpuTime;
use crate::device::{Device, Version, address, soon};
use crate::installation::{Installation, Subject};
use crate::load;
use crate::plan::Plan;
use crate::report::{Report, Row};
use crate::statistics::{milliseconds, quantile};
use crate::trouble::Outcome;

pub(crate) async fn measure(
    installation: &Installation,
    plan: &Plan,
    report: &mut Report,
) -> Outcome<()> {
    for hostile in [0, plan.hostile_sockets] {
        let mut nights = Vec::new();
        for subject in Subject::BOTH {
            nights.push(night(installation, subject, plan, hostile).await?);
        }
        let [ours, theirs] = &nights[..] else {
            unreachable!("two subjects");
        };
        let who = match hostile {
            0 => format!("{} devices", plan.devices),
            hostile => format!("{} devices, {hostile} hostile", plan.devices),
        };
        let mut add = |what: &str, unit, of: fn(&Night) -> f64| {
            let row = Row::new(format!("{who}: {what}"), unit, &[of(ours)]);
            report.add(row.against(&[of(theirs)]));
        };
        add("done at the first attempt", "devices", |night| night.first);
        add("all done after", "s", |night| night.length.as_secs_f64());
        add("a device's visit, p50", "ms", |night| {
            quantile(&night.visits, 0.5)
        });
        add("a device's visit, p99", "ms", |night| {
            quantile(&night.visits, 0.99)
        });
        add("server CPU", "s", |night| night.cpu.as_secs_f64());
    }
    Ok(())
}

#[derive(Debug)]
struct Night {
    /// Devices that needed one attempt.
    first: f64,
    /// From the first arrival to the last success.
    length: Duration,
    /// Time of each successful attempt, in milliseconds.
    visits: Vec<f64>,
    cpu: Duration,
}

/// How often a device tried, and how long its last attempt took.
struct Visit {
    attempts: usize,
    took: Duration,
}

async fn night(
    installation: &Installation,
    subject: Subject,
    plan: &Plan,
    hostile: usize,
) -> Outcome<Night> {
    eprintln!("night: {}, {hostile} hostile sockets", subject.name());
    let server = installation.start(subject)?;
    let device = Device::learn(installation, &server).await?;
    let mut stalled = JoinSet::new();
    for number in 0..hostile {
        let port = [device.http(), device.https()][number % 2];
        stalled.spawn(stall(port, number));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = CpuTime::read(&server.processes())?;
    let started = Instant::now();
    let mut devices = JoinSet::new();
    let arrivals = Arrivals::default();
    for (number, share) in arrivals.take(plan.devices).enumerate() {
        let device = device.clone();
        let at = started + plan.returning.mul_f64(share);
        devices.spawn(async move {
            tokio::time::sleep_until(at).await;
            Ok(visit(&device, number).await)
        });
    }
    let visits = load::all(devices).await?;
    let length = started.elapsed();
    stalled.abort_all();
    let cpu = CpuTime::read(&server.processes())?.since(&before);
    let first = visits.iter().filter(|visit| visit.attempts == 1).count();
    Ok(Night {
        first: f64::from(u32::try_from(first).unwrap_or(u32::MAX)),
        length,
        visits: visits
            .iter()
            .map(|visit| milliseconds(visit.took))
            .collect(),
        cpu,
    })
}

/// Announcement and certificate in clear text, then a TLS session, each on a connection of its
/// own; from the start again until all of it has worked.
async fn visit(device: &Device, number: usize) -> Visit {
    let source = address(number);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let started = Instant::now();
        let attempt = async {
            let until = || Instant::now() + CALL_TIMEOUT;
            device.fetch_until(source, until()).await?;
            device.fetch_certificate(source, until()).await?;
            device
                .fetch_secure_until(source, Version::Tls12, until())
                .await
        };
        if attempt.await.is_ok() {
            return Visit {
                attempts,
                took: started.elapsed(),
            };
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// Sends the start of a request or of a hello, and then nothing; comes again when it is cut off.
async fn stall(port: SocketAddr, number: usize) -> Outcome<()> {
    loop {
        // From addresses that no device has.
        let source = address(HOSTILE_ADDRESSES + number);
        if let Ok(mut stream) = connect_from(source, port, soon()).await {
            // Both a slow request head and the start of a TLS record.
            let start: &[u8] = if number.is_multiple_of(2) {
                b"GET /swordfish/lock"
            } else {
                &[22, 3, 1, 0, 200, 1, 0]
            };
            let _ = stream.write_all(start).await;
            let _ = stream.read(&mut [0; 64]).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Shares of the night at which devices return: the same in each run, without a pattern.
#[derive(Default)]
struct Arrivals(u64);

impl Iterator for Arrivals {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        // Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(f64::from(u32::try_from(self.0 >> 32).unwrap_or_default()) / f64::from(u32::MAX))
    }
}

/// A device's timeout for each connection, and its pause before it tries again.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

const HOSTILE_ADDRESSES: usize = 500_000;
