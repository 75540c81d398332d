//! Steps that are killed: what each leaves, and what the next command makes of it.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use engage_store::{KeepDays, SqlOptions, SqlStore, StoreReader};
use tempfile::TempDir;

use super::fixture::new_chain;
use crate::harness::{Finished, Installation, program, run, standard};

/// Where the steps are taken; no daemon runs.
struct Folder(TempDir);

impl Folder {
    /// An installation after some steps.
    fn after(steps: &[&str]) -> Self {
        let installation = Installation::new(standard());
        let new = new_chain();
        installation.write("given/root.pem", &new.root.pem);
        installation.write("given/server.pem", new.pem());
        installation.write("given/server.key", new.server.key.pem());
        installation.write("pki/partner_CA.key", standard().root.key.pem());
        fs_err::create_dir(installation.path("Engage_Data")).unwrap();
        let database = installation.path("Engage_Data/engage-host.db");
        let store = SqlStore::open(SqlOptions::sqlite(database), KeepDays::default());
        drop(store.unwrap());
        let folder = Self(tempfile::tempdir().unwrap());
        copy(installation.folder(), folder.0.path());
        for step in steps {
            folder.rotate(step);
        }
        folder
    }

    fn copied(&self) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        copy(self.0.path(), folder.0.path());
        folder
    }

    fn command(&self, step: &str) -> Command {
        let mut command = program();
        command.current_dir(self.0.path()).args(["rotate", step]);
        if step == "prepare" && !self.0.path().join("pki/next").exists() {
            command.args(["--root", "given/root.pem", "--chain", "given/server.pem"]);
            command.args(["--key", "given/server.key"]);
        }
        if ["activate", "retire"].contains(&step) {
            // No device is known.
            command.arg("--force");
        }
        command
    }

    fn rotate(&self, step: &str) -> String {
        let finished = run(&mut self.command(step));
        assert_eq!(finished.code, Some(0), "{step}: {finished:?}");
        finished.stdout_text()
    }

    fn step(&self) -> Option<String> {
        let database = self.0.path().join("Engage_Data/engage-host.db");
        let reader = StoreReader::open(&SqlOptions::sqlite(database)).unwrap();
        let rotation = reader.rotation().unwrap().rotation;
        rotation.map(|it| it.step.to_string())
    }

    fn check(&self) -> Finished {
        run(program().current_dir(self.0.path()).arg("check"))
    }

    /// What is configured.
    fn configured(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let names = [
            "pki/partner_server.pem",
            "pki/partner_server.key",
            "static/Device_Certificates/partner_CA.der",
        ];
        let read = |name| (name, fs_err::read(self.0.path().join(name)).unwrap());
        names.into_iter().map(read).collect()
    }

    /// Each takes its step or says why not.
    fn try_every_command(&self, at: &str) {
        for step in ["prepare", "publish", "status", "activate", "retire", "undo"] {
            let folder = self.copied();
            let done = run(&mut folder.command(step));
            let is_explained = done.code == Some(1) && done.errors().contains("  hint: ");
            assert!(
                done.code == Some(0) || is_explained,
                "{at}: {step}: {done:?}"
            );
            let checked = folder.check();
            assert_eq!(checked.code, Some(0), "{at}: {step}: {checked:?}");
        }
    }

    /// Ends what is under way, from wherever it is.
    fn undo(&self) {
        for _ in 0..2 {
            if self.step().is_some() {
                self.rotate("undo");
            }
        }
        assert_eq!(self.step(), None);
    }
}

