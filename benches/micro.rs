//! Micro-benchmarks: what a request and a publication cost without sockets.
//!
//! `cargo bench --profile dist --bench micro`; docs/PERFORMANCE.md tells what they are for.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark whose preparation fails has nothing to say"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, StatusCode};
use http_body_util::Full;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use engage_host::Config;
use engage_host::{App, DeviceService, device_service};
use engage_host::{Connection, ListenerKind};
use engage_host::{CurrentPublication, Publication, start_access_log_nowhere, validate};
use engage_wire::clock;
use engage_wire::paths::ANNOUNCEMENT;
use engage_wire::pki::{ServerChain, load_certificate_chain, load_certificate_der};
use engage_wire::site::SiteKey;

criterion_group!(micro, routes, chain, publication, access_log);
criterion_main!(micro);

const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";

/// Both certificate routes, from the request to its answer.
fn routes(criterion: &mut Criterion) {
    let runtime = runtime();
    let service = service_of(&installation());
    for (name, path) in [("announcement", ANNOUNCEMENT), ("certificate", CERTIFICATE)] {
        criterion.bench_function(&format!("route/{name}"), |bencher| {
            bencher.iter(|| black_box(answer(&runtime, &service, path)));
        });
    }
}

/// Parsing and verifying a chain of two certificates as a device does.
fn chain(criterion: &mut Criterion) {
    let folder = installation();
    let config = config(folder.path());
    let certificates = load_certificate_chain("chain", &config.https.certificate).unwrap();
    let anchor = load_certificate_der("root", &config.sites[0].certificate).unwrap();
    criterion.bench_function("chain verification", |bencher| {
        bencher.iter(|| {
            let chain = ServerChain::parse(certificates.clone()).unwrap();
            black_box(chain.device_path(&anchor, None).unwrap())
        });
    });
}

/// 10,000 sites with a key each, from their files to what is served.
fn publication(criterion: &mut Criterion) {
    let folder = installation();
    add_sites(folder.path(), 10_000);
    let mut group = criterion.benchmark_group("10,000 sites");
    group.sample_size(10);
    group.bench_function("configuration", |bencher| {
        bencher.iter(|| black_box(config(folder.path())));
    });
    let config = config(folder.path());
    group.bench_function("publication", |bencher| {
        bencher.iter(|| black_box(publish(&config)));
    });
    group.finish();
}

/// The announcement again, with its line of the access log: the difference is the cost of the line
/// without its write. Comes after all that is measured without, because the log cannot be stopped.
fn access_log(criterion: &mut Criterion) {
    let runtime = runtime();
    let service = service_of(&installation());
    start_access_log_nowhere().unwrap();
    criterion.bench_function("route/announcement, logged", |bencher| {
        bencher.iter(|| black_box(answer(&runtime, &service, ANNOUNCEMENT)));
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// A chain, a site key and a configuration, made by the program itself.
fn installation() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_engage-host"))
        .args(["init", "--host", "127.0.0.1", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

fn config(folder: &Path) -> Config {
    Config::load(&folder.join("config.toml")).unwrap()
}

fn publish(config: &Config) -> Publication {
    let base_url = config.base_url_at(config.http.listen);
    validate(config, &base_url, clock::now(), None, None)
        .outcome
        .unwrap()
}

fn service_of(folder: &TempDir) -> DeviceService {
    let published = CurrentPublication::new(publish(&config(folder.path())));
    device_service(&Arc::new(App::new(published, None)))
}

fn answer(runtime: &Runtime, service: &DeviceService, path: &str) -> StatusCode {
    let mut request = Request::get(path)
        .header("Host", "127.0.0.1")
        .body(Full::<Bytes>::default())
        .unwrap();
    let peer = (Ipv4Addr::LOCALHOST, 40_000).into();
    let connection = Connection::unguarded(ListenerKind::Https, peer);
    request.extensions_mut().insert(Arc::new(connection));
    let Ok(response) = runtime.block_on(service.clone().oneshot(request));
    assert_eq!(response.status(), StatusCode::OK);
    response.status()
}

fn add_sites(folder: &Path, count: usize) {
    let mut text = fs_err::read_to_string(folder.join("config.toml")).unwrap();
    fs_err::create_dir_all(folder.join("pki/sites")).unwrap();
    for number in 1..count {
        let mut key = [7; SiteKey::BYTES];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let file = format!("pki/sites/{number}.key");
        fs_err::write(folder.join(&file), key).unwrap();
        write!(
            text,
            "\n[[site]]\nname = \"Site {number}\"\nkey_file = \"{file}\"\n\
             certificate = \"static/Device_Certificates/partner_CA.der\"\n\
             hosts = [\"site-{number}.example\"]\n"
        )
        .unwrap();
    }
    fs_err::write(folder.join("config.toml"), text).unwrap();
}
