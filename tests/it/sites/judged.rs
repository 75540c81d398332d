//! What `engage-host sites` looks at before it writes or deletes anything.

use std::os::unix::fs::symlink;

use serde_json::Value;

use super::commands::{change, installation, json, names, sites};
use crate::harness::{Installation, SITE_KEY_BASE64, run};

/// Writes the file of "Hall", with this key file.
fn write_hall(installation: &Installation, key_file: &str) {
    installation.write(
        "sites/hall.toml",
        format!(
            "name = \"Hall\"\nkey_file = \"{key_file}\"\nhosts = [\"hall.example.com\"]\n\
             certificate = \"static/Device_Certificates/partner_CA.der\"\n"
        ),
    );
}

fn refused(installation: &Installation, arguments: &[&str]) -> Value {
    let refused = change(installation, &[arguments, &["--json"]].concat());
    assert_eq!(refused.code, Some(1), "{arguments:?}");
    json(&refused)["refusals"][0]["code"].clone()
}

#[test]
fn only_a_site_key_that_nothing_else_uses_is_deleted() {
    let installation = installation();
    symlink(installation.path("pki"), installation.path("link")).unwrap();
    symlink("site.key", installation.path("pki/link.key")).unwrap();
    installation.write("hook.secret", [b'h'; 32]);
    installation.edit(
        "[[site]]",
        "[webhook]\nurl = \"http://127.0.0.1:9/\"\nsecret_file = \"hook.secret\"\n\n[[site]]",
    );
    let remove = ["remove", "Hall", "--delete-key"];
    for (key_file, code) in [
        ("pki/partner_server.key", "not-a-site-key"),
        ("pki/absent.key", "not-a-site-key"),
        ("pki/site.key", "key-in-use"),
        ("pki/../pki/site.key", "key-in-use"),
        ("link/site.key", "key-in-use"),
        ("hook.secret", "key-in-use"),
        ("pki/link.key", "key-is-link"),
    ] {
        write_hall(&installation, key_file);
        let before = names(&installation, "pki");
        assert_eq!(refused(&installation, &remove), code, "{key_file}");
        assert_eq!(names(&installation, "pki"), before, "{key_file}");
        assert_eq!(names(&installation, "sites"), ["hall.toml"], "{key_file}");
    }
    assert!(installation.path("hook.secret").exists());
    // Whose key a file names that cannot be used is not known.
    installation.write("pki/hall.key", [b'k'; 32]);
    write_hall(&installation, "pki/hall.key");
    installation.write("sites/gate.toml", "name = \"Gate\"\nkey_fil = \"");
    assert_eq!(refused(&installation, &remove), "keys-unknown");
    assert_eq!(
        refused(&installation, &["remove", "Gate", "--delete-key"]),
        "keys-unknown"
    );
    assert!(installation.path("pki/hall.key").exists());
    installation.remove("sites/gate.toml");
    assert_eq!(change(&installation, &remove).code, Some(0));
    assert!(!installation.path("pki/hall.key").exists());
}

#[test]
fn a_list_of_serial_numbers_or_a_certificate_that_is_none_is_refused_before_anything_is_written() {
    let installation = installation();
    installation.write("empty.txt", "# nobody\n");
    installation.write("host.der", "localhost\n");
    installation.write(
        "root.crt",
        fs_err::read(installation.path("static/Device_Certificates/partner_CA.der")).unwrap(),
    );
    let [empty, absent, host, root] = ["empty.txt", "absent.txt", "host.der", "root.crt"]
        .map(|name| installation.path(name).display().to_string());
    for (option, path, code) in [
        ("--serials-file", absent.as_str(), "unreadable-file"),
        ("--serials-file", "/dev/zero", "unreadable-file"),
        ("--serials-file", &empty, "no-serials"),
        ("--certificate", &host, "malformed-certificate"),
        ("--certificate", &root, "not-der-name"),
    ] {
        let add = ["add", "Hall", "--host", "hall.example.com", option, path];
        assert_eq!(refused(&installation, &add), code, "{option} {path}");
        assert_eq!(names(&installation, "sites"), [""; 0], "{option} {path}");
        assert_eq!(names(&installation, "pki/sites"), [""; 0]);
    }
    let table = format!("name,key,hosts,certificate\nA,{SITE_KEY_BASE64},a.example.com,host.der\n");
    installation.write("sites.csv", table);
    let table = installation.path("sites.csv");
    let import = ["import", table.to_str().unwrap()];
    assert_eq!(refused(&installation, &import), "malformed-certificate");
    assert_eq!(names(&installation, "sites"), [""; 0]);
}

