//! Two daemons on one PostgreSQL, each with its own files.

use std::process::Command;

use super::fixture::{Rotating, shows};
use crate::database::postgres::postgres;
use crate::harness::{get, standard};

#[test]
fn every_host_has_the_new_files_before_they_are_published_and_retires_its_old_ones() {
    let Some(server) = postgres() else {
        return;
    };
    let database = server.create_database();
    let [one, other] =
        [(); 2].map(|()| Rotating::start_with(&format!("database_url = \"{}\"", database.url())));
    let old = one.announced();
    let prepared = one.run("prepare", &["--wait", "8"]);
    assert_eq!(prepared.code, Some(1), "{prepared:?}");
    shows(
        &prepared.stdout_text(),
        &["does not follow", "next: copy the folder"],
    );
    let refused = one.run("publish", &["--wait", "0"]);
    shows(
        &refused.stderr_text(),
        &["not every host has the new files", "hint: copy `"],
    );
    assert_eq!(other.announced(), old);

    let next = |host: &Rotating| host.installation.path("pki/next");
    let copied = Command::new("cp")
        .arg("-a")
        .args([next(&one), next(&other)])
        .status();
    assert!(copied.unwrap().success());
    // Its daemon looks again when its files change, or is asked.
    shows(&other.rotate("prepare", &[]), &["prepared before"]);
    one.rotate("publish", &[]);
    assert_eq!(one.announced().0, other.announced().0);
    let new = get(other.daemon.http, &other.announced().0).body;
    one.rotate("activate", &["--force"]);

    let half = one.rotate("retire", &["--wait", "8", "--force"]);
    shows(
        &half,
        &[
            "with the new files as the configured ones",
            "the last ends the rotation",
        ],
    );
    assert_eq!(one.status()["rotation"]["step"], "retiring");
    let ended = other.rotate("retire", &[]);
    shows(&ended, &["no rotation is under way"]);
    for host in [&one, &other] {
        assert_eq!(host.announced(), (old.0.clone(), one.announced().1));
        assert!(host.accepts(&new));
        assert!(!host.accepts(&standard().root.der));
        assert_eq!(host.installation.check(&[]).code, Some(0));
    }
}