/// Kills `step` at each of its writes in turn. Each time `status` and `check` make sense of what is
/// left, `undo` goes back from there, and the same step once more takes it.
#[track_caller]
fn kill_at_each_write(before: &[&str], step: &str, after: Option<&str>, can_undo: bool) {
    let tools = tempfile::tempdir().unwrap();
    let library = killing_library(tools.path());
    let start = Folder::after(before);
    let configured = start.configured();
    for write in 0.. {
        let folder = start.copied();
        let ended = folder
            .command(step)
            .env("LD_PRELOAD", &library)
            .env("WRITES", write.to_string())
            .output()
            .unwrap();
        if ended.status.success() {
            assert!(write >= 3, "{step}: {write}");
            assert_eq!(folder.step().as_deref(), after);
            return;
        }
        let at = format!("{step} killed at write {write}");
        assert_eq!(ended.status.signal(), Some(9), "{at}: {ended:?}");
        let status = folder.rotate("status");
        assert!(
            status.contains("in force: ") && status.contains("next: "),
            "{at}: {status}"
        );
        let checked = folder.check();
        assert_eq!(checked.code, Some(0), "{at}: {checked:?}");
        let text = checked.stdout_text();
        assert!(!text.contains(": refused"), "{at}: {text}");
        assert!(!text.contains("starts without site"), "{at}: {text}");
        if can_undo {
            let undone = folder.copied();
            undone.undo();
            assert_eq!(undone.configured(), configured, "{at}");
            assert_eq!(undone.check().code, Some(0), "{at}");
        }
        if write % 3 == 0 {
            folder.try_every_command(&at);
        }
        // It may have been all but done; `undo` once more goes on to the end.
        let is_done = folder.step().as_deref() == after;
        if !is_done || after.is_some() && step != "undo" {
            folder.rotate(step);
        }
        assert_eq!(folder.step().as_deref(), after, "{at}");
        assert_eq!(folder.check().code, Some(0), "{at}");
        if !can_undo {
            let new = folder.configured();
            assert_eq!(
                new["static/Device_Certificates/partner_CA.der"],
                new_chain().root.der
            );
            assert_eq!(
                new["pki/partner_server.key"],
                new_chain().server.key.pem().as_bytes()
            );
            assert_eq!(kept(folder.0.path()), old_files(&configured), "{at}");
        }
    }
}

#[test]
fn prepare() {
    kill_at_each_write(&[], "prepare", Some("prepared"), true);
}

#[test]
fn publish() {
    kill_at_each_write(&["prepare"], "publish", Some("published"), true);
}

#[test]
fn activate() {
    let before = ["prepare", "publish"];
    kill_at_each_write(&before, "activate", Some("activated"), true);
}

#[test]
fn undo() {
    kill_at_each_write(&["prepare"], "undo", None, true);
    let before = ["prepare", "publish"];
    kill_at_each_write(&before, "undo", Some("undoing"), true);
}

#[test]
fn retire() {
    let before = ["prepare", "publish", "activate"];
    kill_at_each_write(&before, "retire", None, false);
}

/// By name, without the folder that has them.
fn kept(home: &Path) -> BTreeMap<String, Vec<u8>> {
    let folders = fs_err::read_dir(home.join("pki")).unwrap();
    let paths = folders.map(|it| it.unwrap().path());
    let retired = paths.filter(|it| {
        it.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("retired-")
    });
    let retired: Vec<PathBuf> = retired.collect();
    assert_eq!(retired.len(), 1, "{retired:?}");
    let mut kept = BTreeMap::new();
    for folder in fs_err::read_dir(&retired[0]).unwrap() {
        for file in fs_err::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            kept.insert(name, fs_err::read(&path).unwrap());
        }
    }
    kept
}

fn old_files(configured: &BTreeMap<&'static str, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let mut old: BTreeMap<_, _> = configured
        .iter()
        .map(|(path, contents)| (name(path), contents.clone()))
        .collect();
    old.insert("partner_CA.key".into(), standard().root.key.pem().into());
    old
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}

/// Kills a program in the place of one of its calls that make a write durable or give it a name, after
/// as many as `WRITES` says.
fn killing_library(folder: &Path) -> PathBuf {
    let library = folder.join("kill.so");
    fs_err::write(folder.join("kill.c"), KILL).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    let compiled = run(compiler.arg(folder.join("kill.c")));
    assert_eq!(compiled.code, Some(0), "{}", compiled.stderr_text());
    library
}

const KILL: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void count(void) {
    static int left = -1;
    if (left < 0)
        left = atoi(getenv("WRITES"));
    if (left-- == 0)
        raise(SIGKILL);
}

int fsync(int file) {
    count();
    return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    count();
    return syscall(SYS_fdatasync, file);
}

int rename(const char *from, const char *to) {
    count();
    return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path) {
    count();
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
"#;
