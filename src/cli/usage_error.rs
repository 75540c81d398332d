//! What is wrong with the arguments, for scripts.

use std::ffi::OsString;

use clap::error::ErrorKind;
use miette::Diagnostic;

/// What clap says to people in paragraphs: the error, tips, the usage.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("{message}")]
#[diagnostic(code("usage"), help("{hint}"))]
pub(super) struct UsageError {
    message: String,
    hint: String,
}

impl UsageError {
    pub(super) fn new(error: &clap::Error) -> Self {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self {
                message: "a command or an argument is missing".to_owned(),
                hint: "`--help` lists them".to_owned(),
            };
        }
        let text = error.render().to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let hints: Vec<_> = rest.split("\n\n").map(hint).collect();
        Self {
            message: one_line(message.strip_prefix("error: ").unwrap_or(message)),
            hint: hints.join("; "),
        }
    }
}

/// Whether whoever has given these arguments reads JSON, even where they cannot be understood.
pub(super) fn ask_for_json(arguments: &[OsString]) -> bool {
    let mut options = arguments.iter().take_while(|it| *it != "--");
    options.any(|it| it == "--json")
}

/// One paragraph below the error.
fn hint(paragraph: &str) -> String {
    let text = one_line(paragraph);
    if let Some(usage) = text.strip_prefix("Usage: ") {
        return format!("usage: {usage}");
    }
    let text = text.strip_prefix("For more information, ").unwrap_or(&text);
    text.trim_end_matches('.').to_owned()
}

fn one_line(paragraph: &str) -> String {
    let words: Vec<_> = paragraph.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands;

    fn usage_error(arguments: &[&str]) -> UsageError {
        let arguments = std::iter::once("engage-host").chain(arguments.iter().copied());
        UsageError::new(&commands().try_get_matches_from(arguments).unwrap_err())
    }

    #[test]
    fn the_error_is_the_message_and_the_rest_is_the_hint() {
        let UsageError { message, hint } = usage_error(&["check", "--stricd", "--json"]);
        assert_eq!(message, "unexpected argument '--stricd' found");
        assert_eq!(
            hint,
            "tip: a similar argument exists: '--strict'; usage: engage-host check --strict; try '--help'"
        );
        let UsageError { message, hint } = usage_error(&["hash", "--json"]);
        assert_eq!(
            message,
            "the following required arguments were not provided: --site-key-file <FILE> <FILE.der>"
        );
        assert!(hint.starts_with("usage: engage-host hash "), "{hint}");
        let UsageError { message, hint } = usage_error(&["rotate"]);
        assert_eq!(message, "a command or an argument is missing");
        assert_eq!(hint, "`--help` lists them");
    }

    #[test]
    fn json_is_asked_for_by_an_option_and_not_by_an_argument() {
        let arguments = |words: &[&str]| words.iter().map(Into::into).collect::<Vec<_>>();
        assert!(ask_for_json(&arguments(&[
            "engage-host",
            "--json",
            "check"
        ])));
        assert!(!ask_for_json(&arguments(&["engage-host", "check"])));
        assert!(!ask_for_json(&arguments(&["engage-host", "--", "--json"])));
    }
}
