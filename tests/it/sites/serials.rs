//! Sites by the serial numbers of their devices.

use super::{announced, two_sites};
use crate::harness::{Daemon, Installation, Response, exchange, get};

/// A device that "Annex" lists in its file.
const IN_FILE: &str = "?sn=00000000000000000000000000000001";
/// One that no site lists.
const UNLISTED: &str = "?sn=00000000000000AA";

const ANNEX_DER: &str = "/partner_intermediate.der";
const MAIN_DER: &str = "/partner_CA.der";
const RELOADED: &str = "reloaded: new connections get the new state";

/// "Main Office" by default; "Annex" with a device in the configuration and one in a file.
fn installation() -> Installation {
    let installation = two_sites("");
    let serials = "serials = [\"0123456789abcdef\"]\nserials_file = \"annex.txt\"\n";
    installation.edit("hosts = [\"annex", &format!("{serials}hosts = [\"annex"));
    installation.write("annex.txt", "# hall\n00000000000000000000000000000001\n");
    installation
}

fn announced_to(daemon: &Daemon, query: &str, headers: &str) -> Response {
    let target = format!("/swordfish/lock/certificates/current{query}");
    let request = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    Response::parse(&exchange(daemon.http, request))
}

const MAIN_HOST: &str = "Host: main.example.com\r\n";

#[test]
fn a_listed_serial_number_selects_the_site_before_the_host_does() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let is_of = |daemon: &Daemon, query: &str, headers: &str, der: &str| {
        let answer = announced_to(daemon, query, headers);
        let url = answer.json("cert_url");
        assert!(url.ends_with(der), "{query} {headers}: {url}");
    };
    // In Base64 and in digits, in the query or as the user name.
    is_of(&daemon, "?sn=ASNFZ4mrze8=", MAIN_HOST, ANNEX_DER);
    let long = "?serialNumber=00000000000000000000000000000001";
    is_of(&daemon, long, MAIN_HOST, ANNEX_DER);
    let old = format!("GET /swordfish/lock/certificates/current{long} HTTP/1.0\r\n\r\n");
    let answer = Response::parse(&exchange(daemon.http, old));
    assert!(answer.json("cert_url").ends_with(ANNEX_DER), "no host");
    let login = format!("{MAIN_HOST}Authorization: Basic MDEyMzQ1Njc4OUFCQ0RFRjp4\r\n");
    is_of(&daemon, "", &login, ANNEX_DER);
    let annex_host = "Host: annex.example.com\r\n";
    is_of(&daemon, "?sn=0000000000000002", MAIN_HOST, MAIN_DER);
    is_of(&daemon, "?sn=0000000000000002", annex_host, ANNEX_DER);
    is_of(&daemon, "?sn=nonsense", MAIN_HOST, MAIN_DER);
    is_of(&daemon, "", MAIN_HOST, MAIN_DER);

    installation.write("annex.txt", "0000000000000002\n");
    daemon.wait_for(RELOADED);
    is_of(&daemon, "?sn=0000000000000002", MAIN_HOST, ANNEX_DER);
    is_of(&daemon, long, MAIN_HOST, MAIN_DER);
}

#[test]
fn the_access_log_names_the_serial_number_that_selected_the_site() {
    let mut daemon = Daemon::start(&installation());
    // 0123456789ABCDEF
    let login = format!("{MAIN_HOST}Authorization: Basic MDEyMzQ1Njc4OUFCQ0RFRjp4\r\n");
    let answer = announced_to(&daemon, UNLISTED, &login);
    assert!(answer.json("cert_url").ends_with(ANNEX_DER));
    let line = daemon.wait_for("/certificates/current -> 200");
    assert!(line.contains("0123456789ABCDEF"), "{line}");
    announced_to(&daemon, UNLISTED, MAIN_HOST);
    daemon.wait_for("00000000000000AA");
}

#[test]
fn two_sites_that_list_one_device_are_both_refused_by_name_and_it_is_told_nothing() {
    let installation = installation();
    installation.edit("serials = [\"0123456789abcdef\"]", "");
    installation.write("annex.txt", "# hall\n0123456789abcdef\n");
    installation.edit(
        "name = \"Main Office\"",
        "name = \"Main Office\"\nserials = [\"0123456789ABCDEF\"]",
    );
    let third = "[[site]]\nname = \"Third\"\nkey_file = \"pki/annex.key\"\nhosts = [\"c.example.com\"]\n\
                 certificate = \"static/Device_Certificates/partner_CA.der\"\n\n[[site]]";
    installation.edit("[[site]]", third);
    let mut daemon = Daemon::start(&installation);
    for site in ["Annex", "Main Office"] {
        let line = daemon.wait_for(&format!(
            "site `{site}` is answered 503 until this is mended"
        ));
        let [annex, main] = ["annex.txt", "config.toml"].map(|name| installation.path(name));
        let said = format!(
            "serial number 0123456789ABCDEF is listed for two sites, for `Annex` in line 2 of `{}`, \
             and for `Main Office` under `serials` in `{}`",
            annex.display(),
            main.display()
        );
        assert!(line.contains(&said), "{line}");
    }
    let c_host = "Host: c.example.com\r\n";
    assert_eq!(announced(&daemon, c_host).status(), 200);
    assert_eq!(
        announced_to(&daemon, "?sn=0123456789ABCDEF", c_host).status(),
        503
    );
    assert_eq!(installation.refusal_codes(), ["ambiguous-serial"]);
}

