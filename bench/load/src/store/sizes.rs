//! A store of many devices: how it starts, what memory it needs, and how long queries take.

use std::process::{Command, Stdio};
use std::time::Instant;

use engage_store::{
    DeviceId, DeviceQuery, EventFilter, EventKind, EventOrder, EventQuery, PageLimit, SqlOptions,
    StoreReader,
};

use super::Engine;
use super::daemon::{Caller, Installed};
use super::fill::fill;
use crate::process::free_address;
use crate::statistics::{median, milliseconds, range};
use crate::trouble::{Outcome, Trouble, While};

pub(super) async fn measure(
    installed: &Installed,
    engine: &Engine,
    devices: u32,
    events: u32,
) -> Outcome<()> {
    // It makes the tables.
    drop(installed.start(engine).await?);
    fill(engine, devices, events).await?;
    let name = engine.name();
    println!(
        "{name}: {devices} devices, {} events",
        u64::from(devices) * u64::from(events)
    );
    if let Engine::Sqlite(file) = engine {
        println!(
            "{name}: the file has {}",
            mebibytes(fs_err::metadata(file)?.len())
        );
    }
    let daemon = installed.start(engine).await?;
    println!("{name}: ready after {:.0?}", daemon.ready_after);
    println!(
        "{name}: memory at the start {}",
        mebibytes(daemon.peak_memory()?)
    );
    for number in 0..10 {
        let mut caller = Caller::connect(&daemon, number).await?;
        for _ in 0..CALL_INS / 10 {
            caller.deliver().await?;
        }
    }
    println!(
        "{name}: memory after {CALL_INS} call-ins {}",
        mebibytes(daemon.peak_memory()?)
    );
    let options = options(engine)?;
    // Beside the daemon; a reader blocks, which a task must not.
    tokio::task::spawn_blocking(move || queries(name, &options))
        .await
        .doing("reading")??;
    let config = installed.configure(engine, free_address()?)?;
    for args in [
        &["--limit", "100"][..],
        &["--serial", "0000000A"],
        &["audits", DEVICE, "--limit", "100"],
    ] {
        let mut command = Command::new(&installed.engage_host);
        command
            .arg("devices")
            .args(args)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null());
        let started = Instant::now();
        if !command.status()?.success() {
            return Err(Trouble::new(format!("`devices {args:?}` failed")));
        }
        println!(
            "{name}: command `devices {}` {:.0?}",
            args.join(" "),
            started.elapsed()
        );
    }
    Ok(())
}

fn options(engine: &Engine) -> Outcome<SqlOptions> {
    let unused = "unused".into();
    Ok(match engine {
        Engine::Sqlite(file) => SqlOptions::sqlite(file.clone()),
        Engine::Postgres(_) => SqlOptions {
            url: engine.url().parse().doing("reading the URL")?,
            ..SqlOptions::sqlite(unused)
        },
    })
}

fn queries(name: &str, options: &SqlOptions) -> Outcome<()> {
    let reader = StoreReader::open(options).doing("opening the store")?;
    let limit = PageLimit::clamped(100);
    let page = DeviceQuery {
        limit,
        ..DeviceQuery::default()
    };
    let devices = |what: &str, query: DeviceQuery| {
        time(name, what, || Ok(reader.devices(&query)?.devices.len()))
    };
    devices("first page of the devices", page.clone())?;
    let serial = Some("0000000A".parse().doing("reading a prefix")?);
    devices(
        "devices by serial prefix",
        DeviceQuery {
            serial,
            ..page.clone()
        },
    )?;
    let site = Some("site-42".to_owned());
    devices(
        "devices of a site",
        DeviceQuery {
            site,
            ..page.clone()
        },
    )?;
    let model = Some("NDE80".to_owned());
    devices(
        "devices of a model",
        DeviceQuery {
            model,
            ..page.clone()
        },
    )?;
    let early = jiff::Timestamp::from_microsecond(1_763_000_010_000_000).ok();
    devices(
        "devices not seen since, few",
        DeviceQuery {
            not_seen_since: early,
            ..page
        },
    )?;
    let device: DeviceId = DEVICE.parse().doing("reading a serial number")?;
    let filter = EventFilter {
        kind: Some(EventKind::Audits),
        ..EventFilter::default()
    };
    let newest = EventQuery {
        filter,
        order: EventOrder::NewestFirst,
        limit,
        after: None,
    };
    let events = |what: &str, filter: EventFilter| {
        let query = EventQuery {
            filter,
            ..newest.clone()
        };
        time(name, what, || Ok(reader.events(&query)?.events.len()))
    };
    events(
        "newest audits of a device",
        EventFilter {
            device: Some(device),
            ..filter
        },
    )?;
    events("newest audits of all", filter)?;
    events(
        "newest alerts of all",
        EventFilter {
            kind: Some(EventKind::Alerts),
            ..filter
        },
    )?;
    let mut follower = reader.follow(EventFilter {
        since: Some(jiff::Timestamp::now()),
        ..filter
    });
    time(name, "a look for new events of all", || {
        follower.read(&mut |_| Ok(())).map(|()| 0)
    })
}

/// The first is with a cold cache of the process.
fn time(name: &str, what: &str, mut query: impl FnMut() -> std::io::Result<usize>) -> Outcome<()> {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..=RUNS {
        let started = Instant::now();
        rows = query()?;
        times.push(milliseconds(started.elapsed()));
    }
    let first = times.remove(0);
    let (median, (_, most)) = (median(&times), range(&times));
    println!(
        "{name}: {what} ({rows} rows): first {first:.1} ms, then {median:.1}, at most {most:.1}"
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

/// One in the middle of those that are made.
const DEVICE: &str = "000078B5B307DA50";

const CALL_INS: u32 = 1000;

const RUNS: usize = 20;
