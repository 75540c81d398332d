//! New certificates and configuration while the daemon runs.

mod broken;
mod load;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{
    Chain, Daemon, Installation, Key, Response, connect, get, read_answer, standard, tls_connect,
    tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const ANCHOR: &str = "static/Device_Certificates/partner_CA.der";
const RELOADED: &str = "reloaded: new connections get the new state";

/// A chain of other names and another server key, under another root.
fn another() -> Chain {
    Chain::issue(|[server, _, root]| {
        server.key = Key::Foreign;
        root.subject = "/O=Partner/CN=Partner CA of another year".into();
    })
}

/// The files of an installation with this chain: name below its folder, contents.
fn files(chain: &Chain) -> [(&'static str, Vec<u8>); 3] {
    [
        ("pki/partner_server.pem", chain.pem().into_bytes()),
        (
            "pki/partner_server.key",
            chain.server.key.pem().into_bytes(),
        ),
        (ANCHOR, chain.root.der.clone()),
    ]
}

fn rewrite(installation: &Installation, chain: &Chain) {
    for (name, contents) in files(chain) {
        installation.write(name, contents);
    }
}

fn rename_over(installation: &Installation, chain: &Chain) {
    for (name, contents) in files(chain) {
        let fresh = format!("{name}.fresh");
        installation.write(&fresh, contents);
        fs_err::rename(installation.path(&fresh), installation.path(name)).unwrap();
    }
}

/// Hash and certificate are those of `chain`, on both ports, and so is the server's certificate.
fn assert_in_force(daemon: &Daemon, installation: &Installation, chain: &Chain) {
    let announced = get(daemon.http, ANNOUNCEMENT);
    let checked = installation.check_json();
    assert_eq!(announced.json("hash"), checked["sites"][0]["hash"]);
    assert_eq!(get(daemon.http, &format!("/{ANCHOR}")).body, chain.root.der);
    let config = trusting(&chain.root.der);
    let over_tls = tls_get(daemon.https, &config, ANNOUNCEMENT);
    assert_eq!(over_tls.body, announced.body);
    let mut session = tls_connect(daemon.https, &config);
    session.flush().unwrap();
    let leaf = &session.conn.peer_certificates().unwrap()[0];
    assert_eq!(leaf.as_ref(), chain.server.der);
}

/// Another request on a session that is open.
fn ask_again(session: &mut (impl Write + std::io::Read)) -> Response {
    write!(session, "GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(session)
}

#[test]
fn sighup_puts_hash_certificate_and_leaf_in_force_as_one() {
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = Daemon::start(&installation);
    let mut plain = connect(daemon.http);
    let mut tls = tls_connect(daemon.https, &trusting(&standard().root.der));
    let old = ask_again(&mut tls);
    assert_eq!(ask_again(&mut plain).body, old.body);
    let new = another();
    rewrite(&installation, &new);
    daemon.hang_up();
    daemon.wait_for("reloading: SIGHUP");
    daemon.wait_for(RELOADED);
    assert_in_force(&daemon, &installation, &new);
    // Sessions in flight go on, and hear of the new certificate.
    let announced = get(daemon.http, ANNOUNCEMENT);
    assert_ne!(announced.body, old.body);
    assert_eq!(ask_again(&mut tls).body, announced.body);
    assert_eq!(ask_again(&mut plain).body, announced.body);
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("reloads_total", &[("result", "failure")]), 0);
    assert!(metrics.sum("last_reload_timestamp_seconds", &[]) > 1_700_000_000);
}

#[test]
fn files_written_anew_are_noticed() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    let chain = another();
    rewrite(&installation, &chain);
    daemon.wait_for("reloading: files changed");
    daemon.wait_for(RELOADED);
    assert_in_force(&daemon, &installation, &chain);
}

#[test]
fn files_renamed_over_the_old_ones_are_noticed_each_time() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    let chains = [another(), standard().clone(), another()];
    for (at, chain) in chains.iter().enumerate() {
        rename_over(&installation, chain);
        daemon.wait_for_count(RELOADED, at + 1);
        assert_in_force(&daemon, &installation, chain);
    }
}

#[test]
fn a_kubernetes_secret_that_is_swapped_is_noticed_each_time() {
    let installation = Installation::new(standard());
    installation.edit("pki/partner_server.pem", "secret/partner_server.pem");
    installation.edit("pki/partner_server.key", "secret/partner_server.key");
    let chains = [standard().clone(), another(), standard().clone()];
    installation.remove(ANCHOR);
    swap_secret(&installation, 0, &chains[0]);
    for (name, _) in files(standard()) {
        let name = Path::new(name).file_name().unwrap();
        let link = installation.path(folder_of(name)).join(name);
        let _ = fs_err::remove_file(&link);
        link_to(Path::new("..data").join(name), &link);
    }
    let mut daemon = Daemon::start(&installation);
    for (at, chain) in chains.iter().enumerate().skip(1) {
        swap_secret(&installation, at, chain);
        daemon.wait_for_count(RELOADED, at);
        assert_in_force(&daemon, &installation, chain);
    }
}

