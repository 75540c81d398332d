//! What `check` says of installations that devices or strict clients refuse.

use serde_json::Value;

use super::shown_entry;
use crate::harness::{
    CA, Chain, INTERMEDIATE, Installation, Key, Request, SERVER, shown, standard,
};

/// The entries of these codes, in the order of the codes.
fn told(installation: &Installation, codes: &[&str]) -> String {
    let report = installation.check_json();
    let entries = |kind: &str| -> Vec<Value> { report[kind].as_array().unwrap().clone() };
    let all = [entries("refusals"), entries("warnings")].concat();
    let told = codes.iter().map(|code| {
        let entry = all.iter().find(|entry| entry["code"] == *code);
        shown_entry(entry.unwrap_or_else(|| panic!("{code}: {report}")))
    });
    shown(installation, &told.collect::<String>())
}

fn of_chain(code: &str, change: impl FnOnce(&mut [Request; 3])) -> String {
    let installation = Installation::new(&Chain::issue(change));
    installation.set_base_url("http://10.44.68.128");
    told(&installation, &[code])
}

fn with(extensions: &str, line: &str, by: &str) -> String {
    let changed = extensions.replace(line, by);
    assert_ne!(changed, extensions);
    changed
}

#[test]
fn chains() {
    let hash = "subjectKeyIdentifier = hash";
    let intermediate = |by: &'static str| {
        move |requests: &mut [Request; 3]| requests[1].extensions = with(INTERMEDIATE, hash, by)
    };
    let mut text = of_chain(
        "issuer-key-use",
        intermediate("extendedKeyUsage = clientAuth"),
    );
    text += &of_chain(
        "name-constraints",
        intermediate("nameConstraints = permitted;DNS:other.example"),
    );
    text += &of_chain(
        "unknown-critical-extension",
        intermediate("1.2.3.4 = critical, ASN1:UTF8String:x"),
    );
    text += &of_chain("path-length", |requests| {
        requests[2].extensions = with(CA, "CA:TRUE", "CA:TRUE, pathlen:0");
    });
    text += &of_chain("malformed-extension", |requests| {
        requests[0].extensions = format!("{SERVER}nameConstraints = DER:0500\n");
    });
    text += &of_chain("key-size", |requests| requests[0].key = Key::Rsa(1024));
    let root = &standard().root;
    let mut anew = Request::new("Partner Intermediate", Key::Intermediate, INTERMEDIATE);
    anew.extensions = with(INTERMEDIATE, hash, "subjectKeyIdentifier = 0102030405");
    let anew = anew.issued_by(root);
    let installation = Installation::new(standard());
    installation.set_base_url("http://10.44.68.128");
    installation.write(
        "pki/partner_server.pem",
        format!("{}{}", standard().server.pem, anew.pem),
    );
    text += &told(&installation, &["key-identifier"]);
    installation.write("pki/partner_server.pem", standard().pem());
    let announced = "static/Device_Certificates/partner_CA.der";
    installation.write(announced, &standard().server.der);
    text += &told(&installation, &["server-announced"]);
    // A length in the long form where the short one is enough.
    let mut not_der = standard().root.der.clone();
    let at = not_der
        .windows(2)
        .position(|it| it == [0x30, 0x0d])
        .unwrap();
    not_der.splice(at..at + 2, [0x30, 0x81, 0x0d]);
    text += &not_der_text(not_der);
    insta::assert_snapshot!("chains", text);
}

/// Of a certificate that grew by one byte in its body, whose lengths are mended.
fn not_der_text(mut der: Vec<u8>) -> String {
    for at in [2, 6] {
        let length = u16::from_be_bytes([der[at], der[at + 1]]) + 1;
        der[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    let installation = Installation::new(standard());
    installation.set_base_url("http://10.44.68.128");
    installation.write("static/Device_Certificates/partner_CA.der", der);
    told(&installation, &["not-der"])
}

#[test]
fn recordings_and_folders() {
    let installation = Installation::new(standard());
    installation.set("[devices]", "credentials_file = \"credentials\"");
    installation.set(
        "[webhook]",
        "url = \"https://127.0.0.1:9/\"\nsecret_file = \"hook.key\"\nca_file = \"hook.pem\"",
    );
    installation.write("credentials", "0123456789ABCDEF:secret\n");
    installation.write("hook.key", "short");
    installation.write("hook.pem", standard().root.pem.as_str());
    installation.write("Engage_Data/0123456789abcdef/db.json", "{}");
    let mut text = told(
        &installation,
        &[
            "malformed-credentials",
            "webhook-secret-length",
            "stray-device-folder",
        ],
    );
    installation.write("hook.key", [b'x'; 32]);
    installation.write(
        "hook.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    text += &told(&installation, &["webhook-ca-malformed"]);
    installation.edit("ca_file = \"hook.pem\"", "");
    installation.set(
        "[otlp]",
        "endpoint = \"https://127.0.0.1:9/\"\nheaders_file = \"otlp.headers\"\nca_file = \"hook.pem\"",
    );
    installation.write("otlp.headers", "Authorization: Bearer x\nsecret\n");
    text += &told(&installation, &["otlp-header-malformed"]);
    installation.write("otlp.headers", "Authorization: Bearer x\n");
    text += &told(&installation, &["otlp-ca-malformed"]);
    installation.edit("ca_file = \"hook.pem\"", "");
    installation.edit("static_dir = \"static\"", "static_dir = \"config.toml\"");
    text += &told(&installation, &["unreadable-static-dir"]);
    let installation = Installation::new(standard());
    installation.set("[devices]", "directory = \"config.toml/records\"");
    text += &told(&installation, &["device-directory-unusable"]);
    installation.write(
        "credentials",
        "0123456789ABCDEF:$argon2id$v=19$m=19456,t=2,p=1$AAAA\n",
    );
    installation.set("[devices]", "credentials_file = \"credentials\"");
    text += &told(&installation, &["malformed-credentials"]);
    installation.write("credentials", "");
    text += &told(&installation, &["no-credentials"]);
    let unusable = Installation::new(standard());
    let broken = Key::Server.pem().replacen("MII", "MIJ", 1);
    unusable.write("pki/partner_server.key", broken);
    text += &told(&unusable, &["unusable-key"]);
    insta::assert_snapshot!("recordings_and_folders", shown(&installation, &text));
}

#[test]
fn renewal() {
    let installation = Installation::new(standard());
    installation.set("[pki]", "auto_renew = true");
    let text = told(&installation, &["auto-renew-impossible"]);
    insta::assert_snapshot!("renewal", shown(&installation, &text));
}

#[test]
fn databases() {
    let installation = Installation::new(standard());
    installation.set("[devices]", "database_url = \"sqlite:devices.db\"");
    installation.write("devices.db", "no database ".repeat(1000));
    let mut text = told(&installation, &["database-unusable"]);
    let holds_password = Installation::new(standard());
    let url = "database_url = \"postgres://engage:secret@db.example/engage\"";
    holds_password.set("[devices]", url);
    text += &told(&holds_password, &["password-in-config"]);
    insta::assert_snapshot!("databases", shown(&installation, &text));
}
