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
    let tests = quoted().filter(|it| !it.contains(" = "));
    let named: Vec<_> = tests.filter_map(|it| it.rsplit_once("::")).collect();
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

/// `NAME = value` is the only constant of that name in the source, `module::NAME = value` in the module.
#[test]
fn each_constant_is_the_sources() {
    let sources = sources();
    let mut count = 0;
    for (path, value) in quoted().filter_map(|it| it.split_once(" = ")) {
        let (module, name) = match path.rsplit_once("::") {
            Some((module, name)) => (Some(module), name),
            None => (None, path),
        };
        if !name.starts_with(|first: char| first.is_ascii_uppercase()) {
            continue;
        }
        let declaration = format!("const {name}: ");
        let values: Vec<_> = sources
            .iter()
            .filter(|(it, _)| module.is_none_or(|module| module == it))
            .flat_map(|(_, source)| values_of(&declaration, source))
            .collect();
        assert_eq!(values, [value], "{path}");
        count += 1;
    }
    assert!(count > 20);
}

fn values_of<'a>(declaration: &'a str, source: &'a str) -> Vec<&'a str> {
    let declared = source.split(declaration).skip(1);
    let values = declared.filter_map(|it| it.split_once(" = ")?.1.split_once(';'));
    values.map(|(value, _)| value).collect()
}

/// Each module's name and text.
fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join("src"), root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let module = match path.file_stem().unwrap() {
                    stem if stem == "mod" => path.parent().unwrap().file_name().unwrap(),
                    stem => stem,
                };
                sources.push((module.to_str().unwrap().to_owned(), text));
            }
        }
    }
    sources
}
