//! What commands say that cannot ask another host, and what is wrong with the files of `[admin]`.

use super::commands::command;
use super::{failure, failure_text, shown_entry};
use crate::harness::{Host, Installation, Key, Request, Role, SERVER, TOKEN_FILE, shown, standard};

#[test]
fn another_host() {
    let host = Host::start("");
    let installation = &host.installation;
    let path = |name: &str| installation.path(name).display().to_string();
    let token = format!("engage_{}", "A".repeat(43));
    installation.write("token", token);
    installation.write("other", "a read b");
    installation.write("ca.pem", "nothing of the kind");
    let with = |server: &str, file: &str, rest: &str| {
        let file = path(file);
        command(&format!("--server {server} --token-file {file} {rest}"))
    };
    let nobody = "https://127.0.0.1:1";
    let mut told = failure(&mut command("--server https://10.44.0.5:9480 devices"));
    told += &failure(&mut command("--token-file token devices"));
    told += &failure(&mut with(nobody, "token", "check"));
    told += &failure(&mut with(nobody, "other", "devices"));
    told += &failure(&mut with(nobody, "absent", "devices"));
    let ca = format!("--ca-file {} devices", path("ca.pem"));
    told += &failure(&mut with(nobody, "token", &ca));
    let without = format!("--ca-file {} devices", path("absent"));
    told += &failure(&mut with(nobody, "token", &without));
    let mut blind = with(nobody, "token", "devices");
    blind
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/dev/null");
    told += &failure(&mut blind);
    told += &failure(&mut with("http://127.0.0.1:1", "token", "devices"));
    let devices = format!("http://{}", host.daemon.http);
    let asked = failure(&mut with(&devices, "token", "sites list"));
    told += &asked.replace(&devices, "http://[address]");
    let credential = "devices credential 0123456789ABCDEF";
    let mut no_text = with("http://127.0.0.1:1", "token", credential);
    told += &failure_text("unusable-password", &mut no_text, b"caf\xe9\n");
    insta::assert_snapshot!("another_host", shown(installation, &told));
}

#[test]
fn admin_files() {
    let installation = Installation::new(standard()).with_admin();
    installation.with_admin_token(Role::Read);
    installation.set_base_url("http://10.44.68.128");
    let mut told = String::new();
    let mut check = || {
        let report = installation.check_json();
        for list in ["refusals", "warnings"] {
            for entry in report[list].as_array().unwrap() {
                told += &shown_entry(entry);
            }
        }
    };
    installation.chmod(TOKEN_FILE, 0o644);
    check();
    installation.write(TOKEN_FILE, "# ours\nnight-shift look abc\n");
    check();
    installation.remove(TOKEN_FILE);
    check();
    installation.write(TOKEN_FILE, "");
    installation.set(
        "[admin]",
        "certificate = \"pki/admin.pem\"\nprivate_key = \"pki/admin.key\"",
    );
    for days in [(-9, -2), (2, 9)] {
        let request = Request {
            days,
            ..Request::new("admin", Key::Server, SERVER)
        };
        let certificate = request.self_signed();
        installation.write("pki/admin.pem", &certificate.pem);
        installation.write("pki/admin.key", certificate.key.pem());
        check();
    }
    installation.write("pki/admin.key", Key::Foreign.pem());
    check();
    insta::assert_snapshot!("admin_files", shown(&installation, &told));
}
