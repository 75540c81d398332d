//! What errors and warnings say: each kind is a snapshot, made on the input that causes it, and the
//! commands that hints name are commands.

mod another_host;
mod commands;
mod devices_view;
mod installations;
mod rotate;
mod setup;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use serde_json::Value;

use crate::harness::{program, run, run_with_input};

/// An error or warning as people see it, with its code.
fn shown_entry(entry: &Value) -> String {
    let part = |name: &str| entry[name].as_str().unwrap();
    let (code, message, hint) = (part("code"), part("message"), part("hint"));
    format!("[{code}] {message}\n  hint: {hint}\n")
}

/// What a command with `--json` says when it fails.
fn failure(command: &mut Command) -> String {
    let finished = run_with_input(command.arg("--json"), b"");
    assert!(matches!(finished.code, Some(1 | 2)), "{command:?}");
    let report: Value = serde_json::from_slice(&finished.stdout)
        .unwrap_or_else(|error| panic!("{command:?}: {error}: {}", finished.stderr_text()));
    let refusals = report["refusals"].as_array().unwrap();
    refusals.iter().map(shown_entry).collect()
}

/// What a command that knows no `--json` says when it fails with an error of this `code`.
fn failure_text(code: &str, command: &mut Command, input: &[u8]) -> String {
    let finished = run_with_input(command, input);
    assert_eq!(finished.code, Some(1), "{command:?}: {finished:?}");
    let text = finished.errors();
    format!("[{code}] {}", text.strip_prefix("error: ").unwrap())
}

#[test]
fn every_kind_of_error_and_warning_has_a_snapshot() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = fs::read_to_string(root.join("tests/it/refusals.rs")).unwrap();
    for file in files(&root.join("tests"), "snap") {
        shown.push_str(&fs::read_to_string(file).unwrap());
    }
    let is_shown = |code: &String| {
        [format!("[{code}]"), format!("\"{code}\"")]
            .iter()
            .any(|it| shown.contains(it))
    };
    let codes = codes(root);
    assert!(codes.len() > 100, "{codes:?}");
    let unseen: BTreeMap<_, _> = UNSEEN.iter().copied().collect();
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !is_shown(code) && !unseen.contains_key(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "no snapshot shows {missing:?}");
    let stale: Vec<_> = unseen
        .keys()
        .filter(|code| !codes.contains(**code) || is_shown(&(**code).to_owned()))
        .collect();
    assert!(
        stale.is_empty(),
        "these are shown, or are no codes: {stale:?}"
    );
}

/// What is in `code("..")` of the source.
fn codes(root: &Path) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for file in sources(root) {
        let text = fs::read_to_string(file).unwrap();
        for (before, after) in text
            .match_indices("code(\"")
            .map(|(at, it)| text.split_at(at + it.len()))
        {
            let is_attribute = before
                .rsplit("#[")
                .next()
                .is_some_and(|it| it.starts_with("diagnostic"));
            if is_attribute {
                codes.insert(after.split('"').next().unwrap().to_owned());
            }
        }
    }
    codes
}

#[test]
fn every_command_that_a_message_or_the_documentation_names_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = files(&root.join("docs"), "md").into_iter();
    let mut named = BTreeSet::new();
    for file in sources(root)
        .into_iter()
        .chain(documents)
        .chain([root.join("README.md")])
    {
        let text = fs::read_to_string(file).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            named.extend(commands_in(line));
        }
    }
    assert!(named.len() > 25, "{named:#?}");
    for arguments in &named {
        let words = arguments.split_whitespace().map(|word| match word {
            "SERIAL" => "0123456789ABCDEF",
            "ADDR" => "127.0.0.1:80",
            other => other,
        });
        // Help is given instead of an error only if all before it can be understood.
        let finished = run(program().args(words).arg("--help"));
        assert_eq!(
            finished.code,
            Some(0),
            "engage-host {arguments}: {}",
            finished.stderr_text()
        );
    }
}

