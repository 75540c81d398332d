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
    let mut loads = Vec::new();
    for subject in Subject::BOTH {
        loads.push(HalfLoad::start(installation, subject, plan).await?);
    }
    for round in 0..plan.half_load_rounds {
        eprintln!(
            "half load: round {} of {}",
            round + 1,
            plan.half_load_rounds
        );
        let devices: Vec<_> = loads.iter().map(|load| load.device.clone()).collect();
        let [first, second] = [round % 2, 1 - round % 2];
        loads[first].round(round, &devices[second], plan).await?;
        loads[second].round(round, &devices[first], plan).await?;
    }
    let [ours, theirs] = &loads[..] else {
        unreachable!("two subjects");
    };
    for case in [Idle::None, Idle::Here, Idle::There] {
        let name = format!(
            "p99 of a fresh HTTPS request at half load{}",
            case.told(plan)
        );
        let row = Row::new(name, "us", &ours.p99[case as usize]);
        report.add(row.against(&theirs.p99[case as usize]));
    }
    let grown = |load: &HalfLoad, from: Idle| {
        ratios(&load.p99[Idle::Here as usize], &load.p99[from as usize])
    };
    let row = Row::new(
        "with idle against without",
        "ratio",
        &grown(ours, Idle::None),
    );
    report.add(
        row.against(&grown(theirs, Idle::None))
            .target(Target::Value(1.10)),
    );
    let name = "with idle against idle at the other";
    let row = Row::new(name, "ratio", &grown(ours, Idle::There));
    report.add(row.against(&grown(theirs, Idle::There)));
    Ok(())
}

/// Where idle sockets are open.
#[derive(Clone, Copy, Debug)]
enum Idle {
    None,
    /// At the server that is asked.
    Here,
    /// At the other: what they cost the kernel and the load generator, but not the server.
    There,
}

impl Idle {
    /// Each comes after each other, and first, as often: what closed connections leave to be done
    /// must not always fall to the same.
    const ORDERS: [[Self; 3]; 6] = [
        [Self::None, Self::Here, Self::There],
        [Self::There, Self::Here, Self::None],
        [Self::Here, Self::There, Self::None],
        [Self::None, Self::There, Self::Here],
        [Self::There, Self::None, Self::Here],
        [Self::Here, Self::None, Self::There],
    ];

    fn told(self, plan: &Plan) -> String {
        match self {
            Self::None => String::new(),
            Self::Here => format!(", {} idle", plan.idle_sockets),
            Self::There => format!(", {} idle at the other", plan.idle_sockets),
        }
    }
}

/// A server at half load.
struct HalfLoad {
    device: Device,
    interval: Duration,
    /// 99th percentiles in microseconds, round by round, for each [`Idle`].
    p99: [Vec<f64>; 3],
    _server: Server,
}

impl HalfLoad {
    async fn start(installation: &Installation, subject: Subject, plan: &Plan) -> Outcome<Self> {
        let server = installation.start(subject)?;
        let device = Device::learn(installation, &server).await?;
        Ok(Self {
            interval: half_capacity(&device, plan.handshakes).await?,
            device,
            p99: Default::default(),
            _server: server,
        })
    }

    /// Each case once.
    async fn round(&mut self, round: usize, other: &Device, plan: &Plan) -> Outcome<()> {
        for case in Idle::ORDERS[round / 2 % Idle::ORDERS.len()] {
            // Opened anew for each round: servers close what is idle for long.
            let idle = match case {
                Idle::None => Vec::new(),
                Idle::Here => stay(&self.device, plan.idle_sockets).await?,
                Idle::There => stay(other, plan.idle_sockets).await?,
            };
            rest().await;
            let p99 = p99(&self.device, self.interval, plan.half_load).await?;
            self.p99[case as usize].push(p99);
            drop(idle);
            rest().await;
        }
        Ok(())
    }
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

async fn p99(device: &Device, interval: Duration, length: Duration) -> Outcome<f64> {
    let device = device.clone();
    let times = load::open(interval, length, move |number| {
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
            let device = Device::learn(installation, &server).await?;
            idle[at].push(megabytes(&server)?);
            let open = stay(&device, plan.memory_plain).await?;
            plain[at].push(growth(&server, idle[at].last(), open.len())?);
            drop((open, server));
            let server = installation.start(subject)?;
            let device = Device::learn(installation, &server).await?;
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

/// Lets both sides finish what opened or closed connections leave to be done.
async fn rest() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

const CALLERS: usize = 16;
