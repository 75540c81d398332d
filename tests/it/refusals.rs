//! Each refusal, with what it tells the person who has to repair it.

use std::os::unix::fs::symlink;

use crate::harness::{
    CA, Chain, Installation, Key, Request, SITE_KEY_BASE64, openssl, program, run, shown, standard,
};

const CERTIFICATE: &str = "pki/partner_server.pem";
const PRIVATE_KEY: &str = "pki/partner_server.key";
const SITE_KEY: &str = "pki/site.key";
const ANNOUNCED: &str = "static/Device_Certificates/partner_CA.der";

/// Spoils an installation, and compares all that `check` and `serve` say about it.
fn assert_refused(name: &str, codes: &[&str], spoil: impl FnOnce(&Installation)) {
    assert_chain_refused(name, codes, standard(), spoil);
}

fn assert_chain_refused(
    name: &str,
    codes: &[&str],
    chain: &Chain,
    spoil: impl FnOnce(&Installation),
) {
    let installation = Installation::new(chain);
    installation.set_base_url("http://10.44.68.128");
    spoil(&installation);
    assert_eq!(installation.refusal_codes(), codes, "{name}");
    let (checked, served) = (installation.check(&[]), installation.serve_refused());
    assert_eq!((checked.code, served.code), (Some(1), Some(1)), "{name}");
    let told = format!(
        "$ engage-host check\n{}{}\n$ engage-host serve\n{}",
        checked.stdout_text(),
        checked.stderr_text(),
        served.errors(),
    );
    insta::assert_snapshot!(name, shown(&installation, &told));
}

#[test]
fn files_that_cannot_be_read() {
    assert_refused("absent_certificate", &["unreadable-file"], |it| {
        it.remove(CERTIFICATE);
    });
    assert_refused("absent_private_key", &["unreadable-file"], |it| {
        it.remove(PRIVATE_KEY);
    });
    assert_refused("absent_site_key", &["unreadable-file"], |it| {
        it.remove(SITE_KEY);
    });
    assert_refused("absent_announced", &["unreadable-file"], |it| {
        it.remove(ANNOUNCED);
    });
    assert_refused("folder_as_certificate", &["unreadable-file"], |it| {
        it.edit("\"pki/partner_server.pem\"", "\"pki\"");
    });
    assert_refused("link_to_itself", &["unreadable-file"], |it| {
        it.remove(PRIVATE_KEY);
        symlink("partner_server.key", it.path(PRIVATE_KEY)).unwrap();
    });
    assert_refused("large_certificate", &["file-too-large"], |it| {
        it.write(CERTIFICATE, vec![b'\n'; 70_000]);
    });
}

#[test]
fn files_that_are_not_text() {
    assert_refused("utf_16_of_two_halves", &["not-text"], |it| {
        it.write(CERTIFICATE, b"\xff\xfe-\0-\0\0\xdc");
    });
}

#[test]
fn files_that_are_empty() {
    assert_refused("empty_certificate", &["empty-file"], |it| {
        it.write(CERTIFICATE, "");
    });
    assert_refused("empty_private_key", &["empty-file"], |it| {
        it.write(PRIVATE_KEY, "");
    });
    assert_refused("empty_announced", &["empty-file"], |it| {
        it.write(ANNOUNCED, "");
    });
    assert_refused("empty_site_key", &["malformed-site-key"], |it| {
        it.write(SITE_KEY, "\n");
    });
}

#[test]
fn files_of_another_form() {
    assert_refused("key_as_certificate", &["no-certificate"], |it| {
        it.write(CERTIFICATE, Key::Server.pem());
    });
    assert_refused("certificate_as_key", &["no-private-key"], |it| {
        it.write(PRIVATE_KEY, standard().pem());
    });
    assert_refused("text_as_certificate", &["not-pem"], |it| {
        it.write(CERTIFICATE, "hello");
    });
    assert_refused("der_as_pem", &["not-pem"], |it| {
        it.write(CERTIFICATE, &standard().server.der);
    });
    assert_refused("pem_as_der", &["pem-instead-of-der"], |it| {
        it.write(ANNOUNCED, &standard().root.pem);
    });
    assert_refused("text_as_der", &["malformed-certificate"], |it| {
        it.write(ANNOUNCED, "hello");
    });
    assert_refused("two_in_der", &["malformed-certificate"], |it| {
        it.write(
            ANNOUNCED,
            [&standard().root.der[..], &standard().server.der].concat(),
        );
    });
    assert_refused("damaged_pem", &["broken-pem"], |it| {
        it.write(CERTIFICATE, standard().pem().replacen("MII", "M!I", 1));
    });
    assert_refused("truncated_pem", &["broken-pem"], |it| {
        it.write(CERTIFICATE, &standard().server.pem[..400]);
    });
}

