//! What packages install beside the binary: completions and manual pages, from the command line itself.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{program, run};

#[test]
fn bash_reads_the_completions_and_completes_a_command_with_them() {
    let script = program().args(["completions", "bash"]).output().unwrap();
    assert!(script.status.success(), "{script:?}");
    let mut bash = Command::new("bash")
        .args(["--norc", "--noprofile"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = bash.stdin.take().unwrap();
    input.write_all(&script.stdout).unwrap();
    // As readline calls it after `engage-host relo<Tab>`.
    let complete = b"\nCOMP_WORDS=(engage-host relo); COMP_CWORD=1\n\
        _engage__host engage-host relo engage-host; echo \"${COMPREPLY[@]}\"\n";
    input.write_all(complete).unwrap();
    drop(input);
    let completed = bash.wait_with_output().unwrap();
    assert!(completed.status.success());
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "reload\n");
}

#[test]
fn every_command_has_its_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let written = run(program().arg("man").arg(folder.path()));
    assert_eq!(written.code, Some(0), "{written:?}");
    for (page, words) in [
        ("engage-host.1", "serve"),
        ("engage-host-serve.1", "\\-\\-init"),
        ("engage-host-devices-audits.1", "\\-\\-follow"),
    ] {
        let text = fs_err::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH "), "{page}: {text}");
        assert!(text.contains(words), "{page}: {text}");
    }
}
