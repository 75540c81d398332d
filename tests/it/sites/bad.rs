//! A bad site is its own trouble: every other one is announced, at start and by a reload.

use super::{announced, reload, two_sites};
use crate::harness::{
    Chain, Daemon, Installation, Key, Response, get, shown, standard, tls_get, trusting, wire_text,
};

const ANNEX: &str = "Host: annex.example.com\r\n";
const MAIN: &str = "Host: main.example.com\r\n";
const ANNEX_DER: &str = "static/Device_Certificates/partner_intermediate.der";
const ANNEX_KEY: &str = "pki/annex.key";
const RELOADED: &str = "reloaded: new connections get the new state";

/// "Main Office" by default, and "Annex".
fn installation() -> Installation {
    let installation = two_sites("").with_admin();
    installation.set_base_url("http://10.44.68.128");
    installation
}

/// A certificate that no chain of these tests leads to.
fn stranger() -> Vec<u8> {
    let chain = Chain::issue(|[.., root]| root.key = Key::Foreign);
    chain.root.der
}

fn sites(daemon: &mut Daemon) -> [u64; 3] {
    let metrics = daemon.metrics();
    ["served", "kept", "withheld"].map(|state| metrics.sum("sites", &[("state", state)]))
}

fn readiness(daemon: &mut Daemon) -> (u16, String) {
    let answer = get(daemon.admin(), "/readyz");
    (answer.status(), String::from_utf8(answer.body).unwrap())
}

#[test]
fn a_start_serves_every_other_site_and_says_which_it_does_not() {
    let installation = installation();
    installation.remove(ANNEX_KEY);
    let mut daemon = Daemon::start(&installation);
    let line = daemon.wait_for("site `Annex` is answered 503 until this is mended: ");
    assert!(
        line.contains("ERROR") && line.contains("annex.key"),
        "{line}"
    );
    assert!(line.contains("site=\"Annex\""), "{line}");
    assert_eq!(announced(&daemon, MAIN).status(), 200);
    let withheld = announced(&daemon, ANNEX);
    let withheld = [withheld.head.as_bytes(), b"\r\n", &withheld.body].concat();
    insta::assert_snapshot!("withheld", wire_text(&withheld));
    let trusting = trusting(&standard().root.der);
    assert_eq!(tls_get(daemon.https, &trusting, "/").status(), 404);
    let (status, text) = readiness(&mut daemon);
    let ready = format!("$ curl http://127.0.0.1:9480/readyz\n{status} {text}");
    assert_eq!(sites(&mut daemon), [1, 0, 1]);
    let checked = installation.check(&[]);
    assert_eq!(checked.code, Some(1));
    let told = format!("{ready}$ engage-host check\n{}", checked.stdout_text());
    insta::assert_snapshot!("one_bad_site", shown(&installation, &told));

    installation.write(ANNEX_KEY, [b'7'; 64]);
    daemon.wait_for(RELOADED);
    assert_eq!(announced(&daemon, ANNEX).status(), 200);
    assert_eq!(sites(&mut daemon), [2, 0, 0]);
    assert_eq!(readiness(&mut daemon), (200, "ready\n".to_owned()));
}

#[test]
fn a_strict_start_is_refused_for_one_bad_site() {
    let installation = installation();
    drop(Daemon::start_with(&installation, |command| {
        command.arg("--strict");
    }));
    installation.remove(ANNEX_KEY);
    let mut command = crate::harness::program();
    command.args(["serve", "--strict", "--config"]);
    let refused = crate::harness::run(command.arg(installation.path("config.toml")));
    assert_eq!(refused.code, Some(1));
    let errors = refused.errors();
    assert!(errors.contains("annex.key"), "{errors}");
}

#[test]
fn a_reload_keeps_what_a_bad_site_announced_and_its_file() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let (main, annex) = (announced(&daemon, MAIN), announced(&daemon, ANNEX));
    installation.write(ANNEX_DER, stranger());
    installation.write("pki/site.key", [b'8'; 64]);
    reload(&mut daemon, RELOADED);
    let line = daemon.wait_for("site `Annex` keeps its last announcement until this is mended: ");
    assert!(line.contains("and not at the announced"), "{line}");
    assert_eq!(announced(&daemon, ANNEX), same_but_date(&annex, &daemon));
    let file = get(daemon.http, &format!("/{ANNEX_DER}"));
    assert_eq!(file.body, standard().intermediate.der);
    assert_ne!(announced(&daemon, MAIN).json("hash"), main.json("hash"));
    assert_eq!(sites(&mut daemon), [1, 1, 0]);
    let (status, text) = readiness(&mut daemon);
    assert_eq!(status, 200);
    assert!(text.contains("warning: site `Annex` keeps its last announcement: chain"));
    // Kept over further reloads, and at the address that devices are told now.
    installation.edit("http://10.44.68.128", "http://10.44.68.129");
    reload(&mut daemon, RELOADED);
    let kept = announced(&daemon, ANNEX);
    assert_eq!(kept.json("hash"), annex.json("hash"));
    assert!(kept.json("cert_url").starts_with("http://10.44.68.129/"));

    installation.write(ANNEX_DER, &standard().intermediate.der);
    installation.write(ANNEX_KEY, [b'9'; 64]);
    reload(&mut daemon, RELOADED);
    assert_ne!(announced(&daemon, ANNEX).json("hash"), annex.json("hash"));
    assert_eq!(sites(&mut daemon), [2, 0, 0]);
}

