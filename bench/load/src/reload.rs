//! Reloads under load: the longest stall of any request.

use fs_err as fs;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::device::{Device, address};
use crate::host;
use crate::installation::{Installation, Subject};
use crate::load;
use crate::plan::Plan;
use crate::process::Server;
use crate::report::{Report, Row, Target};
use crate::statistics::{milliseconds, quantile};
use crate::trouble::{Outcome, Trouble, While};

/// When a request was sent, and how long it took.
type Timed = (Instant, Duration);

pub(crate) async fn measure(
    installation: &Installation,
    plan: &Plan,
    report: &mut Report,
) -> Outcome<()> {
    let server = installation.start(Subject::EngageHost)?;
    let device = Device::learn(installation, &server).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        callers.spawn(call(device.clone(), number, Arc::clone(&over)));
    }
    let mut reloads = Vec::new();
    for _ in 0..plan.reloads {
        tokio::time::sleep(RELOAD_INTERVAL).await;
        reloads.push(reload(installation, &server).await?);
    }
    tokio::time::sleep(RELOAD_INTERVAL).await;
    over.store(true, Ordering::Relaxed);
    let times: Vec<_> = load::all(callers).await?.into_iter().flatten().collect();
    let (mut during, mut stalls) = (Vec::new(), Vec::new());
    for (from, to) in reloads {
        during.push(milliseconds(to - from));
        let window = to - from + WINDOW_MARGIN;
        let worst = |from: Instant| worst_within(&times, from, from + window);
        // The same length of time before and after: what the machine does without a reload.
        let neighbours = worst(from - 2 * window).max(worst(to + window));
        stalls.push((worst(from) - neighbours).max(0.0));
    }
    report.add(Row::new("duration of a reload under load", "ms", &during));
    report.add(
        Row::new(
            "longest stall during a reload, over its neighbours",
            "ms",
            &stalls,
        )
        .target(Target::Value(5.0)),
    );
    let all: Vec<_> = times.iter().map(|(_, took)| milliseconds(*took)).collect();
    report.add(Row::new(
        "requests beside reloads, p50",
        "ms",
        &[quantile(&all, 0.5)],
    ));
    report.add(Row::new(
        "requests beside reloads, longest of all",
        "ms",
        &[quantile(&all, 1.0)],
    ));
    Ok(())
}

/// Asks every millisecond on one connection.
async fn call(device: Device, number: usize, over: Arc<AtomicBool>) -> Outcome<Vec<Timed>> {
    let mut stream = device.stay(address(number)).await?;
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let sent = Instant::now();
        device.ask_again(&mut stream).await?;
        times.push((sent, sent.elapsed()));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(times)
}

/// Reloads once and waits for the log to say that it is done.
async fn reload(installation: &Installation, server: &Server) -> Outcome<(Instant, Instant)> {
    let log = installation.work.join(host::LOG);
    // Only what is new is read: the log has a line for each request.
    let mut file = fs::File::open(&log).doing("opening the daemon's log")?;
    file.seek(SeekFrom::End(0))?;
    let mut lines = String::new();
    let started = Instant::now();
    server.signal(Signal::HUP)?;
    let deadline = started + Duration::from_secs(10);
    loop {
        file.read_to_string(&mut lines)?;
        if lines.contains(" reloaded: ") {
            return Ok((started, Instant::now()));
        }
        if Instant::now() > deadline {
            return Err(Trouble::new("the daemon does not reload"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The longest time of a request that was under way between two moments, in milliseconds.
fn worst_within(times: &[Timed], from: Instant, to: Instant) -> f64 {
    times
        .iter()
        .filter(|(sent, took)| *sent < to && *sent + *took > from)
        .map(|(_, took)| milliseconds(*took))
        .fold(0.0, f64::max)
}

const CALLERS: usize = 8;
const RELOAD_INTERVAL: Duration = Duration::from_millis(300);
const WINDOW_MARGIN: Duration = Duration::from_millis(20);
