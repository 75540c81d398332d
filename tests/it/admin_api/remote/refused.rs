//! What another host refuses, and what cannot be asked of it.

use super::super::DEVICE;
use super::{here, host, refusals};
use crate::harness::{Installation, Role, program, run, standard};

#[test]
fn what_a_host_refuses_is_told_with_its_code_and_a_hint_of_the_command_line() {
    let (host, there) = host("");
    for (args, code) in [
        (&["sites", "show", "Nowhere"][..], "unknown-site-name"),
        (&["devices", "show", DEVICE], "unknown-device"),
        (&["devices", "audits", DEVICE], "unknown-device"),
        (&["devices", "db", "show", DEVICE], "no-database"),
        (&["sites", "remove", "Main Office"], "no-sites-dir"),
    ] {
        let (told, told_here) = (there.run(args), here(&host.installation, args));
        assert_eq!((told.code, told_here.code), (Some(1), Some(1)), "{args:?}");
        let told = told.stderr_text();
        let place = format!("error: host `{}`: ", there.url);
        assert!(told.starts_with(&place), "{told}");
        assert!(told.contains("  hint: ") && !told.contains("GET"), "{told}");
        let json = there.run(&[args, &["--json"]].concat());
        assert_eq!(refusals(&json), [code], "{args:?}");
        assert_eq!(json.stderr_text(), "");
    }
    // The table of a host that nobody called.
    let none = there.run(&["devices"]);
    assert_eq!(none.code, Some(0));
    let note = none.stderr_text();
    assert!(note.starts_with("note: no device has called yet"), "{note}");
}

#[test]
fn a_token_that_is_not_known_or_only_reads_is_refused() {
    let (host, mut there) = host("");
    let read = host
        .installation
        .with_named_admin_token("reader", Role::Read);
    host.daemon.hang_up();
    let mut daemon = host.daemon;
    daemon.wait_for("reloaded: new connections get the new state");
    host.installation.write("reader.token", &read);
    there.token_file = host.installation.path("reader.token");
    let listed = there.run(&["sites", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let add = ["sites", "add", "Annex", "--host", "a.example.com", "--json"];
    let added = there.run(&add);
    assert_eq!(refusals(&added), ["role-too-low"]);
    let unknown = format!("engage_{}", "A".repeat(43));
    host.installation.write("reader.token", unknown);
    let listed = there.run(&["devices", "--json"]);
    assert_eq!(listed.code, Some(1));
    assert_eq!(refusals(&listed), ["unknown-token"]);
}

#[test]
fn commands_that_work_on_files_say_so() {
    let (host, there) = host("");
    let file = host.installation.path("config.toml");
    let file = file.to_str().unwrap();
    for args in [
        &["devices", "export", file, "--json"][..],
        &["devices", "import", file, "--json"],
        &["devices", "backup", file, "--json"],
        &["sites", "import", file, "--json"],
        &["check", "--json"],
        &["init", "--json"],
        &["rotate", "status", "--json"],
        &["admin", "token", "a", "--role", "read", "--json"],
    ] {
        let refused = there.run(args);
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        assert_eq!(refusals(&refused), ["only-on-host"], "{args:?}");
    }
    for args in [
        &["devices", "db", "check", file][..],
        &["devices", "quarantine", "show", "0123456789ABCDEF"],
        &["serve"],
    ] {
        let refused = there.run(args);
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        let said = refused.stderr_text();
        assert!(said.contains("without `--server`"), "{args:?}: {said}");
    }
}

#[test]
fn half_of_the_options_is_a_mistake() {
    let refused = |args: &[&str]| {
        let finished = run(program().args(args).args(["devices", "--json"]));
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        refusals(&finished)
    };
    assert_eq!(refused(&["--server", "http://127.0.0.1:1"]), ["no-token"]);
    assert_eq!(refused(&["--token-file", "token"]), ["no-server"]);
    assert_eq!(refused(&["--ca-file", "ca.pem"]), ["no-server"]);
    for url in ["127.0.0.1:9480", "ftp://host", "http://host/api/v1"] {
        let finished = run(program().args(["--server", url, "devices"]));
        assert_eq!(finished.code, Some(2), "{url}: {finished:?}");
    }
}

#[test]
fn a_server_that_is_no_admin_listener_or_none_at_all_is_told_apart() {
    let (host, mut there) = host("");
    let admin = there.url.clone();
    let port = admin.rsplit(':').next().unwrap();
    // Where devices ask.
    there.url = format!("http://{}", host.daemon.http);
    let asked = there.run(&["devices", "--json"]);
    assert_eq!(asked.code, Some(1));
    assert_eq!(refusals(&asked), ["server-unexpected"]);
    // A name that is none of the listener's: it says what to do.
    there.url = format!("http://ip6-localhost:{port}");
    let asked = there.run(&["devices"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    // TLS where clear text is spoken.
    there.url = admin.replace("http://", "https://");
    let asked = there.run(&["devices", "--json"]);
    assert_eq!(refusals(&asked), ["server-unanswered"]);
    // Nothing listens.
    there.url = "http://127.0.0.1:1".to_owned();
    let asked = there.run(&["devices", "--json"]);
    assert_eq!(refusals(&asked), ["server-unanswered"]);
    let said = there.run(&["devices"]).stderr_text();
    assert!(said.contains("127.0.0.1:1"), "{said}");
}

#[test]
fn without_a_token_file_on_the_host_there_is_no_api() {
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = crate::harness::Daemon::start(&installation);
    let address = daemon.admin();
    let token = format!("engage_{}", "A".repeat(43));
    let there = super::There::new(&installation, &super::super::Api { address, token });
    let asked = there.run(&["devices"]);
    assert_eq!(asked.code, Some(1));
    let said = asked.stderr_text();
    assert!(said.contains("answered 404"), "{said}");
    assert!(said.contains("`[admin] token_file`"), "{said}");
}

#[test]
fn the_help_speaks_of_another_host_only_where_one_can_be_asked() {
    let help = |args: &[&str]| run(program().args(args).arg("--help")).stdout_text();
    for args in [
        &[][..],
        &["devices"],
        &["devices", "show"],
        &["sites", "add"],
    ] {
        let told = help(args);
        assert!(told.contains("--server <URL>"), "{args:?}: {told}");
    }
    let commands = help(&[]);
    for words in [
        "Try everything that `serve` does",
        "Say who may use the pages",
    ] {
        assert!(commands.contains(words), "{words}: {commands}");
    }
    for args in [&["serve"][..], &["init"], &["rotate", "status"], &["hash"]] {
        let told = help(args);
        assert!(!told.contains("--server"), "{args:?}: {told}");
        assert!(!told.contains("--token-file"), "{args:?}: {told}");
    }
}