/// The arguments of each `engage-host ..` that is meant to be typed.
fn commands_in(line: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for (at, name) in line.match_indices("engage-host ") {
        let (before, rest) = (&line[..at], &line[at + name.len()..]);
        let is_typed = ["`", "  ", ": ", "$ ", "# ", "&& ", "\\n"]
            .iter()
            .any(|it| before.ends_with(it));
        let end = rest.find(['`', '"', '\\', '#', '<', '>', '&', ';', '|', ')', ',']);
        let arguments = rest[..end.unwrap_or(rest.len())].trim_end_matches([' ', '.']);
        let is_command = arguments
            .split(' ')
            .next()
            .is_some_and(|it| COMMANDS.contains(&it));
        if is_typed && is_command {
            commands.push(without_placeholders(arguments));
        }
    }
    commands
}

/// With a value for everything in braces or in dots.
fn without_placeholders(arguments: &str) -> String {
    let words = arguments.split_whitespace().map(|word| {
        if word == "{device}" {
            "0123456789ABCDEF"
        } else if word.contains(['{', '[', '<']) || word == ".." {
            "x"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut sources = files(&root.join("src"), "rs");
    sources.extend(files(&root.join("crates"), "rs"));
    sources.retain(|path| {
        !path
            .components()
            .any(|it| it.as_os_str().to_string_lossy().starts_with("tests"))
    });
    sources
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path, extension)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect()
}

const COMMANDS: &[&str] = &[
    "serve", "reload", "check", "init", "renew", "adopt", "hash", "doctor", "simulate", "devices",
    "rotate",
];

/// Codes that no snapshot shows, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("admin-certificate", "held in the tests of admin access"),
    ("admin-without-tls", "held in the tests of admin access"),
    ("body-too-large", "held in the tests of the API"),
    ("changed-meanwhile", "held in the tests of the API"),
    ("idempotency-key-reused", "held in the tests of the API"),
    ("malformed-body", "held in the tests of the API"),
    ("malformed-cursor", "held in the tests of the API"),
    ("malformed-idempotency-key", "held in the tests of the API"),
    ("malformed-if-match", "held in the tests of the API"),
    ("malformed-json", "held in the tests of the API"),
    ("malformed-limit", "held in the tests of the API"),
    ("malformed-path", "held in the tests of the API"),
    ("malformed-query", "held in the tests of the API"),
    ("malformed-serial", "held in the tests of the API"),
    ("malformed-wait", "held in the tests of the API"),
    ("method-not-allowed", "held in the tests of the API"),
    ("no-credential", "held in the tests of the API"),
    ("no-credentials-file", "held in the tests of the API"),
    ("not-json", "held in the tests of the API"),
    ("only-credential", "held in the tests of the API"),
    ("relative-path", "held in the tests of the API"),
    ("database-dropped", "held in the tests of the API"),
    (
        "idempotency-key-in-progress",
        "held in the tests of the API",
    ),
    ("malformed-header", "held in the tests of the API"),
    (
        "operation-panicked",
        "needs a fault of engage-host: held in the API's own tests",
    ),
    (
        "operations-busy",
        "needs operations that last 20 s: held in the API's own tests",
    ),
    ("site-unusable", "held in the tests of the API"),
    ("too-many-followers", "held in the tests of the API"),
    ("unread-body", "held in the tests of the API"),
    (
        "backup-failed",
        "names a file of this process: held in the backup's tests",
    ),
    (
        "backup-interrupted",
        "needs a daemon that starts at that moment: held in the backup's tests",
    ),
    ("busy", "two at the same moment: held in init's own tests"),
    ("cannot-write", "needs a folder that cannot be written"),
    ("foreign-origin", "held in the tests of admin access"),
    ("form-token", "held in the tests of admin access"),
    ("form-too-large", "held in the tests of admin access"),
    ("not-found", "held in the tests of admin access"),
    ("too-many-failures", "held in the tests of admin access"),
    ("form-too-slow", "needs a form that takes 15 s"),
    ("no-token-file", "held in the tests of admin access"),
    ("role-too-low", "held in the tests of admin access"),
    ("token-name-taken", "held in the tests of admin access"),
    ("unknown-token", "held in the tests of admin access"),
    ("stopping", "needs a daemon that drains at that moment"),
    ("usage", "held in the tests of output"),
    ("nothing-gained", "only in the log: tests/it/renew/auto.rs"),
    ("clock", "needs another clock: held in init's own tests"),
    ("connect-timeout", "needs a network that swallows packets"),
    (
        "damaged-database",
        "needs a page that is damaged: held in the backup's tests",
    ),
    (
        "database-answer",
        "needs a host that answers call-ins wrong: held in the fleet's own tests",
    ),
    (
        "devices-not-ready",
        "needs a device: held in the tests of rotations",
    ),
    ("no-devices", "held in the tests of rotations"),
    ("hosts-behind", "held in the tests of rotations"),
    ("broken-next", "held in the tests of rotations"),
    ("other-overlap", "held in the tests of rotations"),
    ("other-root-key", "held in the tests of rotations"),
    (
        "few-descriptors",
        "needs a limit: held in the tests of the service",
    ),
    (
        "hosts-not-ready",
        "needs a daemon: held in the tests of rotations",
    ),
    (
        "invalid-page-token",
        "only the API passes one of another question: held in the store's tests",
    ),
    ("lease-lost", "needs two hosts: held in the store's tests"),
    ("name-timeout", "needs a name server that is silent"),
    ("no-address", "needs a name without addresses"),
    (
        "malformed-row",
        "needs a row that somebody changed: held in the store's tests",
    ),
    ("missing-anchor", "held in the tests of rotations"),
    ("no-randomness", "needs a kernel without randomness"),
    ("not-issued", "needs a library that fails"),
    (
        "older-schema",
        "needs a database of an older version: held in the store's tests",
    ),
    ("panicked", "needs a fault of this program"),
    (
        "passed-sockets",
        "needs sockets of systemd: held in the tests of the service",
    ),
    ("permission", "root may do everything"),
    ("read-timeout", "needs a file server that hangs"),
    (
        "service-folder",
        "would change /etc: `init --system` is held in packaging/systemd/boot-test",
    ),
    ("no-config", WINDOWS),
    ("no-service", WINDOWS),
    ("not-installed", WINDOWS),
    ("not-started", WINDOWS),
    ("service", WINDOWS),
    ("still-pending", WINDOWS),
    (
        "store-busy",
        "needs a database that is locked: held in the store's tests",
    ),
    (
        "store-closed",
        "only between the end of the store and that of the daemon",
    ),
    (
        "store-full",
        "only in the log and in `/readyz`: tests/it/call_in/amplification.rs",
    ),
    ("rotation-changed", "needs two commands at the same moment"),
    (
        "rows-left-out",
        "needs a row that somebody changed: held in the tests of the databases",
    ),
    ("store-panicked", "needs a fault of this program"),
    ("store-opening", "only while a store is opened"),
    (
        "store-unavailable",
        "needs a disk that fails: held in the store's tests",
    ),
    ("system", "needs a system without threads"),
    ("too-late", "names the day: held in the tests of rotations"),
    (
        "too-many-devices",
        "needs 200,000 devices: held in the store's tests",
    ),
    (
        "too-many-new-devices",
        "needs thousands: held in the store's tests",
    ),
    ("unresolved-name", "the system's own words"),
    (
        "unusable-file",
        "needs a database that fails while it is read",
    ),
    ("otlp-no-authority", "needs a system without certificates"),
    (
        "webhook-no-authority",
        "needs a system without certificates",
    ),
    ("too-many-sites", "needs 200,000 files"),
    (
        "more-bad-sites",
        "needs hundreds of sites: held in the tests of their files",
    ),
    ("not-removed", "root may do everything"),
];

const WINDOWS: &str = "only on Windows: held in packaging/windows/try-installer";