#[test]
fn a_bad_line_is_told_and_the_other_devices_are_still_their_sites() {
    let installation = installation().with_admin();
    installation.set_base_url("http://10.44.68.128");
    installation.write("annex.txt", "00000000000000000000000000000001\nzz\n");
    let mut daemon = Daemon::start(&installation);
    let said = "line 2 of serials file";
    let line = daemon.wait_for(said);
    assert!(
        line.contains("WARN") && line.contains("annex.txt"),
        "{line}"
    );
    for listed in [IN_FILE, "?sn=0123456789ABCDEF"] {
        let answer = announced_to(&daemon, listed, MAIN_HOST);
        assert!(answer.json("cert_url").ends_with(ANNEX_DER), "{listed}");
    }
    let answer = announced_to(&daemon, UNLISTED, MAIN_HOST);
    assert!(answer.json("cert_url").ends_with(MAIN_DER));
    let ready = get(daemon.admin(), "/readyz");
    let text = String::from_utf8_lossy(&ready.body);
    assert!(
        text.starts_with("ready\n") && text.contains(&format!("warning: {said}")),
        "{text}"
    );
    assert_eq!(installation.refusal_codes(), [""; 0]);
    let warnings = installation.warning_codes();
    assert!(
        warnings.iter().any(|it| it == "malformed-serials"),
        "{warnings:?}"
    );
}

/// Of whom it lists nobody knows, so that anybody whom no other site lists may be one of its.
#[test]
fn while_a_serials_file_cannot_be_read_no_device_is_told_what_another_site_announces() {
    let installation = installation();
    installation.edit(
        "name = \"Main Office\"",
        "name = \"Main Office\"\nserials = [\"00000000000000FF\"]",
    );
    for (contents, code) in [
        (None, "unreadable-file"),
        (Some(""), "no-serials"),
        (Some("# hall\n"), "no-serials"),
        (Some("zz\n"), "malformed-serials"),
    ] {
        installation.remove("annex.txt");
        if let Some(contents) = contents {
            installation.write("annex.txt", contents);
        }
        let mut daemon = Daemon::start(&installation);
        let line = daemon.wait_for(
            "site `Annex` and every serial number that no site lists are answered 503 until this is mended",
        );
        assert!(line.contains("annex.txt"), "{line}");
        let status = |query: &str| announced_to(&daemon, query, MAIN_HOST).status();
        for withheld in [IN_FILE, UNLISTED, "?sn=0123456789ABCDEF"] {
            assert_eq!(status(withheld), 503, "{code} {withheld}");
        }
        for told in ["", "?sn=00000000000000FF"] {
            assert_eq!(status(told), 200, "{code} {told}");
        }
        assert_eq!(installation.refusal_codes(), [code]);
        installation.write("annex.txt", "0000000000000002\n");
        daemon.wait_for(RELOADED);
        let answer = announced_to(&daemon, UNLISTED, MAIN_HOST);
        assert!(answer.json("cert_url").ends_with(MAIN_DER), "{code}");
    }
}

#[test]
fn a_site_that_a_reload_adds_with_a_list_that_cannot_be_read_withholds_only_itself() {
    let installation = two_sites("");
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    installation.write("sites/README.md", "one file a site");
    let mut daemon = Daemon::start(&installation);
    let hall = "name = \"Hall\"\nkey_file = \"pki/annex.key\"\nhosts = [\"hall.example.com\"]\n\
                certificate = \"static/Device_Certificates/partner_CA.der\"\nserials_file = \"hall.txt\"\n";
    installation.write("sites/hall.toml", hall);
    // And again, with something else that is new.
    for more in ["", "base_url = \"http://10.1.2.3\"\n"] {
        installation.write("sites/hall.toml", format!("{hall}{more}"));
        super::reload(&mut daemon, RELOADED);
        daemon.wait_for("site `Hall` is answered 503 until this is mended: site `Hall`: failed to read serials file");
        let status = |query: &str, host: &str| announced_to(&daemon, query, host).status();
        assert_eq!(status("", "Host: hall.example.com\r\n"), 503, "{more}");
        assert_eq!(status(UNLISTED, MAIN_HOST), 200, "{more}");
    }
    installation.write("hall.txt", "00000000000000AA\n");
    super::reload(&mut daemon, RELOADED);
    let answer = announced_to(&daemon, UNLISTED, MAIN_HOST);
    assert!(answer.json("cert_url").starts_with("http://10.1.2.3/"));
}

#[test]
fn a_reload_keeps_whom_a_serials_file_listed_that_cannot_be_read_any_more() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let before = announced_to(&daemon, IN_FILE, MAIN_HOST).json("hash");
    for (reloads, contents) in (1..).zip([Some(""), Some("zz\n"), None]) {
        match contents {
            Some(contents) => installation.write("annex.txt", contents),
            None => installation.remove("annex.txt"),
        }
        let said = "site `Annex` keeps its last announcement until this is mended";
        daemon.wait_for_count(said, reloads);
        let after = announced_to(&daemon, IN_FILE, MAIN_HOST);
        assert_eq!(after.json("hash"), before, "{contents:?}");
        let inline = announced_to(&daemon, "?sn=0123456789ABCDEF", MAIN_HOST);
        assert_eq!(inline.json("hash"), before, "{contents:?}");
        let other = announced_to(&daemon, UNLISTED, MAIN_HOST);
        assert!(other.json("cert_url").ends_with(MAIN_DER), "{contents:?}");
    }
}
