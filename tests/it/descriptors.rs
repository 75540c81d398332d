//! How the daemon lives with few descriptors.

use std::io::{Read, Write};

use crate::harness::{Daemon, Host, connect, get, program, run, with_descriptors};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

#[test]
fn where_it_could_not_work_it_does_not_start() {
    let installation = Host::installation("");
    for limit in [24, 32, 40, 59] {
        let refused = run(&mut with_descriptors(&installation, limit));
        assert_eq!(refused.code, Some(1));
        let said = format!(
            "error: the process may open {limit} files and sockets; engage-host needs at least 60\n  \
             hint: raise the limit with `LimitNOFILE=` in the unit"
        );
        assert!(
            refused.stderr_text().starts_with(&said),
            "{}",
            refused.stderr_text()
        );
    }
}

/// Devices take what is theirs, and nothing of what others need.
#[test]
fn devices_take_no_descriptor_of_the_admin_listener_of_reloads_or_of_the_store() {
    for (limit, connections) in [(60, 8), (64, 12)] {
        let installation = Host::installation("");
        let folder = installation.path("run");
        fs_err::create_dir(&folder).unwrap();
        let mut command = with_descriptors(&installation, limit);
        let mut daemon = Daemon::run(command.env("RUNTIME_DIRECTORY", &folder));
        daemon.wait_for(&format!("at most {connections} connections at a time"));
        let before = get(daemon.http, ANNOUNCEMENT).json("hash");
        for key in ["c3", "5a", "96"] {
            let held: Vec<_> = (0..150).map(|_| connect(daemon.http)).collect();
            let _tls: Vec<_> = (0..50).map(|_| connect(daemon.https)).collect();
            let labels = [("limit", "connections")];
            daemon.wait_for_metric("refusals_total", &labels, 100);
            installation.write("pki/site.key", key.repeat(32));
            let socket = folder.join("reload.sock");
            let reloaded = run(program().args(["reload", "--socket"]).arg(socket));
            assert_eq!(
                reloaded.code,
                Some(0),
                "{limit}: {}",
                reloaded.stderr_text()
            );
            drop(held);
        }
        let host = Host {
            installation,
            daemon,
        };
        assert!((0..1000).any(|_| is_stored(&host)), "{limit}");
        let Host { daemon, .. } = host;
        assert_ne!(get(daemon.http, ANNOUNCEMENT).json("hash"), before);
        daemon.terminate();
        let (code, log) = daemon.finish();
        assert_eq!(code, Some(0), "{log}");
        for trouble in [
            "Too many open files",
            "cannot accept",
            "ERROR",
            "reload refused",
        ] {
            assert!(!log.contains(trouble), "{limit}: {log}");
        }
    }
}

/// Whether an audit is taken; places are given back as the daemon notices, and until then it hangs up.
fn is_stored(host: &Host) -> bool {
    let body = r#"{"asyncEvents":[{"event":"11111111","time":"20051013130309"}]}"#;
    let length = body.len();
    let mut stream = connect(host.daemon.http);
    let mut answer = Vec::new();
    let _ = write!(
        stream,
        "POST /swordfish/lock/audit?sn=0123456789ABCDEF HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let _ = stream.read_to_end(&mut answer);
    answer.starts_with(b"HTTP/1.0 20")
}

#[test]
fn more_connections_than_descriptors_are_lowered_with_a_warning() {
    let installation = Host::installation("");
    installation.set("[limits]", "connections = 1000");
    let mut daemon = Daemon::run(&mut with_descriptors(&installation, 64));
    let line = daemon.wait_for("`[limits] connections = 1000` is lowered to 12");
    assert!(line.contains("WARN"), "{line}");
    assert!(
        line.contains("raise their limit to 1128 with `LimitNOFILE="),
        "{line}"
    );
    let held: Vec<_> = (0..100).map(|_| connect(daemon.http)).collect();
    daemon.wait_for("`[limits] connections = 12` is reached");
    drop(held);
    assert_eq!(daemon.seen("cannot accept").count(), 0);
}
