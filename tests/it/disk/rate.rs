//! How many audits are acknowledged in a second, beside how often the disk synchronises at all.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Host, connect, read_answer, request};

const DEVICES: [usize; 4] = [1, 16, 64, 256];
const PERIOD: Duration = Duration::from_secs(5);

#[test]
#[ignore = "a measurement: cargo test --release --test it -- --ignored --nocapture acknowledged_audits"]
fn acknowledged_audits_a_second_beside_the_disks_own_rate() {
    let host = Host::start("");
    let alone = syncs_a_second(&host.installation.path("measured"));
    println!("fdatasync after an append of 256 bytes, one file, nobody else: {alone:.0} a second");
    for devices in DEVICES {
        let rate = audits_a_second(&host, devices);
        println!(
            "{devices} devices at a time: {rate:.0} audits acknowledged a second, {:.1} for each fdatasync",
            rate / alone
        );
        assert!(rate > 0.0);
    }
}

fn syncs_a_second(path: &Path) -> f64 {
    let mut file = fs_err::File::create(path).unwrap();
    let started = Instant::now();
    let mut syncs = 0_u32;
    while started.elapsed() < PERIOD {
        file.write_all(&[b'x'; 256]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / started.elapsed().as_secs_f64()
}

/// Each device on its own connection, one audit a call, each call after the last answer.
fn audits_a_second(host: &Host, devices: usize) -> f64 {
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let (address, started) = (host.daemon.http, Instant::now());
    thread::scope(|scope| {
        for device in 0..devices {
            let (is_over, acknowledged) = (&is_over, &acknowledged);
            scope.spawn(move || {
                let mut stream = connect(address);
                let target = format!("/swordfish/lock/audit?sn={devices:08X}{device:08X}");
                for event in 0_u32.. {
                    let body = format!(
                        r#"{{"asyncEvents":[{{"event":"{event:08X}","time":"20051013130309"}}]}}"#
                    );
                    let call = request("POST", &target, "", body.as_bytes());
                    stream.write_all(&call).unwrap();
                    assert!(matches!(read_answer(&mut stream).status(), 201 | 202));
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        thread::park_timeout(PERIOD);
        is_over.store(true, Ordering::Relaxed);
    });
    let count = acknowledged.load(Ordering::Relaxed);
    f64::from(u32::try_from(count).unwrap()) / started.elapsed().as_secs_f64()
}
