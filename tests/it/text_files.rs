//! Text files as the editors and shells of Windows write them: each kind that an operator hands over, in
//! each encoding, with CRLF.

use std::iter;

use engage_store::{Credentials, SerialNumber};
use fs_err as fs;

use crate::harness::{
    Finished, Installation, SITE_KEY_BASE64, SITE_KEY_HEX, TOKEN_FILE, make_admin_identity,
    openssl, program, run, run_with_input, standard,
};

const DEVICE: &str = "0123456789ABCDEF";
const ANNOUNCED: &str = "static/Device_Certificates/partner_CA.der";
const DATABASE: &str = r#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],"add":[]},
"schedules":[{"days":["Mo"],"strtHr":0,"strtMn":0,"lngth":1439}],"holidays":[],"autoUnlock":[]}}"#;

/// A text with CRLF: in UTF-8, and with a byte order mark in UTF-8 and in UTF-16 of both orders.
pub(crate) fn encodings(text: &str) -> [(&'static str, Vec<u8>); 4] {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let marked = || iter::once(0xfeff).chain(text.encode_utf16());
    let little = marked().flat_map(u16::to_le_bytes).collect();
    let big = marked().flat_map(u16::to_be_bytes).collect();
    [
        ("UTF-16 LE", little),
        ("UTF-16 BE", big),
        ("UTF-8 with a mark", format!("\u{feff}{text}").into_bytes()),
        ("UTF-8", text.into_bytes()),
    ]
}

/// UTF-16 that ends within a character.
fn cut(text: &str) -> Vec<u8> {
    let [(_, mut contents), ..] = encodings(text);
    contents.pop();
    contents
}

/// With every file that `check` reads, each of them text.
fn whole() -> Installation {
    let installation = Installation::new(standard()).with_admin();
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    installation.set_base_url("http://10.44.68.128");
    installation.set("[devices]", "credentials_file = \"credentials\"");
    let admin = format!(
        "token_file = \"{TOKEN_FILE}\"\ncertificate = \"admin.pem\"\nprivate_key = \"admin.key\""
    );
    installation.set("[admin]", &admin);
    installation.set(
        "[otlp]",
        "endpoint = \"https://127.0.0.1:4318/v1/traces\"\nheaders_file = \"headers\"\nca_file = \"ca.pem\"",
    );
    make_admin_identity(&installation, "admin", "localhost");
    installation.chmod("admin.key", 0o600);
    installation.write("ca.pem", &standard().root.pem);
    installation.write("headers", "# T\u{fc}r\nX-Tenant: 7\n");
    installation.write(
        "sites/hall.toml",
        format!(
            "name = \"H\u{e4}lle\"\nkey_file = \"pki/hall.key\"\ncertificate = \"{ANNOUNCED}\"\n\
             hosts = [\"hall.example.com\"]\nserials_file = \"hall.txt\"\n"
        ),
    );
    installation.write("pki/hall.key", format!("{SITE_KEY_HEX}\n"));
    installation.write("hall.txt", format!("# T\u{fc}r\n{DEVICE} # 1\n"));
    let line = credential(b"correct horse\n").stdout_text();
    installation.write("credentials", format!("# T\u{fc}r\n{line}"));
    assert_eq!(new_token(&installation, "first").code, Some(0));
    installation
}

fn new_token(installation: &Installation, name: &str) -> Finished {
    run(program()
        .args(["admin", "token", name, "--role", "read", "--config"])
        .arg(installation.path("config.toml")))
}

fn credential(password: &[u8]) -> Finished {
    run_with_input(program().args(["devices", "credential", DEVICE]), password)
}

#[test]
fn what_check_reads_is_the_same_in_every_encoding() {
    let installation = whole();
    let plain = installation.check_json();
    assert_eq!(plain["ok"], true, "{plain}");
    assert_eq!(plain["sites"].as_array().unwrap().len(), 2, "{plain}");
    for name in [
        "config.toml",
        "sites/hall.toml",
        "hall.txt",
        "pki/site.key",
        "pki/hall.key",
        "pki/partner_server.pem",
        "pki/partner_server.key",
        "credentials",
        TOKEN_FILE,
        "admin.pem",
        "admin.key",
        "headers",
        "ca.pem",
    ] {
        let text = fs::read_to_string(installation.path(name)).unwrap();
        for (encoding, contents) in encodings(&text) {
            installation.write(name, contents);
            assert_eq!(installation.check_json(), plain, "{name} in {encoding}");
        }
        installation.write(name, cut(&text));
        let refused = installation.check(&["--json"]).stdout_text();
        assert!(refused.contains("a single byte"), "{name}: {refused}");
        let file = name.rsplit('/').next().unwrap();
        assert!(refused.contains(file), "{name}: {refused}");
        installation.write(name, text);
    }
}

#[test]
fn what_commands_are_given_is_the_same_in_every_encoding() {
    let installation = whole();
    let path = |name: &str| installation.path(name).display().to_string();
    let token = new_token(&installation, "second").stdout_text();
    let table = format!(
        "name,key,key_file,hosts\nB\u{fc}ro,{SITE_KEY_BASE64},,a.example.com\nHof,,pki/site.key,b.example.com\n"
    );
    let [given, config, anchor] = [path("given.txt"), path("config.toml"), path(ANNOUNCED)];
    let (url, key) = ("http://127.0.0.1:1", path("pki/site.key"));
    for (text, arguments) in [
        (
            format!("{SITE_KEY_BASE64}\n"),
            vec!["hash", &anchor, "--site-key-file", &given],
        ),
        (
            format!("{SITE_KEY_HEX}\n"),
            vec!["hash", &anchor, "--site-key-file", &given],
        ),
        (DATABASE.to_owned(), vec!["devices", "db", "check", &given]),
        (
            table,
            vec!["sites", "import", &given, "--dry-run", "--config", &config],
        ),
        // Nothing listens there: a file that cannot be read is told before that.
        (
            token,
            vec!["--server", url, "--token-file", &given, "devices"],
        ),
        (
            "versions = \"1.2 and 1.3\"\n".to_owned(),
            vec![
                "simulate",
                url,
                "--devices",
                "1",
                "--site-key-file",
                &key,
                "--profile",
                &given,
            ],
        ),
    ] {
        let run_with = |contents: &[u8]| {
            installation.write("given.txt", contents);
            run(program().args(&arguments))
        };
        let plain = run_with(text.as_bytes());
        assert!(!plain.errors().contains("given.txt"), "{plain:?}");
        let said = |finished: &Finished| (finished.stdout_text(), finished.stderr_text());
        for (encoding, contents) in encodings(&text) {
            let finished = run_with(&contents);
            assert_eq!(finished.code, plain.code, "{arguments:?} in {encoding}");
            assert_eq!(said(&finished), said(&plain), "{arguments:?} in {encoding}");
        }
        let refused = run_with(&cut(&text));
        assert_ne!(refused.code, Some(0), "{arguments:?}");
        let told = refused.stderr_text();
        assert!(told.contains("a single byte"), "{arguments:?}: {told}");
    }
}

#[test]
fn a_key_that_init_is_given_is_the_sites_key_in_every_encoding() {
    let given = Installation::new(standard());
    let made_of = |contents: &[u8]| {
        given.write("given.key", contents);
        let key_file = given.path("given.key").display().to_string();
        let made = Installation::by_init(&["--site-key-file", &key_file]);
        let hash = run(program()
            .args(["hash", "--site-key-file"])
            .arg(made.path("pki/site.key"))
            .arg(given.path(ANNOUNCED)));
        assert_eq!(hash.code, Some(0), "{}", hash.stderr_text());
        hash.stdout_text()
    };
    let plain = made_of(SITE_KEY_BASE64.as_bytes());
    let [(_, utf16), ..] = encodings(SITE_KEY_HEX);
    assert_eq!(made_of(&utf16), plain);
}

#[test]
fn the_first_line_of_a_file_is_the_password_in_every_encoding() {
    let serial = SerialNumber::from_hex(DEVICE.as_bytes()).unwrap();
    // The second byte of its last character is that of a line feed.
    let password = "T\u{fc}r \u{10a}";
    for (encoding, contents) in encodings(&format!("{password}\nanother\n")) {
        let line = credential(&contents);
        assert_eq!(line.code, Some(0), "{encoding}: {}", line.stderr_text());
        let credentials = Credentials::parse("f".as_ref(), &line.stdout).unwrap();
        assert!(
            credentials.verify(serial, password.as_bytes()),
            "{encoding}"
        );
    }
    let refused = credential(&cut("correct horse"));
    assert!(refused.errors().contains("a single byte"), "{refused:?}");
}

#[test]
fn a_token_is_added_in_the_encoding_of_the_file() {
    let installation = whole();
    let text = fs::read_to_string(installation.path(TOKEN_FILE)).unwrap();
    let encoded = encodings(&format!("# T\u{fc}r\n{text}"));
    let line_ends = [&b"\r\0\n\0"[..], b"\0\r\0\n", b"\r\n", b"\r\n"];
    for ((encoding, contents), line_end) in encoded.into_iter().zip(line_ends) {
        installation.write(TOKEN_FILE, &contents);
        let made = new_token(&installation, "second");
        assert_eq!(made.code, Some(0), "{encoding}: {}", made.stderr_text());
        let after = fs::read(installation.path(TOKEN_FILE)).unwrap();
        let added = after.strip_prefix(&*contents).unwrap();
        assert!(added.ends_with(line_end), "{encoding}: {added:x?}");
        assert_eq!(installation.refusal_codes(), [""; 0], "{encoding}");
        let again = new_token(&installation, "second");
        assert!(again.errors().contains("has a token of the name `second`"));
    }
}

#[test]
fn keys_in_utf_16_are_renewed_and_new_ones_are_what_openssl_reads() {
    let installation = Installation::by_init(&[]);
    let server_key = "pki/partner_server.key";
    for name in [
        server_key,
        "pki/partner_server.pem",
        "pki/partner_intermediate.key",
    ] {
        let text = fs::read_to_string(installation.path(name)).unwrap();
        let [(_, utf16), ..] = encodings(&text);
        installation.write(name, utf16);
    }
    let renewed = run(program()
        .args(["renew", "--config"])
        .arg(installation.path("config.toml"))
        .env("RUNTIME_DIRECTORY", installation.folder()));
    assert_eq!(renewed.code, Some(0), "{}", renewed.stderr_text());
    openssl(installation.folder(), ["pkey", "-in", server_key, "-noout"]);
    assert_eq!(installation.refusal_codes(), [""; 0]);
}
