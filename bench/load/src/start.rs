//! From the start of the process to the first correct answer.

use fs_err as fs;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engage_host::Config;
use engage_wire::site::SiteKey;
use tokio::time::Instant;

use crate::accounting::CpuTime;
use crate::device::{Device, Version, address};
use crate::host;
use crate::installation::{Installation, Subject};
use crate::plan::Plan;
use crate::process::Server;
use crate::report::{Report, Row, Target};
use crate::statistics::{each, milliseconds, ratios};
use crate::trouble::{Outcome, Trouble, While};

pub(crate) async fn measure(
    installation: &Installation,
    plan: &Plan,
    report: &mut Report,
) -> Outcome<()> {
    // Answers are learned once, and asked for at each start on other ports.
    let known = {
        let server = installation.start(Subject::EngageHost)?;
        Device::learn(installation, &server).await?
    };
    let mut http = Vec::new();
    let mut https = Vec::new();
    let (mut first, mut tenth) = (Vec::new(), Vec::new());
    for number in 0..plan.starts {
        let (server, took) = until_answered(installation, &known, None, false).await?;
        http.push(milliseconds(took));
        drop(server);
        let (server, took) = until_answered(installation, &known, None, true).await?;
        https.push(milliseconds(took));
        drop(server);
        let costs = handshakes_after_start(installation, &known, number).await?;
        first.push(costs[0]);
        tenth.push(costs[9]);
    }
    report.add(
        Row::new("start to the first answer on HTTP, 1 site", "ms", &http)
            .target(Target::Value(15.0)),
    );
    report.add(
        Row::new("start to the first answer on HTTPS, 1 site", "ms", &https)
            .target(Target::Value(110.0)),
    );
    report.add(Row::new(
        "first handshake after the start",
        "us CPU",
        &first,
    ));
    report.add(Row::new(
        "tenth handshake after the start",
        "us CPU",
        &tenth,
    ));
    let row = Row::new(
        "the former against the latter",
        "ratio",
        &ratios(&first, &tenth),
    );
    report.add(row.target(Target::Value(1.0)));
    let config = many_sites(installation, plan.sites)?;
    let mut large = Vec::new();
    for _ in 0..plan.large_starts {
        let (_, took) = until_answered(installation, &known, Some(&config), false).await?;
        large.push(milliseconds(took));
    }
    let name = format!("start to the first answer on HTTP, {} sites", plan.sites);
    report.add(Row::new(name, "ms", &large).target(Target::Value(2_000.0)));
    Ok(())
}

/// Starts the daemon and asks until it answers.
async fn until_answered(
    installation: &Installation,
    known: &Device,
    config: Option<&Path>,
    secure: bool,
) -> Outcome<(Server, Duration)> {
    let own = installation.work.join("config.toml");
    let started = Instant::now();
    let server = host::spawn(installation, config.unwrap_or(&own))?;
    let device = known.at(&server);
    loop {
        let answered = if secure {
            device.fetch_secure(address(0), Version::Tls12).await
        } else {
            device.fetch(address(0)).await
        };
        match answered {
            Ok(()) => return Ok((server, started.elapsed())),
            Err(trouble) if started.elapsed() > Duration::from_mins(1) => return Err(trouble),
            Err(_) => tokio::time::sleep(Duration::from_micros(200)).await,
        }
    }
}

/// CPU time of the first ten handshakes, in microseconds.
async fn handshakes_after_start(
    installation: &Installation,
    known: &Device,
    number: usize,
) -> Outcome<Vec<f64>> {
    let (server, _) = until_answered(installation, known, None, false).await?;
    let (device, processes) = (known.at(&server), server.processes());
    let mut costs = Vec::new();
    for at in 0..10 {
        // The same before each: the first answer may be there before the start is all over, and
        // after a pause a processor's caches are as cold for the tenth as for the first.
        tokio::time::sleep(START_INTERVAL).await;
        let before = CpuTime::read(&processes)?;
        device
            .fetch_secure(address(number * 10 + at), Version::Tls12)
            .await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        costs.push(each(CpuTime::read(&processes)?.since(&before), 1));
    }
    Ok(costs)
}

/// A configuration of `count` sites, each with a key of its own; the default site is the
/// installation's.
fn many_sites(installation: &Installation, count: usize) -> Outcome<PathBuf> {
    let work = &installation.work;
    let small = work.join("config.toml");
    let mut text = fs::read_to_string(&small)?;
    let certificate = Config::load(&small)
        .doing("reading the configuration")?
        .sites[0]
        .certificate
        .clone();
    fs::create_dir_all(work.join("pki/sites"))?;
    for number in 1..count {
        let mut key = [7; SiteKey::BYTES];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let file = work.join(format!("pki/sites/{number}.key"));
        write_private(&file, &key)?;
        write!(
            text,
            "\n[[site]]\nname = \"Site {number}\"\nkey_file = \"{}\"\ncertificate = \"{}\"\nhosts = [\"site-{number}.example\"]\n",
            file.display(),
            certificate.display()
        )
        .map_err(|_| Trouble::new("writing the configuration"))?;
    }
    let config = work.join("many-sites.toml");
    fs::write(&config, text)?;
    Ok(config)
}

fn write_private(path: &Path, contents: &[u8]) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;

    fs::write(path, contents)?;
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

const START_INTERVAL: Duration = Duration::from_millis(150);