/// Where a secret's file is mounted: the certificate that devices fetch below the static folder.
fn folder_of(name: &OsStr) -> &'static str {
    match name.to_str() {
        Some("partner_CA.der") => "static/Device_Certificates",
        _ => "secret",
    }
}

/// Writes new folders beside the old ones and points `..data` to them, as the kubelet does.
fn swap_secret(installation: &Installation, at: usize, chain: &Chain) {
    for (name, contents) in files(chain) {
        let name = Path::new(name).file_name().unwrap();
        let file = Path::new(folder_of(name))
            .join(format!("..{at}"))
            .join(name);
        installation.write(file.to_str().unwrap(), contents);
    }
    for folder in ["secret", "static/Device_Certificates"].map(|it| installation.path(it)) {
        link_to(format!("..{at}").into(), &folder.join("..data_tmp"));
        fs_err::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if at > 0 {
            fs_err::remove_dir_all(folder.join(format!("..{}", at - 1))).unwrap();
        }
    }
}

fn link_to(target: std::path::PathBuf, link: &Path) {
    fs_err::os::unix::fs::symlink(target, link).unwrap();
}

#[test]
fn a_pair_written_with_a_pause_in_between_is_never_read_half() {
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = Daemon::start(&installation);
    let chain = another();
    for (name, contents) in files(&chain) {
        installation.write(name, contents);
        // Well below the half second for which files must rest: this is the writer's pause.
        sleep(Duration::from_millis(150));
    }
    daemon.wait_for(RELOADED);
    assert_eq!(daemon.seen("reload refused").count(), 0);
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("reloads_total", &[("result", "failure")]), 0);
    assert_in_force(&daemon, &installation, &chain);
}

#[test]
fn sighup_right_after_the_start_reloads_instead_of_ending_the_daemon() {
    let installation = Installation::new(standard());
    for _ in 0..10 {
        let mut daemon = Daemon::start(&installation);
        daemon.hang_up();
        daemon.wait_for(RELOADED);
        daemon.terminate();
        assert_eq!(daemon.finish().0, Some(0));
    }
}

#[test]
fn what_a_reload_cannot_change_is_reported_and_the_listeners_stay() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    installation.edit("127.0.0.1:0", "127.0.0.1:8080");
    installation.edit("127.0.0.1:0", "127.0.0.1:8443");
    installation.edit(
        "[admin]\nlisten = \"\"",
        "[admin]\nlisten = \"127.0.0.1:9481\"",
    );
    installation.set("[limits]", "drain_seconds = 5");
    installation.set("[access]", "allow = [\"10.0.0.0/8\"]");
    installation.set("[log]", "level = \"debug\"");
    installation.set("[otlp]", "endpoint = \"http://127.0.0.1:9/v1/traces\"");
    daemon.hang_up();
    daemon.wait_for(RELOADED);
    for key in [
        "[http] listen",
        "[https] listen",
        "[admin]",
        "[limits]",
        "[access]",
        "[log]",
        "[otlp]",
    ] {
        let line = daemon.wait_for(&format!(
            "`{key}` has changed; restart the daemon to use it"
        ));
        assert!(line.contains("WARN"), "{line}");
    }
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    let config = trusting(&standard().root.der);
    assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
}

#[test]
fn a_changed_configuration_is_served_and_its_new_files_are_watched() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    installation.write("elsewhere/site.key", [7; 32]);
    let before = get(daemon.http, ANNOUNCEMENT).json("hash");
    installation.edit("pki/site.key", "elsewhere/site.key");
    daemon.wait_for(RELOADED);
    let between = get(daemon.http, ANNOUNCEMENT).json("hash");
    assert_ne!(before, between);
    installation.write("elsewhere/site.key", [8; 32]);
    daemon.wait_for_count(RELOADED, 2);
    assert_ne!(between, get(daemon.http, ANNOUNCEMENT).json("hash"));
}

#[test]
fn a_folder_renamed_away_and_back_is_noticed_each_time_without_polling() {
    let installation = Installation::new(standard());
    let mut daemon = Daemon::start(&installation);
    let (pki, away) = (installation.path("pki"), installation.path("pki.away"));
    let started = Instant::now();
    for at in 1..=2 {
        fs_err::rename(&pki, &away).unwrap();
        daemon.wait_for_count("failed to read site key", at);
        fs_err::rename(&away, &pki).unwrap();
        daemon.wait_for_count(RELOADED, at);
    }
    // So quickly that nobody sees it gone; but it may have taken its watch along.
    fs_err::rename(&pki, &away).unwrap();
    fs_err::rename(&away, &pki).unwrap();
    let chain = another();
    rewrite(&installation, &chain);
    daemon.wait_for_count(RELOADED, 3);
    // By polling alone, each of the five would take up to 15 s.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_in_force(&daemon, &installation, &chain);
}