#[test]
fn private_keys_that_do_not_fit() {
    assert_refused("foreign_key", &["foreign-key"], |it| {
        it.write(PRIVATE_KEY, Key::Foreign.pem());
    });
    assert_refused("key_of_the_intermediate", &["foreign-key"], |it| {
        it.write(PRIVATE_KEY, Key::Intermediate.pem());
    });
    assert_refused("key_of_another_kind", &["foreign-key"], |it| {
        it.write(PRIVATE_KEY, Key::Ec.pem());
    });
    assert_refused("encrypted_key", &["no-private-key"], |it| {
        let from = Key::Server.path();
        let from = from.to_str().unwrap();
        let args = ["pkey", "-in", from, "-aes256", "-passout", "pass:secret"];
        it.write(PRIVATE_KEY, openssl(it.folder(), args));
    });
    assert_refused("key_as_der", &["not-pem"], |it| {
        let from = Key::Server.path();
        let args = ["pkey", "-in", from.to_str().unwrap(), "-outform", "der"];
        it.write(PRIVATE_KEY, openssl(it.folder(), args));
    });
}

#[test]
fn keys_that_no_device_is_known_to_accept() {
    let chain = Chain::issue(|[server, ..]| server.key = Key::Ed25519);
    assert_chain_refused("ed25519_server", &["unsupported-key"], &chain, |_| {});
}

#[test]
fn chains_that_are_none() {
    let Chain {
        server,
        intermediate,
        root,
    } = standard();
    assert_refused("out_of_order", &["broken-chain"], |it| {
        it.write(
            CERTIFICATE,
            [&*server.pem, &root.pem, &intermediate.pem].concat(),
        );
    });
    assert_refused("intermediate_first", &["broken-chain"], |it| {
        it.write(CERTIFICATE, [&*intermediate.pem, &server.pem].concat());
    });
    assert_refused("missing_intermediate", &["not-anchored"], |it| {
        it.write(CERTIFICATE, &server.pem);
    });
    assert_refused(
        "missing_intermediate_below_the_root",
        &["broken-chain"],
        |it| {
            it.write(CERTIFICATE, [&*server.pem, &root.pem].concat());
        },
    );
    // The same intermediate's name, but issued anew with another key.
    let anew = Request::new("Partner Intermediate", Key::Foreign, CA).issued_by(root);
    assert_refused("intermediate_issued_anew", &["broken-chain"], |it| {
        it.write(CERTIFICATE, [&*server.pem, &anew.pem].concat());
    });
}

#[test]
fn announced_certificates_above_no_chain() {
    let other = Request::new("Other CA", Key::Foreign, CA).self_signed();
    assert_refused("not_anchored", &["not-anchored"], |it| {
        it.write(ANNOUNCED, &other.der);
    });
    let namesake = Request::new("Partner CA", Key::Foreign, CA).self_signed();
    assert_refused("namesake_announced", &["not-anchored"], |it| {
        it.write(ANNOUNCED, &namesake.der);
    });
    assert_refused("foreign_root", &["foreign-root"], |it| {
        it.write(ANNOUNCED, &standard().intermediate.der);
        it.write("pki/root.pem", &other.pem);
        it.edit("[https]", "[https]\nroot = \"pki/root.pem\"");
    });
}

