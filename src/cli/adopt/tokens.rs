//! The tokens of a Python script, as far as they are needed to read values from it.

use std::iter::Peekable;
use std::str::Chars;

/// A piece of a script. Comments are none: an example that is commented out says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// A string literal without its quotes.
    Text {
        text: String,
        /// Whether `{name}` stands for a variable.
        is_formatted: bool,
    },
    /// Everything else, character by character; the end of a line is one.
    Sign(char),
}

/// Splits a script. Never fails: what is no Python becomes signs.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '#' => while rest.next_if(|it| *it != '\n').is_some() {},
            '\'' | '"' => tokens.push(text(&mut rest, next, "")),
            it if is_word(it) => {
                let mut word = String::from(it);
                while let Some(it) = rest.next_if(|it| is_word(*it)) {
                    word.push(it);
                }
                match rest.next_if(|it| is_prefix(&word) && matches!(it, '\'' | '"')) {
                    Some(quote) => tokens.push(text(&mut rest, quote, &word)),
                    None => tokens.push(Token::Word(word)),
                }
            }
            '\n' => tokens.push(Token::Sign('\n')),
            it if it.is_whitespace() => {}
            it => tokens.push(Token::Sign(it)),
        }
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Of string literals: raw, bytes, formatted, Unicode.
fn is_prefix(word: &str) -> bool {
    word.len() <= 2 && word.chars().all(|it| "rbfuRBFU".contains(it))
}

/// A string literal behind its opening quote. One that does not end, ends with the script.
fn text(rest: &mut Peekable<Chars<'_>>, quote: char, prefix: &str) -> Token {
    let is_raw = prefix.contains(['r', 'R']);
    let mut text = String::new();
    let mut is_triple = false;
    if rest.next_if_eq(&quote).is_some() {
        if rest.next_if_eq(&quote).is_none() {
            return text_token(text, prefix);
        }
        is_triple = true;
    }
    while let Some(next) = rest.next() {
        match next {
            '\\' if !is_raw => text.push_str(&escape(rest.next())),
            it if it == quote && !is_triple => break,
            it if it == quote => {
                text.push(it);
                let ending: String = [quote; 3].iter().collect();
                if let Some(before) = text.strip_suffix(&ending) {
                    text.truncate(before.len());
                    break;
                }
            }
            '\n' if !is_triple => break,
            it => text.push(it),
        }
    }
    text_token(text, prefix)
}

fn text_token(text: String, prefix: &str) -> Token {
    Token::Text {
        text,
        is_formatted: prefix.contains(['f', 'F']),
    }
}

/// An unknown escape stays as it is, which Windows paths in scripts rely on.
fn escape(escaped: Option<char>) -> String {
    match escaped {
        Some('n') => "\n".into(),
        Some('t') => "\t".into(),
        Some('r') => "\r".into(),
        Some('\n') | None => String::new(),
        Some(it @ ('\\' | '\'' | '"')) => it.into(),
        Some(it) => format!("\\{it}"),
    }
}
