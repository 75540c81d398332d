//! Acknowledged batches a second beside the disk's own rate, and certificates beside them.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Engine;
use super::daemon::{Caller, Daemon, Installed};
use super::disk::fdatasync_rate;
use crate::statistics::{median, milliseconds, quantile, range, ratios};
use crate::trouble::{Outcome, While};

pub(super) async fn measure(
    installed: &Installed,
    engines: &[Engine],
    rounds: usize,
) -> Outcome<()> {
    let mut daemons = Vec::new();
    for engine in engines {
        daemons.push(installed.start(engine).await?);
    }
    let mut disk = Vec::new();
    let mut rates = vec![Vec::new(); daemons.len() * CALLERS.len()];
    // In turn, so that each meets the same disk; the first round warms up.
    for round in 0..=rounds {
        let rate = fdatasync_rate(&installed.work, ROUND)?;
        let mut batches = Vec::new();
        for daemon in &daemons {
            for callers in CALLERS {
                batches.push(deliver(daemon, callers).await?);
            }
        }
        eprintln!("round {round}: fdatasync {rate:.0}, batches {batches:.0?}");
        if round > 0 {
            disk.push(rate);
            for (rates, rate) in rates.iter_mut().zip(batches) {
                rates.push(rate);
            }
        }
    }
    println!(
        "{:<52} {:>10} {:>16}  to fdatasync",
        "a second, median", "", "range"
    );
    print("fdatasync of 4 KiB", &disk, &disk);
    let mut rates = rates.iter();
    for engine in engines {
        for (callers, rates) in CALLERS.into_iter().zip(&mut rates) {
            let name = format!("{}, {callers} devices: batches", engine.name());
            print(&name, rates, &disk);
        }
    }
    for (engine, daemon) in engines.iter().zip(&daemons) {
        certificates(engine, daemon).await?;
    }
    Ok(())
}

fn print(name: &str, rates: &[f64], disk: &[f64]) {
    let ((least, most), ratio) = (range(rates), median(&ratios(rates, disk)));
    let range = format!("{least:.0} to {most:.0}");
    println!("{name:<52} {:>10.0} {range:>16}  {ratio:.2}", median(rates));
}

/// Batches a second that are acknowledged to so many devices, each of which waits for its own.
async fn deliver(daemon: &Daemon, callers: u32) -> Outcome<f64> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let mut caller = Caller::connect(daemon, number).await?;
        tasks.spawn(async move {
            let mut batches = 0_u32;
            while started.elapsed() < ROUND {
                caller.deliver().await?;
                batches += 1;
            }
            Outcome::Ok(batches)
        });
    }
    let mut batches = 0;
    while let Some(delivered) = tasks.join_next().await {
        batches += delivered.doing("delivering")??;
    }
    Ok(f64::from(batches) / started.elapsed().as_secs_f64())
}

/// A certificate request's time on a connection of its own, alone and while the store is written
/// without a pause.
async fn certificates(engine: &Engine, daemon: &Daemon) -> Outcome<()> {
    for callers in [0, 8, 64] {
        let mut tasks = JoinSet::new();
        for number in 0..callers {
            let mut caller = Caller::connect(daemon, number).await?;
            tasks.spawn(async move { while caller.deliver().await.is_ok() {} });
        }
        let mut times = Vec::new();
        for _ in 0..FETCHES {
            times.push(milliseconds(daemon.fetch().await?));
            sleep(Duration::from_millis(2)).await;
        }
        tasks.abort_all();
        let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
        let name = format!("{}, {callers} devices deliver: announcement", engine.name());
        println!("{name:<52} p50 {p50:.2} ms, p99 {p99:.2} ms");
    }
    Ok(())
}

const CALLERS: [u32; 2] = [1, 64];

const ROUND: Duration = Duration::from_secs(3);

const FETCHES: usize = 2000;
