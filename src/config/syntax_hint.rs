//! What somebody probably meant whose configuration is not as it should be.

use std::ops::Range;

use engage_wire::escape_for_terminal;

/// One sentence for the person who wrote `text`.
pub(super) fn syntax_hint(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let line = line_at(text, error.span());
    unknown_key_hint(message, &table_at(text, error.span()))
        .or_else(|| message_hint(message, line).map(str::to_owned))
        .or_else(|| line_path_hint(line))
        .or_else(|| value_hint(line).map(str::to_owned))
        .unwrap_or_else(|| {
            "docs/CONFIGURATION.md lists every key with its allowed values".to_owned()
        })
}

/// For a key that is written wrong, or in the wrong section.
fn unknown_key_hint(message: &str, table: &str) -> Option<String> {
    let (unknown, known) = unknown_key(message)?;
    if unknown == "site" && known.contains(&"key_file") {
        return Some("a file of `sites_dir` is one site: leave `[[site]]` out".to_owned());
    }
    if let Some(nearest) = nearest(unknown, &known) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    match sections_with(unknown).as_slice() {
        ["", ..] => Some(format!(
            "`{unknown}` is a key of the whole file: it belongs above the first `[section]`, not into `{table}`"
        )),
        [section] => Some(format!("`{unknown}` belongs into `{section}`")),
        _ => None,
    }
}

/// For what the TOML parser or serde says of a whole kind of mistakes.
fn message_hint(message: &str, line: &str) -> Option<&'static str> {
    let is = |part: &str| message.contains(part);
    if is("invalid type: map, expected a sequence") {
        return Some("write `[[site]]` with two brackets: there may be several sites");
    }
    if line.starts_with("[[") && !line.starts_with("[[site]]") {
        return Some("write this section's name in single brackets: there is only one");
    }
    if is("expected a sequence") {
        return Some("a list is written in brackets: `[\"..\", \"..\"]`");
    }
    if is("invalid type: string, expected a whole number") || is("invalid type: string \"") {
        return Some("numbers, `true` and `false` are written without quotes");
    }
    if is("expected a boolean") {
        return Some("allowed: `true` or `false`, without quotes");
    }
    if is("socket address") {
        return Some("an address is `IP:PORT`, such as `0.0.0.0:80`; names are not looked up");
    }
    if is("missing field `https`") {
        return Some("add `[https]` with `certificate` and `private_key`");
    }
    None
}

/// For a path of Windows in double quotes, however it was read.
pub(super) fn path_hint(written: &str) -> String {
    let inner = written.strip_prefix('"').unwrap_or_default();
    let inner = inner.split('"').next().unwrap_or_default();
    if !inner.contains('\\') {
        return "a path has no such character: write it anew".to_owned();
    }
    let meant = inner.replace(r"\\", r"\");
    if meant.len() > MAX_SUGGESTED_BYTES || meant.contains(['\'', '\n']) {
        return format!("{ESCAPES}: write the path in 'single quotes', or with `/`");
    }
    let meant = escape_for_terminal(&meant);
    let slashed = meant.replace('\\', "/");
    format!("{ESCAPES}: write '{meant}' in single quotes, or \"{slashed}\"")
}

/// The same for a line that cannot be read.
fn line_path_hint(line: &str) -> Option<String> {
    let (_, value) = line.split_once('=')?;
    let value = value.trim_start();
    (value.starts_with('"') && value.contains('\\')).then(|| path_hint(value))
}

/// For what stands in a line that is not TOML.
fn value_hint(line: &str) -> Option<&'static str> {
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    let word = value.split([' ', '#', '\t']).next().unwrap_or_default();
    if ["yes", "no", "on", "off"].contains(&word.to_ascii_lowercase().as_str())
        || ["True", "False", "TRUE", "FALSE"].contains(&word)
    {
        return Some("allowed: `true` or `false`");
    }
    if line.contains(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}']) {
        return Some("use straight quotes: `\"..\"` or `'..'`");
    }
    let is_text = word.starts_with(|first: char| first.is_alphanumeric() || first == '/');
    if is_text && word.parse::<f64>().is_err() && !["true", "false"].contains(&word) {
        return Some("text is written in quotes: `\"..\"`");
    }
    if line.trim_start().starts_with(['/', ';']) {
        return Some("a comment begins with `#`");
    }
    None
}

/// Reads serde's "unknown field `htps`, expected one of `http`, `https`".
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(unknown, known), *known))
        .min_by_key(|(distance, _)| *distance)
        // Further apart than this, a suggestion would be a guess.
        .filter(|(distance, known)| *distance <= known.len().max(3) / 2)
        .map(|(_, known)| known)
}