#[test]
fn certificates_out_of_their_time() {
    let root = Chain::issue(|[_, _, root]| root.days = (-20, -10));
    assert_chain_refused("expired_root", &["expired"], &root, |_| {});
    let server = Chain::issue(|[server, ..]| server.days = (-20, -10));
    assert_check_refused("expired_server", &["expired"], &server, |_| {});
    let intermediate = Chain::issue(|[_, intermediate, _]| intermediate.days = (-20, -10));
    assert_check_refused("expired_intermediate", &["expired"], &intermediate, |_| {});
    let early = Chain::issue(|[server, ..]| server.days = (10, 20));
    assert_check_refused("not_yet_valid", &["not-yet-valid"], &early, |_| {});
}

/// For what `serve` serves in clear text all the same, or but for one site.
fn assert_check_refused(
    name: &str,
    codes: &[&str],
    chain: &Chain,
    spoil: impl FnOnce(&Installation),
) {
    let installation = Installation::new(chain);
    installation.set_base_url("http://10.44.68.128");
    spoil(&installation);
    assert_eq!(installation.refusal_codes(), codes, "{name}");
    let checked = installation.check(&[]);
    assert_eq!(checked.code, Some(1), "{name}");
    let told = format!("$ engage-host check\n{}", checked.stdout_text());
    insta::assert_snapshot!(name, shown(&installation, &told));
}

