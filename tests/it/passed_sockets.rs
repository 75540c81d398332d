//! Sockets that a service manager passes, and those that are something else than configured.

use std::net::TcpListener;
use std::process::Command;

use rustls::pki_types::ServerName;

use crate::harness::{
    Daemon, Installation, get, get_over, program, run, standard, tls_connect_as, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// `serve` with sockets, each a kind, an address and a port, handed over by a few lines of Python as
/// systemd does.
fn activated(
    installation: &Installation,
    sockets: &[(&str, &str, u16)],
    names: &str,
) -> Option<Command> {
    const HAND_OVER: &str = "
import json, os, socket, sys
passed = []
for kind, host, port in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, kind == 'only IPv6')
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    if kind not in ('udp', 'bound'):
        made.listen()
    passed.append(made)
    os.dup2(made.fileno(), 19 + len(passed))
for number in range(len(passed)):
    os.dup2(20 + number, 3 + number)
    os.set_inheritable(3 + number, True)
os.environ.update(LISTEN_FDS=str(len(passed)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
";
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "python3 is needed");
        println!("skipped: python3 is not installed");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .args([
            "-c",
            HAND_OVER,
            &serde_json::to_string(sockets).unwrap(),
            names,
        ])
        .arg(program().get_program())
        .args(["serve", "--config"])
        .arg(installation.path("config.toml"))
        .env_remove("RUST_LOG");
    Some(command)
}

/// Addresses that cannot be bound: only what is passed can work.
fn unbindable() -> Installation {
    let installation = Installation::new(standard());
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"192.0.2.1:80\"");
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"192.0.2.1:443\"");
    installation
}

fn assert_served(daemon: &Daemon) {
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    let config = trusting(&standard().root.der);
    // The certificate does not name each address of this computer.
    let name = ServerName::try_from("localhost").unwrap();
    let session = tls_connect_as(daemon.https, name, &config);
    assert_eq!(get_over(session, ANNOUNCEMENT).status(), 200);
}

const HERE: (&str, &str, u16) = ("listening", "127.0.0.1", 0);

#[test]
fn they_are_taken_in_their_order_with_a_warning_that_they_listen_elsewhere() {
    let installation = unbindable();
    let Some(mut command) = activated(
        &installation,
        &[HERE, HERE],
        "engage-host.socket:engage-host.socket",
    ) else {
        return;
    };
    let mut daemon = Daemon::run(&mut command);
    assert_served(&daemon);
    for (name, found, configured) in [
        ("http", daemon.http, "192.0.2.1:80"),
        ("https", daemon.https, "192.0.2.1:443"),
    ] {
        let line = daemon.wait_for(&format!(
            "the {name} socket that the service manager passes"
        ));
        assert!(line.contains("WARN"), "{line}");
        let both = format!("listens on {found}, and not on {configured} as configured; hint: ");
        assert!(line.contains(&both), "{line}");
    }
}

#[test]
fn addresses_on_the_command_line_are_not_passed_over_silently() {
    let installation = Installation::new(standard());
    let Some(mut command) = activated(&installation, &[HERE, HERE], "") else {
        return;
    };
    let mut daemon = Daemon::run(command.args(["--https", "192.0.2.1:443"]));
    assert_served(&daemon);
    let line = daemon.wait_for("the https socket that the service manager passes listens on");
    assert!(
        line.contains("and not on 192.0.2.1:443 as configured"),
        "{line}"
    );
    assert_eq!(daemon.seen("that the service manager passes").count(), 1);
}

#[test]
fn they_are_taken_by_their_names_whatever_their_order() {
    for names in ["https:admin:http", "admin:http:https", "http:https:admin"] {
        let installation = unbindable();
        installation.edit(
            "[admin]\nlisten = \"\"",
            "[admin]\nlisten = \"192.0.2.1:9480\"\ninsecure = true",
        );
        let sockets = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|host| ("listening", host, 0));
        let Some(mut command) = activated(&installation, &sockets, names) else {
            return;
        };
        let mut daemon = Daemon::run(&mut command);
        assert_served(&daemon);
        let admin = daemon.admin();
        assert_eq!(get(admin, "/healthz").status(), 200);
        let mut by_host = [
            (daemon.http.ip(), "http"),
            (daemon.https.ip(), "https"),
            (admin.ip(), "admin"),
        ];
        by_host.sort_unstable();
        assert_eq!(by_host.map(|(_, name)| name).join(":"), names);
    }
}

#[test]
fn one_that_takes_what_is_configured_is_no_warning_and_one_without_ipv4_is() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this computer has no IPv6");
        return;
    }
    let installation = Installation::new(standard());
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"");
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"[::]:0\"");
    let sockets = [("listening", "::", 0), ("only IPv6", "::", 0)];
    let Some(mut command) = activated(&installation, &sockets, "") else {
        return;
    };
    let mut daemon = Daemon::run(&mut command);
    daemon.wait_for(
        "the https socket that the service manager passes takes no IPv4; hint: `BindIPv6Only=both`",
    );
    assert_eq!(daemon.seen("that the service manager passes").count(), 1);
}

#[test]
fn what_no_listener_can_be_served_on_keeps_it_from_starting() {
    let two_ports = || {
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        free.map(|it| it.local_addr().unwrap().port())
    };
    let [http, https] = two_ports();
    let swapped = [
        ("listening", "127.0.0.1", https),
        ("listening", "127.0.0.1", http),
    ];
    let wrong_port = format!(
        "the http socket that the service manager passes listens on 127.0.0.1:{https}, the port of `[https] listen`; \
         `[http] listen` is 127.0.0.1:{http}"
    );
    for (sockets, names, said) in [
        (&swapped[..], "", &*wrong_port),
        (
            &[HERE; 3],
            "",
            "passes 3 sockets without names; at most 2 are taken",
        ),
        (
            &[HERE; 2],
            "http:htps",
            "socket 2 of those that the service manager passes is named `htps`; allowed: http, https and admin",
        ),
        (
            &[HERE; 2],
            "http:http",
            "is named `http`; allowed: http, https and admin, once each",
        ),
        (
            &[HERE; 3],
            "http:https:admin",
            "an admin socket is passed by the service manager, and `[admin] listen` is \"\"",
        ),
        (
            &[HERE, ("udp", "127.0.0.1", 0)],
            "",
            "the https socket that the service manager passes is not a TCP socket that listens",
        ),
        (
            &[("bound", "127.0.0.1", 0), HERE],
            "",
            "the http socket that the service manager passes is not a TCP socket that listens: it does not listen",
        ),
    ] {
        let installation = Installation::new(standard());
        installation.edit(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"127.0.0.1:{http}\""),
        );
        installation.edit(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"127.0.0.1:{https}\""),
        );
        let Some(mut command) = activated(&installation, sockets, names) else {
            return;
        };
        let refused = run(&mut command);
        assert_eq!(refused.code, Some(1), "{said}");
        let errors = refused.errors();
        assert!(errors.contains(said), "{errors}");
        assert!(errors.contains("\n  hint: "), "{errors}");
    }
}
