//! Programs that are killed between two writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// Kills a program in the place of one of its calls of `fsync`, after as many as `FSYNCS` says.
pub(crate) fn killing_library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("kill.c"), folder.join("kill.so"));
    fs_err::write(&source, KILL).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    let compiled = run(&mut compiler);
    assert_eq!(compiled.code, Some(0), "{}", compiled.stderr_text());
    library
}

const KILL: &str = r#"
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int file) {
    static int left = -1;
    if (left < 0)
        left = atoi(getenv("FSYNCS"));
    if (left-- == 0)
        raise(SIGKILL);
    return syscall(SYS_fsync, file);
}
"#;