/// The headers below which the documented configuration has a key; the whole file's is "".
fn sections_with(key: &str) -> Vec<&'static str> {
    let mut section = "";
    let mut found = Vec::new();
    for line in DOCUMENTED.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            section = line.split_inclusive(']').next().unwrap_or_default();
            if line.starts_with("[[") {
                section = line.split(' ').next().unwrap_or_default();
            }
        } else if line
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(" ="))
        {
            found.push(section);
        }
    }
    found
}

/// The header of the table in which an error is.
fn table_at(text: &str, span: Option<Range<usize>>) -> String {
    let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or("");
    let header = before.lines().rfind(|line| line.starts_with('['));
    header.unwrap_or("this section").trim_end().to_owned()
}

/// The line in which an error begins.
fn line_at(text: &str, span: Option<Range<usize>>) -> &str {
    let start = span.map_or(0, |span| span.start).min(text.len());
    let begin = text.get(..start).and_then(|before| before.rfind('\n'));
    let line = text.get(begin.map_or(0, |at| at + 1)..).unwrap_or_default();
    line.lines().next().unwrap_or_default()
}

const ESCAPES: &str = "in \"double quotes\" a backslash begins an escape";

/// Longer paths are not repeated.
const MAX_SUGGESTED_BYTES: usize = 120;

/// A test sees to it that it has every key.
const DOCUMENTED: &str = include_str!("../../docs/config.toml");

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// The hint for the documented configuration with one change.
    fn hint(from: &str, to: &str) -> String {
        assert!(DOCUMENTED.contains(from), "{from}");
        let text = DOCUMENTED.replacen(from, to, 1);
        let refused = Config::parse(Path::new("/etc/engage-host/config.toml"), &text).unwrap_err();
        engage_wire::diagnostic::hint(&refused)
    }

    /// What is in the configuration, what people write in its place, and what they are told.
    const WRITTEN: &[(&str, &str, &str)] = &[
        ("[[site]]", "[site]", "write `[[site]]` with two brackets"),
        ("[https]", "[[https]]", "in single brackets"),
        (
            "\"pki/site.key\"",
            r#""C:\ProgramData\site.key""#,
            r#"write 'C:\ProgramData\site.key' in single quotes, or "C:/ProgramData/site.key""#,
        ),
        (
            "\"pki/site.key\"",
            r#""C:\temp\new\site.key" # moved"#,
            r#"write 'C:\temp\new\site.key' in single quotes, or "C:/temp/new/site.key""#,
        ),
        // The quote is escaped, and the string goes on.
        (
            "# static_dir = \"static\"",
            r#"static_dir = "C:\ProgramData\""#,
            r"write 'C:\ProgramData\' in single quotes",
        ),
        (
            "\"pki/site.key\"",
            r#""C:\\engage\pki's\site.key""#,
            "write the path in 'single quotes', or with `/`",
        ),
        (
            "\"pki/site.key\"",
            "'pki\tsite.key'",
            "a path has no such character",
        ),
        (
            "# plain_http = false",
            "plain_http = yes",
            "`true` or `false`",
        ),
        (
            "# plain_http = false",
            "plain_http = True",
            "`true` or `false`",
        ),
        (
            "# plain_http = false",
            "plain_http = \"false\"",
            "without quotes",
        ),
        (
            "# drain_seconds = 20",
            "drain_seconds = \"20\"",
            "without quotes",
        ),
        ("\"pki/site.key\"", "pki/site.key", "in quotes"),
        (
            "\"pki/site.key\"",
            "\u{201c}pki/site.key\u{201d}",
            "straight quotes",
        ),
        (
            "[https]",
            "[https]\nbase_url = \"http://a\"",
            "above the first `[section]`, not into `[https]`",
        ),
        (
            "[limits]",
            "[limits]\nplain_http = true",
            "`plain_http` belongs into `[devices]`",
        ),
        (
            "[limits]",
            "[limits]\nkey_file = \"a\"",
            "`key_file` belongs into `[[site]]`",
        ),
        (
            "[limits]",
            "[limits]\ndrain_second = 1",
            "did you mean `drain_seconds`?",
        ),
        ("[limits]", "[limits]\nwombat = 1", "docs/CONFIGURATION.md"),
        (
            "# allow = [\"10.44.0.0/16\", \"2001:db8::/32\"]",
            "allow = \"10.0.0.0/8\"",
            "in brackets",
        ),
        (
            "[limits]",
            "// limits\n[limits]",
            "a comment begins with `#`",
        ),
        (
            "[http]",
            "[http]\nlisten = \"localhost:80\"",
            "names are not looked up",
        ),
    ];

    #[test]
    fn what_people_write_is_answered_with_what_they_meant() {
        let mut wrong = Vec::new();
        for (from, to, expected) in WRITTEN {
            let hint = hint(from, to);
            if !hint.contains(expected) {
                wrong.push(format!("{to}: {hint}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
