//! docs/LOGGING.md lists what the source logs: every message, at its level, with its fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// The level, and the message with `..` for everything that is put in and without back-ticks.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Message(String, String);

type Messages = BTreeMap<Message, BTreeSet<String>>;

#[test]
fn every_message_is_in_the_documentation_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = documented(&fs::read_to_string(root.join("docs/LOGGING.md")).unwrap());
    let mut logged = Messages::new();
    for file in sources(root) {
        collect(&fs::read_to_string(&file).unwrap(), &mut logged);
    }
    assert!(logged.len() > 50, "{logged:#?}");
    let missing = rows(&logged, &documented);
    assert!(missing.is_empty(), "docs/LOGGING.md lacks\n{missing}");
    let stale = rows(&documented, &logged);
    assert!(
        stale.is_empty(),
        "docs/LOGGING.md has what nothing logs:\n{stale}"
    );
    for (message, fields) in &logged {
        assert_eq!(
            fields, &documented[message],
            "the fields of {message:?} (logged, documented)"
        );
    }
}

/// Rows for the documentation, of the messages that are not among `others`.
fn rows(messages: &Messages, others: &Messages) -> String {
    let mut rows = String::new();
    let unknown = messages
        .iter()
        .filter(|(message, _)| !others.contains_key(message));
    for (Message(level, text), fields) in unknown {
        let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        let _ = writeln!(rows, "| {level} | `{text}` | {} | |", fields.join(", "));
    }
    rows
}

/// What rows of the tables say: `| level | message | fields | ..`.
fn documented(text: &str) -> Messages {
    let mut messages = Messages::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        let [level, message, fields, ..] = cells.as_slice() else {
            continue;
        };
        if LEVELS.contains(level) {
            // Every second part between back-ticks is code.
            let fields = fields.split('`').skip(1).step_by(2).map(str::to_owned);
            messages.insert(
                Message((*level).into(), without_ticks(message)),
                fields.collect(),
            );
        }
    }
    messages
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("src")];
    folders.extend(
        fs::read_dir(root.join("crates"))
            .unwrap()
            .map(|it| it.unwrap().path().join("src")),
    );
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path
                .file_stem()
                .is_some_and(|it| it.to_string_lossy().ends_with("tests"));
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !is_test {
                files.push(path);
            }
        }
    }
    files
}

/// Finds `warn!(..)` and its like, up to the file's own tests, which come last.
fn collect(source: &str, messages: &mut Messages) {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    for level in LEVELS {
        let call = format!("{level}!(");
        for (at, _) in source.match_indices(&call) {
            let is_whole_name =
                !source[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_');
            if is_whole_name {
                add_event(level, &source[at + call.len()..], messages);
            }
        }
    }
}

/// Reads `target: .., name = value, %name, "message", ..`.
fn add_event(level: &str, arguments: &str, messages: &mut Messages) {
    let mut fields = BTreeSet::new();
    for argument in split_arguments(arguments) {
        if let Some(literal) = argument.strip_prefix('"') {
            let message = Message(level.into(), template(literal.trim_end_matches('"')));
            messages.entry(message).or_default().extend(fields);
            return;
        }
        let name = argument.trim_start_matches(['%', '?']);
        let end = name.find(|it: char| !(it.is_alphanumeric() || "_.".contains(it)));
        let name = &name[..end.unwrap_or(name.len())];
        if name != "target" {
            fields.insert(name.to_owned());
        }
    }
    panic!(
        "an event of level {level} has no message: {}",
        &arguments[..arguments.len().min(200)]
    );
}

/// The arguments of a call, whose opening parenthesis is in front of `text`.
fn split_arguments(text: &str) -> Vec<&str> {
    let (mut arguments, mut start, mut depth) = (Vec::new(), 0, 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                arguments.push(text[start..at].trim());
                return arguments;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    panic!("a call does not end: {text}");
}

/// The text of a message's literal, with `..` for each run of what is put in. What was suppressed
/// comes at the end of a throttled message, and has a field.
fn template(literal: &str) -> String {
    let text = literal.replace("\\\n", "");
    let text = text.trim_end_matches("{others}");
    let mut message = String::new();
    for (number, part) in text.split('{').enumerate() {
        let rest = if number == 0 {
            part
        } else {
            part.split_once('}').unwrap().1
        };
        if number > 0 && !message.ends_with("..") {
            message.push_str("..");
        }
        message.push_str(rest);
    }
    let words: Vec<_> = message.split_whitespace().collect();
    without_ticks(&words.join(" "))
}

fn without_ticks(text: &str) -> String {
    text.replace('`', "").trim().to_owned()
}

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
