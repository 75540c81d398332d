//! Sites by the serial numbers of their devices.

use super::{announced, two_sites};
use crate::harness::{Daemon, Installation, Response, exchange, get};

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
fn two_sites_that_list_one_device_are_both_refused_by_name_and_it_is_told_nothing() {
    let installation = installation();
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
        let said = "lists serial number 0123456789ABCDEF for two sites, `Annex` and `Main Office`";
        assert!(line.contains(said), "{line}");
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
fn a_serials_file_that_cannot_be_read_concerns_its_site_only_and_a_reload_keeps_what_it_said() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let long = "?sn=00000000000000000000000000000001";
    let before = announced_to(&daemon, long, MAIN_HOST).json("hash");
    installation.write("annex.txt", "\n0123456789ABCDE\n");
    let line = daemon.wait_for("site `Annex` keeps its last announcement until this is mended");
    assert!(line.contains("line 2 of serials file"), "{line}");
    assert!(
        line.contains("allowed: 16 or 32 hexadecimal digits"),
        "{line}"
    );
    let after = announced_to(&daemon, long, MAIN_HOST);
    assert_eq!(after.json("hash"), before);
    assert_eq!(announced(&daemon, MAIN_HOST).status(), 200);
    assert_eq!(installation.refusal_codes(), ["malformed-serials"]);
    drop(daemon);
    installation.remove("annex.txt");
    let mut daemon = Daemon::start(&installation);
    let line = daemon.wait_for("site `Annex` is answered 503 until this is mended");
    assert!(line.contains("annex.txt"), "{line}");
    assert_eq!(
        get(daemon.http, "/swordfish/lock/certificates/current").status(),
        200
    );
}