#[test]
fn a_table_names_each_column_once_and_a_site_each_of_its_hosts_and_serial_numbers() {
    let installation = installation();
    let table = installation.path("sites.csv");
    let import = ["import", table.to_str().unwrap()];
    installation.write("sites.csv", "");
    assert_eq!(refused(&installation, &import), "empty-table");
    let columns = format!("name,Name,key,hosts\nA,B,{SITE_KEY_BASE64},a.example.com\n");
    installation.write("sites.csv", columns);
    assert_eq!(refused(&installation, &import), "repeated-column");
    let twice = format!(
        "name,key,hosts,serials\nA,{SITE_KEY_BASE64},a.example.com A.example.com,\
         0123456789abcdef 0123456789ABCDEF\n"
    );
    installation.write("sites.csv", twice);
    let tried = json(&change(
        &installation,
        &[&import[..], &["--dry-run", "--json"]].concat(),
    ));
    assert_eq!(tried["would_add"], serde_json::json!(["A"]));
    assert_eq!(tried["added"], serde_json::json!([]));
    assert_eq!(change(&installation, &import).code, Some(0));
    let again = json(&change(&installation, &[&import[..], &["--json"]].concat()));
    assert_eq!(again["unchanged"], 1);
    let serial = "0123456789ABCDE0";
    let host = "b.example.com";
    let add = [
        "add", "B", "--host", host, "--host", host, "--serial", serial, "--serial", serial,
    ];
    assert_eq!(change(&installation, &add).code, Some(0));
    for (file, values) in [
        ("a", ["[\"a.example.com\"]", "[\"0123456789ABCDEF\"]"]),
        ("b", ["[\"b.example.com\"]", "[\"0123456789ABCDE0\"]"]),
    ] {
        let text = fs_err::read_to_string(installation.path(&format!("sites/{file}.toml")));
        let text = text.unwrap();
        assert!(values.iter().all(|it| text.contains(it)), "{text}");
    }
    assert_eq!(installation.check(&[]).code, Some(0));
}

#[test]
fn a_site_of_thousands_of_hosts_is_listed_and_shown() {
    let installation = installation();
    let hosts: Vec<_> = (0..4000)
        .map(|it| format!("\"host-{it}.example.com\""))
        .collect();
    installation.write("pki/hall.key", [b'k'; 32]);
    write_hall(&installation, "pki/hall.key");
    let file = installation.path("sites/hall.toml");
    let text = fs_err::read_to_string(&file).unwrap();
    let text = text.replace("\"hall.example.com\"", &hosts.join(", "));
    fs_err::write(&file, text).unwrap();
    let listed = run(&mut sites(&installation, &["list"]));
    assert_eq!(listed.code, Some(0), "{}", listed.stderr_text());
    let text = listed.stdout_text();
    assert!(
        text.contains("host-9.example.com and 3990 more"),
        "{}",
        text.len()
    );
    assert!(!text.contains("host-10.example.com"));
    let shown = run(&mut sites(&installation, &["show", "Hall", "--json"]));
    assert_eq!(json(&shown)["hosts"].as_array().unwrap().len(), 4000);
    assert_eq!(shown.stdout_text().matches("\"ok\":").count(), 1);
}