#[test]
fn site_keys_that_are_none() {
    let malformed = &["malformed-site-key"];
    assert_refused("site_key_length", malformed, |it| {
        it.write(SITE_KEY, "A".repeat(43));
    });
    assert_refused("site_key_hex", malformed, |it| {
        it.write(SITE_KEY, "x".repeat(64));
    });
    assert_refused("site_key_base64", malformed, |it| {
        it.write(SITE_KEY, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy-_");
    });
    // A private key in place of the site key: nothing of it may be quoted.
    assert_refused("private_key_as_site_key", malformed, |it| {
        it.write(SITE_KEY, Key::Server.pem());
    });
}

#[test]
fn sites_that_contradict_each_other() {
    let site = |name: &str, rest: &str| {
        format!(
            "[[site]]\nname = \"{name}\"\nkey_file = \"pki/site.key\"\n\
             certificate = \"static/Device_Certificates/partner_CA.der\"\n{rest}\n\n[[site]]"
        )
    };
    assert_refused("two_default_sites", &["ambiguous-host"], |it| {
        it.edit("[[site]]", &site("Annex", ""));
    });
    assert_refused("two_sites_of_one_host", &["ambiguous-host"], |it| {
        let annex = site("Annex", "hosts = [\"a.example.com\"]");
        it.edit(
            "[[site]]",
            &format!("{annex}\nhosts = [\"A.example.com.\"]"),
        );
    });
    assert_refused("two_sites_of_one_name", &["ambiguous-site"], |it| {
        let annex = site("Main Office", "hosts = [\"a.example.com\"]");
        it.edit("[[site]]", &annex);
    });
    assert_refused("two_sites_of_one_device", &["ambiguous-serial"], |it| {
        let annex = site("Annex", "hosts = [\"a\"]\nserials = [\"0123456789abcdef\"]");
        let main = "serials = [\"0123456789ABCDEF\"]";
        it.edit("[[site]]", &format!("{annex}\n{main}"));
    });
    assert_refused("serials_that_are_none", &["malformed-serials"], |it| {
        it.edit("[[site]]", "[[site]]\nserials_file = \"hall.txt\"");
        it.write("hall.txt", "# hall\n0123456789ABCDE\n");
    });
    assert_refused("serials_of_nobody", &["no-serials"], |it| {
        it.edit("[[site]]", "[[site]]\nserials_file = \"hall.txt\"");
        it.write("hall.txt", "# hall\n");
    });
    assert_refused("no_site", &["no-site"], |it| {
        let path = it.path("config.toml");
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(path, text.split_once("[[site]]").unwrap().0).unwrap();
    });
    assert_check_refused("two_files_of_one_name", &["same-name"], standard(), |it| {
        it.write("pki/partner_CA.der", &standard().intermediate.der);
        let annex = site("Annex", "hosts = [\"a.example.com\"]");
        it.edit(
            "[[site]]",
            &annex.replacen("static/Device_Certificates", "pki", 1),
        );
    });
    assert_refused("announced_name", &["not-der-name"], |it| {
        it.write("pki/partner_CA.cer", &standard().root.der);
        it.edit(ANNOUNCED, "pki/partner_CA.cer");
    });
}

#[test]
fn urls_that_no_device_could_fetch() {
    assert_refused("long_cert_url", &["cert-url-too-long"], |it| {
        it.edit(
            "http://10.44.68.128",
            &format!("http://10.44.68.128/{}", "x".repeat(200)),
        );
    });
    assert_refused("ftp_base_url", &["config-syntax"], |it| {
        it.edit("http://10", "ftp://10");
    });
}

#[test]
fn configurations_that_cannot_be_understood() {
    let syntax = &["config-syntax"];
    assert_refused("unknown_key", syntax, |it| {
        it.edit("private_key", "privat_key");
    });
    assert_refused("unknown_section", syntax, |it| it.edit("[https]", "[htps]"));
    assert_refused("not_toml", syntax, |it| it.edit("[http]", "[http"));
    assert_refused("bad_address", syntax, |it| {
        it.edit("127.0.0.1:0", "localhost:80");
    });
    assert_refused("key_in_configuration", &["key-in-config"], |it| {
        it.edit("pki/site.key", SITE_KEY_BASE64);
    });
    assert_refused("missing_key", syntax, |it| {
        it.edit("name = \"Main Office\"\n", "");
    });
    assert_refused("absent_configuration", &["unreadable-file"], |it| {
        it.remove("config.toml");
    });
    assert_refused("zero_seconds", syntax, |it| {
        it.set("[limits]", "drain_seconds = 0");
    });
    assert_refused("same_port", &["same-port"], |it| {
        it.edit("127.0.0.1:0", "0.0.0.0:8080");
        it.edit("127.0.0.1:0", "127.0.0.1:8080");
    });
    assert_refused("cut_utf_16", syntax, |it| {
        it.write("config.toml", b"\xff\xfe[\0h");
    });
    assert_refused("backslashes_in_a_path", syntax, |it| {
        it.edit("pki/site.key", r"C:\engage\pki\site.key");
    });
    assert_refused("escapes_in_a_path", &["config-path"], |it| {
        it.edit("pki/site.key", r"C:\temp\new\tower.key");
    });
}

#[test]
fn all_faults_are_told_at_once() {
    let codes = &["not-anchored", "foreign-key", "malformed-site-key"];
    let mut sorted = *codes;
    sorted.sort_unstable();
    let installation = Installation::new(standard());
    installation.write(PRIVATE_KEY, Key::Foreign.pem());
    installation.write(CERTIFICATE, &standard().server.pem);
    installation.write(SITE_KEY, "short");
    let mut found = installation.refusal_codes();
    found.sort_unstable();
    assert_eq!(found, sorted);
    let told = installation.serve_refused().errors();
    insta::assert_snapshot!("all_at_once", shown(&installation, &told));
}

#[test]
fn a_check_that_succeeds_prints_the_table() {
    let installation = Installation::new(standard());
    installation.set_base_url("http://10.44.68.128");
    let checked = installation.check(&["--strict"]);
    assert_eq!(checked.code, Some(0));
    assert_eq!(checked.stderr_text(), "");
    insta::assert_snapshot!("ok", shown(&installation, &checked.stdout_text()));
}

#[test]
fn exit_codes_tell_refused_from_warned_from_misused() {
    let installation = Installation::new(standard());
    // Its base_url is that of the loopback listener: one warning.
    assert_eq!(installation.check(&[]).code, Some(0));
    assert_eq!(installation.check(&["--strict"]).code, Some(1));
    assert_eq!(installation.check(&["--wombat"]).code, Some(2));
    let json = installation.check_json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["chain_limit_bytes"], 4096);
    assert_eq!(json["certificates"].as_array().unwrap().len(), 3);
    installation.remove(SITE_KEY);
    assert_eq!(installation.check(&[]).code, Some(1));
    assert_eq!(installation.check_json()["ok"], false);
    let nowhere = run(program().args(["check", "--json", "--config", "/nowhere/config.toml"]));
    assert_eq!(nowhere.code, Some(1));
    let json: serde_json::Value = serde_json::from_slice(&nowhere.stdout).unwrap();
    assert_eq!(json["refusals"][0]["code"], "unreadable-file");
}
