//! docs/THREATS.md names tests that exist, and limits as they are.

use std::path::{Path, PathBuf};

use fs_err as fs;

const PAGE: &str = include_str!("../../docs/THREATS.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every second part between back-ticks.
fn quoted() -> impl Iterator<Item = &'static str> {
    PAGE.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn each_test_that_is_named_exists() {
    let named: Vec<_> = quoted().filter_map(|it| it.rsplit_once("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named
        .into_iter()
        .filter(|(file, name)| !is_test(file, name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

fn is_test(file: &str, name: &str) -> bool {
    // A path, or a module of these tests.
    let file = if file.contains('/') {
        root().join(file)
    } else {
        root().join(format!("tests/it/{}.rs", file.replace("::", "/")))
    };
    let source = fs::read_to_string(file).unwrap_or_default();
    source
        .split("fn ")
        .any(|it| it.strip_prefix(name).is_some_and(|it| it.starts_with('(')))
}

/// Keys with their defaults are those of docs/config.toml, which a test holds against the code.
#[test]
fn each_default_is_the_configurations() {
    let documented = include_str!("../../docs/config.toml");
    let mut count = 0;
    for limit in quoted().filter(|it| it.starts_with('[') && it.contains(" = ")) {
        let (section, setting) = limit.split_once("] ").unwrap();
        let lines = documented
            .split(&format!("{section}]"))
            .nth(1)
            .unwrap()
            .lines();
        let is_documented = lines
            .skip(1)
            .take_while(|line| !line.contains('[') || line.starts_with('#'))
            .any(|line| line.trim_start_matches("# ").split("  ").next() == Some(setting));
        assert!(is_documented, "{limit}");
        count += 1;
    }
    assert!(count > 10);
}

/// `NAME = value` is a constant of the source.
#[test]
fn each_constant_is_the_sources() {
    let sources = sources();
    let mut count = 0;
    for constant in quoted().filter(|it| it.starts_with(|first: char| first.is_ascii_uppercase())) {
        let Some((name, value)) = constant.split_once(" = ") else {
            continue;
        };
        let declaration = format!("const {name}: ");
        let values: Vec<_> = sources
            .split(&declaration)
            .skip(1)
            .filter_map(|it| it.split_once(" = ")?.1.split_once(';'))
            .map(|(value, _)| value)
            .collect();
        assert!(values.contains(&value), "{constant}: {values:?}");
        count += 1;
    }
    assert!(count > 5);
}

fn sources() -> String {
    let mut text = String::new();
    let mut folders: Vec<PathBuf> = vec![root().join("src"), root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}
