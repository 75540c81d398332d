//! CPU time of each kind of request, in rounds A B A B.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::accounting::CpuTime;
use crate::crypto::bare_handshakes;
use crate::device::{Device, Version, address};
use crate::installation::{Installation, Subject};
use crate::load;
use crate::plan::Plan;
use crate::process::Server;
use crate::report::{Report, Row, Target};
use crate::statistics::{each, ratios};
use crate::trouble::Outcome;

/// What is asked, over and over.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Handshake(Version),
    Fresh,
    Kept,
    KeptSecure,
}

pub(crate) async fn measure(
    installation: &Installation,
    plan: &Plan,
    report: &mut Report,
) -> Outcome<()> {
    let key = installation.server_key()?;
    let mut subjects = Vec::new();
    let baseline = installation.baseline.as_ref().map(|_| Subject::Baseline);
    for subject in Subject::BOTH.into_iter().chain(baseline) {
        let server = installation.start(subject)?;
        let device = Device::learn(installation, &server).await?;
        subjects.push((server, device));
    }
    let kinds = [
        (
            Kind::Handshake(Version::Tls12),
            "full TLS 1.2 handshake + request + close",
            0.80,
        ),
        (
            Kind::Handshake(Version::Tls13),
            "full TLS 1.3 handshake + request + close",
            0.75,
        ),
        (Kind::Fresh, "fresh plain connection + request", 1.00),
        (Kind::Kept, "keep-alive request, plain", 1.00),
        (Kind::KeptSecure, "keep-alive request, TLS", 0.75),
    ];
    let mut used: Vec<[Vec<f64>; 3]> = vec![Default::default(); kinds.len()];
    let mut bare = Vec::new();
    // Round 0 warms up and is not counted.
    for round in 0..=plan.rounds {
        eprintln!("requests: round {round} of {}", plan.rounds);
        let bare_used = bare_handshakes(&key, plan.handshakes / 2)?;
        if round > 0 {
            bare.push(each(bare_used, plan.handshakes / 2));
        }
        for (at, (kind, ..)) in kinds.iter().enumerate() {
            for (which, (server, device)) in subjects.iter().enumerate() {
                let cost = cost(*kind, server, device, plan).await?;
                if round > 0 {
                    used[at][which].push(cost);
                }
            }
        }
    }
    for ((_, name, target), [ours, theirs, before]) in kinds.into_iter().zip(&used) {
        let row = Row::new(name, "us CPU", ours).against(theirs).since(before);
        report.add(row.target(Target::Ratio(target)));
    }
    let row = Row::new(
        "bare RSA-2048 sign + X25519 pair and agreement",
        "us CPU",
        &bare,
    );
    report.add(row);
    let share = ratios(&used[0][0], &bare);
    report.add(
        Row::new("full TLS 1.2 against the bare crypto", "ratio", &share)
            .target(Target::Value(1.40)),
    );
    Ok(())
}

/// CPU time of the server for one request, in microseconds.
async fn cost(kind: Kind, server: &Server, device: &Device, plan: &Plan) -> Outcome<f64> {
    let processes = server.processes();
    match kind {
        Kind::Handshake(_) | Kind::Fresh => {
            let count = match kind {
                Kind::Fresh => plan.fresh,
                _ => plan.handshakes,
            };
            let before = CpuTime::read(&processes)?;
            let device = device.clone();
            load::closed(CALLERS, count, move |number| {
                let device = device.clone();
                async move {
                    match kind {
                        Kind::Handshake(version) => {
                            device.fetch_secure(address(number), version).await
                        }
                        _ => device.fetch(address(number)).await,
                    }
                }
            })
            .await?;
            settle().await;
            Ok(each(CpuTime::read(&processes)?.since(&before), count))
        }
        Kind::Kept => {
            let mut streams = Vec::new();
            for number in 0..CALLERS {
                streams.push(device.stay(address(number)).await?);
            }
            kept(streams, &processes, device, plan.kept).await
        }
        Kind::KeptSecure => {
            let mut streams = Vec::new();
            for number in 0..CALLERS {
                streams.push(device.stay_secure(address(number), Version::Tls12).await?);
            }
            kept(streams, &processes, device, plan.kept).await
        }
    }
}

/// The cost of requests on connections that are open already.
async fn kept<S>(streams: Vec<S>, processes: &[u32], device: &Device, count: usize) -> Outcome<f64>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    settle().await;
    let before = CpuTime::read(processes)?;
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        let device = device.clone();
        tasks.spawn(async move {
            for _ in 0..count / CALLERS {
                device.ask_again(&mut stream).await?;
            }
            Ok(stream)
        });
    }
    let streams = load::all(tasks).await?;
    let used = CpuTime::read(processes)?.since(&before);
    drop(streams);
    settle().await;
    Ok(each(used, count))
}

/// Lets the server finish what the last answers leave to be done.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Connections at a time.
const CALLERS: usize = 16;