/// The same answer with the date of one that was just given.
fn same_but_date(answer: &Response, daemon: &Daemon) -> Response {
    let now = announced(daemon, ANNEX);
    let date = |response: &Response| response.header("Date").unwrap().to_owned();
    Response {
        head: answer.head.replace(&date(answer), &date(&now)),
        body: answer.body.clone(),
    }
}

#[test]
fn what_another_site_serves_under_the_same_name_is_not_kept() {
    let installation = installation();
    installation.edit(ANNEX_DER, "static/Device_Certificates/partner_CA.der");
    let mut daemon = Daemon::start(&installation);
    assert_eq!(announced(&daemon, ANNEX).status(), 200);
    let renewed = Chain::issue(|[.., root]| root.serial = "2000000000000002");
    installation.write(
        "static/Device_Certificates/partner_CA.der",
        &renewed.root.der,
    );
    installation.remove(ANNEX_KEY);
    reload(&mut daemon, RELOADED);
    daemon.wait_for("site `Annex` is answered 503 until this is mended: ");
    assert_eq!(announced(&daemon, MAIN).status(), 200);
    assert_eq!(announced(&daemon, ANNEX).status(), 503);
    assert_eq!(sites(&mut daemon), [1, 0, 1]);
}

#[test]
fn a_chain_that_would_lock_the_devices_of_a_site_out_concerns_all() {
    let installation = installation();
    let other = Chain::issue(|[server, intermediate, root]| {
        server.key = Key::Foreign;
        intermediate.subject = "/O=Partner/CN=Next Intermediate".into();
        root.subject = "/O=Partner/CN=Next CA".into();
    });
    let mut daemon = Daemon::start(&installation);
    let main = announced(&daemon, MAIN);
    installation.write("pki/partner_server.pem", other.pem());
    installation.write("pki/partner_server.key", other.server.key.pem());
    installation.write("static/Device_Certificates/partner_CA.der", &other.root.der);
    let refused = "reload refused, the previous state stays in force";
    reload(&mut daemon, refused);
    let line = daemon.seen(refused).next().unwrap().to_owned();
    assert!(line.contains("for site `Annex`"), "{line}");
    assert_eq!(announced(&daemon, MAIN).body, main.body);
    assert_eq!(sites(&mut daemon), [2, 0, 0]);
    // With the certificate that this site is to announce from now on, it does not.
    installation.write(ANNEX_DER, &other.intermediate.der);
    reload(&mut daemon, RELOADED);
    let trusting = trusting(&other.root.der);
    assert_eq!(tls_get(daemon.https, &trusting, "/").status(), 404);
}

#[test]
fn an_announced_root_out_of_its_time_concerns_its_site_only() {
    for days in [(-20, -10), (10, 20)] {
        let installation = installation();
        let root = Chain::issue(|[.., root]| root.days = days).root;
        installation.edit(ANNEX_DER, "static/Device_Certificates/annex.der");
        installation.write("static/Device_Certificates/annex.der", root.der);
        let mut daemon = Daemon::start(&installation);
        daemon.wait_for("site `Annex` is answered 503 until this is mended: root certificate");
        assert_eq!(announced(&daemon, MAIN).status(), 200);
        assert_eq!(announced(&daemon, ANNEX).status(), 503);
        let trusting = trusting(&standard().root.der);
        assert_eq!(tls_get(daemon.https, &trusting, "/").status(), 404);
        assert_eq!(readiness(&mut daemon).0, 200);
    }
}

#[test]
fn two_sites_that_claim_one_host_are_both_refused_by_name() {
    let installation = installation();
    let third = "[[site]]\nname = \"Third\"\nkey_file = \"pki/annex.key\"\nhosts = [\"c.example.com\", \"[::1]\"]\n\
                 certificate = \"static/Device_Certificates/partner_CA.der\"\n\n[[site]]";
    let mut daemon = Daemon::start(&installation);
    let annex = announced(&daemon, ANNEX);
    installation.edit("[[site]]", third);
    reload(&mut daemon, RELOADED);
    for site in [
        "`Third` is answered 503",
        "`Annex` keeps its last announcement",
    ] {
        let line = daemon.wait_for(&format!(
            "site {site} until this is mended: configuration file"
        ));
        assert!(
            line.contains("gives host `::1` to two sites, `Third` and `Annex`"),
            "{line}"
        );
    }
    assert_eq!(announced(&daemon, "Host: [::1]\r\n").body, annex.body);
    assert_eq!(announced(&daemon, "Host: c.example.com\r\n").status(), 503);
    assert_eq!(announced(&daemon, MAIN).status(), 200);
    drop(daemon);
    let daemon = Daemon::start(&installation);
    assert_eq!(announced(&daemon, ANNEX).status(), 503);
    assert_eq!(announced(&daemon, MAIN).status(), 200);
}
