//! Sites by Host header.

mod bad;
mod commands;
mod files;
mod judged;
mod load;
mod serials;

use crate::harness::{Daemon, Installation, Response, exchange, standard};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

const TWO_SITES: &str = r#"
[[site]]
name = "Annex"
key_file = "pki/annex.key"
certificate = "static/Device_Certificates/partner_intermediate.der"
hosts = ["annex.example.com", "10.0.0.2", "[::1]"]
"#;

/// "Main Office" with `hosts` of its own or none, and "Annex".
fn two_sites(main_hosts: &str) -> Installation {
    let installation = Installation::new(standard());
    installation.edit("[[site]]", &format!("{TWO_SITES}\n[[site]]\n{main_hosts}"));
    installation.write("pki/annex.key", [b'7'; 64]);
    installation.write(
        "static/Device_Certificates/partner_intermediate.der",
        &standard().intermediate.der,
    );
    installation
}

fn announced(daemon: &Daemon, host_line: &str) -> Response {
    let request = format!("GET {ANNOUNCEMENT} HTTP/1.1\r\n{host_line}Connection: close\r\n\r\n");
    Response::parse(&exchange(daemon.http, request))
}

/// Asks for a reload and waits until it is `said` what became of it.
fn reload(daemon: &mut Daemon, said: &str) {
    let before = daemon.seen(said).count();
    daemon.hang_up();
    daemon.wait_for_count(said, before + 1);
}

#[test]
fn the_host_header_selects_the_site_and_the_default_takes_the_rest() {
    let daemon = Daemon::start(&two_sites(""));
    let main = announced(&daemon, "Host: anything.example.com\r\n");
    assert!(main.json("cert_url").ends_with("/partner_CA.der"));
    for host in [
        "annex.example.com",
        "ANNEX.example.com:80",
        "10.0.0.2:8080",
        "[::1]:80",
    ] {
        let annex = announced(&daemon, &format!("Host: {host}\r\n"));
        assert!(
            annex
                .json("cert_url")
                .ends_with("/partner_intermediate.der"),
            "{host}"
        );
        assert_ne!(annex.json("hash"), main.json("hash"), "{host}");
    }
    for host in ["10.0.0.3", "annex.example.com.evil", "annex", "a:8080"] {
        assert_eq!(
            announced(&daemon, &format!("Host: {host}\r\n")).body,
            main.body,
            "{host}"
        );
    }
    for lines in ["", "Host:\r\n", "Host: annex.example.com:80x\r\n"] {
        assert_eq!(announced(&daemon, lines).status(), 400, "{lines}");
    }
}

#[test]
fn who_asks_no_host_is_told_of_the_only_site_and_of_none_of_several() {
    let request = format!("GET {ANNOUNCEMENT} HTTP/1.0\r\n\r\n");
    for hosts in ["", "hosts = [\"main.example.com\", \"10.0.0.1\"]"] {
        let installation = Installation::new(standard());
        installation.edit("[[site]]", &format!("[[site]]\n{hosts}"));
        let daemon = Daemon::start(&installation);
        let answer = Response::parse(&exchange(daemon.http, &request));
        assert_eq!(answer.status(), 200, "{hosts}");
        let mut daemon = Daemon::start(&two_sites(hosts));
        let answer = Response::parse(&exchange(daemon.http, &request));
        assert_eq!(answer.status(), 400, "{hosts}");
        daemon.wait_for("malformed request: it names no host, and there are several sites");
    }
}

#[test]
fn an_unknown_host_without_a_default_site_is_not_found() {
    let daemon = Daemon::start(&two_sites("hosts = [\"main.example.com\"]"));
    assert_eq!(
        announced(&daemon, "Host: main.example.com\r\n").status(),
        200
    );
    assert_eq!(
        announced(&daemon, "Host: annex.example.com\r\n").status(),
        200
    );
    assert_eq!(
        announced(&daemon, "Host: other.example.com\r\n").status(),
        404
    );
}

#[test]
fn an_absolute_target_names_the_site_before_the_host_header_does() {
    let daemon = Daemon::start(&two_sites(""));
    let request = "GET http://annex.example.com/swordfish/lock/certificates/current HTTP/1.1\r\n\
                   Host: other.example.com\r\nConnection: close\r\n\r\n";
    let answer = Response::parse(&exchange(daemon.http, request));
    assert!(
        answer
            .json("cert_url")
            .ends_with("/partner_intermediate.der")
    );
}
