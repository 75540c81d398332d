//! Memory, and what idle connections cost those that are not.

use std::time::Duration;

use tokio::time::Instant;

use crate::accounting::memory;
use crate::device::{Device, Version, address};
use crate::installation::{Installation, Subject};
use crate::load;
use crate::plan::Plan;
use crate::process::Server;
use crate::report::{Report, Row, Target};
use crate::statistics::{microseconds, quantile, ratios};
use crate::trouble::Outcome;

pub(crate) async fn measure(
    installation: &Installation,
    plan: &Plan,
    report: &mut Report,
) -> Outcome<()> {
    measure_memory(installation, plan, report).await?;
    let mut with_idle = Vec::new();
    for subject in Subject::BOTH {
        with_idle.push(half_load(installation, subject, plan).await?);
    }
    let name = format!(
        "p99 of a fresh HTTPS request at half load, {} idle",
        plan.idle_sockets
    );
    let [ours, theirs] = &with_idle[..] else {
        unreachable!("two subjects");
    };
    report.add(
        Row::new(
            "p99 of a fresh HTTPS request at half load",
            "us",
            &ours.without,
        )
        .against(&theirs.without),
    );
    report.add(Row::new(name, "us", &ours.with).against(&theirs.with));
    report.add(
        Row::new(
            "the latter against the former",
            "ratio",
            &ratios(&ours.with, &ours.without),
        )
        .against(&ratios(&theirs.with, &theirs.without))
        .target(Target::Value(1.10)),
    );
    Ok(())
}

/// 99th percentiles in microseconds, round by round.
#[derive(Default)]
struct HalfLoad {
    without: Vec<f64>,
    with: Vec<f64>,
}

async fn half_load(
    installation: &Installation,
    subject: Subject,
    plan: &Plan,
) -> Outcome<HalfLoad> {
    eprintln!("half load: {}", subject.name());
    let server = installation.start(subject)?;
    let device = Device::of(installation, &server).await?;
    let interval = half_capacity(&device, plan.handshakes).await?;
    let mut p99 = HalfLoad::default();
    for _ in 0..plan.half_load_rounds {
        p99.without
            .push(loaded(&device, interval, plan.half_load).await?);
        // Opened anew for each round: servers close what is idle for long.
        let idle = stay(&device, plan.idle_sockets).await?;
        p99.with
            .push(loaded(&device, interval, plan.half_load).await?);
        drop(idle);
        wait_for_closes().await;
    }
    Ok(p99)
}

/// The interval between requests that keeps server and generator half busy.
async fn half_capacity(device: &Device, handshakes: usize) -> Outcome<Duration> {
    let started = Instant::now();
    let caller = device.clone();
    load::closed(CALLERS, handshakes, move |number| {
        let device = caller.clone();
        async move { device.fetch_secure(address(number), Version::Tls12).await }
    })
    .await?;
    let handshakes = u32::try_from(handshakes).unwrap_or(u32::MAX);
    Ok(started.elapsed() / handshakes * 2)
}

async fn loaded(device: &Device, interval: Duration, length: Duration) -> Outcome<f64> {
    let times = load::open(interval, length, |number| {
        let device = device.clone();
        async move { device.fetch_secure(address(number), Version::Tls12).await }
    })
    .await?;
    let times: Vec<_> = times.into_iter().map(microseconds).collect();
    Ok(quantile(&times, 0.99))
}

async fn measure_memory(
    installation: &Installation,
    plan: &Plan,
    report: &mut Report,
) -> Outcome<()> {
    let mut idle = [Vec::new(), Vec::new()];
    let mut plain = [Vec::new(), Vec::new()];
    let mut secure = [Vec::new(), Vec::new()];
    for _ in 0..if plan.quick { 1 } else { 3 } {
        for (at, subject) in Subject::BOTH.into_iter().enumerate() {
            let server = installation.start(subject)?;
            let device = Device::of(installation, &server).await?;
            idle[at].push(megabytes(&server)?);
            let open = stay(&device, plan.memory_plain).await?;
            plain[at].push(growth(&server, idle[at].last(), open.len())?);
            drop((open, server));
            let server = installation.start(subject)?;
            let device = Device::of(installation, &server).await?;
            // The first session brings what all share.
            device.fetch_secure(address(0), Version::Tls12).await?;
            let before = megabytes(&server)?;
            let open = stay_secure(&device, plan.memory_tls).await?;
            secure[at].push(growth(&server, Some(&before), open.len())?);
        }
    }
    let mut add = |name, unit, [ours, theirs]: &[Vec<f64>; 2], target| {
        let row = Row::new(name, unit, ours).against(theirs);
        report.add(row.target(Target::Value(target)));
    };
    add("memory, idle", "MB", &idle, 10.0);
    add("memory of an idle plain connection", "KB", &plain, 12.0);
    add("memory of an idle TLS connection", "KB", &secure, 20.0);
    Ok(())
}

/// Plain connections that have had an answer each.
async fn stay(device: &Device, count: usize) -> Outcome<Vec<tokio::net::TcpStream>> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        open.push(device.stay(address(number)).await?);
    }
    Ok(open)
}

async fn stay_secure(
    device: &Device,
    count: usize,
) -> Outcome<Vec<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        open.push(device.stay_secure(address(number), Version::Tls12).await?);
    }
    Ok(open)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn megabytes(server: &Server) -> Outcome<f64> {
    Ok(memory(&server.processes())? as f64 / 1e6)
}

/// Kilobytes for each of `count` connections.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn growth(server: &Server, before: Option<&f64>, count: usize) -> Outcome<f64> {
    let before = before.copied().unwrap_or_default();
    Ok((megabytes(server)? - before) * 1e3 / count as f64)
}

async fn wait_for_closes() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

const CALLERS: usize = 16;
