//! What the vendor's two Flask scripts say: read, never run (PROTOCOL.md section 5).
//!
//! Operators edit hash, address and file names into them by hand. So the values are looked for by
//! their names, in any notation of Python for a literal: JSON in a string, a dict, keyword
//! arguments, names that stand for a literal, f-strings and `+`.

use std::collections::HashMap;

use super::tokens::{Token, tokens};

/// The values of a script that were found.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct ScriptFacts {
    pub(super) announcement: Option<OldAnnouncement>,
    /// Path of the server's certificate, as written.
    pub(super) certificate: Option<String>,
    /// Path of its private key, as written.
    pub(super) key: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// What the old server told devices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct OldAnnouncement {
    pub(super) cert_url: String,
    pub(super) hash: String,
}

impl ScriptFacts {
    pub(super) fn parse(source: &str) -> Self {
        let tokens = tokens(source);
        let values = Values {
            constants: constants(&tokens),
        };
        let pair = values.certificate_and_key(&tokens);
        let (certificate, key) = pair.unwrap_or_default();
        Self {
            announcement: values.announcement(&tokens, MAX_NESTING),
            certificate,
            key,
            host: values.argument(&tokens, "host"),
            port: values
                .argument(&tokens, "port")
                .and_then(|port| port.parse().ok()),
        }
    }

    /// Whether the script serves TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.certificate.is_some()
    }
}

/// Names that stand for a literal: `SERVER = "10.44.68.128"`. The first counts, as for a reader.
fn constants(tokens: &[Token]) -> HashMap<String, String> {
    let mut values = Values {
        constants: HashMap::new(),
    };
    for (at, window) in tokens.windows(3).enumerate() {
        let starts_line = at == 0 || tokens[at - 1] == Token::Sign('\n');
        if let [Token::Word(name), Token::Sign('='), value] = window
            && starts_line
            && *value != Token::Sign('=')
            && let Some(value) = values.value(&tokens[at + 2..])
        {
            values.constants.entry(name.clone()).or_insert(value);
        }
    }
    values.constants
}

struct Values {
    constants: HashMap<String, String>,
}

impl Values {
    /// `cert_url` and `hash`, wherever they stand together first: here, or in the text of literals.
    fn announcement(&self, tokens: &[Token], nesting: usize) -> Option<OldAnnouncement> {
        if let Some(cert_url) = self.named(tokens, "cert_url")
            && let Some(hash) = self.named(tokens, "hash")
        {
            return Some(OldAnnouncement { cert_url, hash });
        }
        let nesting = nesting.checked_sub(1)?;
        tokens
            .iter()
            .enumerate()
            .find_map(|(at, token)| match token {
                Token::Text { text, .. } if text.contains("cert_url") => {
                    let inner = self.added_literals(&tokens[at..], true)?;
                    self.announcement(&super::tokens::tokens(&inner), nesting)
                }
                _ => None,
            })
    }

    /// The value of `"name": value`, `name=value` or `["name"] = value`.
    fn named(&self, tokens: &[Token], name: &str) -> Option<String> {
        tokens.iter().enumerate().find_map(|(at, token)| {
            let (Token::Word(found) | Token::Text { text: found, .. }) = token else {
                return None;
            };
            if !found.eq_ignore_ascii_case(name) {
                return None;
            }
            let mut rest = &tokens[at + 1..];
            if let [Token::Sign(']'), more @ ..] = rest {
                rest = more;
            }
            match rest {
                [Token::Sign(':' | '='), value @ ..] => self.value(value),
                _ => None,
            }
        })
    }

    /// `load_cert_chain(certfile=.., keyfile=..)`, the same by position, or
    /// `ssl_context=(.., ..)`.
    fn certificate_and_key(&self, tokens: &[Token]) -> Option<(Option<String>, Option<String>)> {
        let at = tokens
            .iter()
            .position(|token| matches!(token, Token::Word(word) if word == "load_cert_chain"));
        let at = at.or_else(|| {
            tokens.windows(3).position(|window| {
                matches!(window, [Token::Word(word), Token::Sign('='), Token::Sign('(')] if word == "ssl_context")
            })
        })?;
        let open = at + tokens[at..].iter().position(|it| *it == Token::Sign('('))?;
        let arguments = &tokens[open + 1..];
        let end = arguments.iter().position(|it| *it == Token::Sign(')'));
        let arguments = &arguments[..end.unwrap_or(arguments.len())];
        let positional: Vec<_> = arguments
            .split(|it| *it == Token::Sign(','))
            .filter(|argument| !argument.contains(&Token::Sign('=')))
            .filter_map(|argument| self.value(argument))
            .collect();
        let mut positional = positional.into_iter();
        let certificate = self
            .named(arguments, "certfile")
            .or_else(|| positional.next());
        let key = self
            .named(arguments, "keyfile")
            .or_else(|| positional.next());
        certificate.is_some().then_some((certificate, key))
    }

    /// The keyword argument of `app.run(..)` or of another server's start.
    fn argument(&self, tokens: &[Token], name: &str) -> Option<String> {
        tokens
            .windows(2)
            .enumerate()
            .find_map(|(at, window)| match window {
                [Token::Word(word), Token::Sign('=')] if word == name => {
                    self.value(&tokens[at + 2..])
                }
                _ => None,
            })
    }

    /// The literal at the start of `tokens`, with those that are added to it. `None` for what
    /// only a running script knows.
    fn value(&self, tokens: &[Token]) -> Option<String> {
        self.added_literals(tokens, false)
    }

    /// As [`Self::value`]; inside of a parenthesis that is open, literals go on in the next line.
    fn added_literals(&self, tokens: &[Token], mut is_open: bool) -> Option<String> {
        let mut value = String::new();
        let mut rest = tokens;
        let mut is_term_due = true;
        while value.len() <= MAX_VALUE_BYTES {
            match rest {
                [Token::Sign('('), more @ ..] if is_term_due && value.is_empty() => {
                    is_open = true;
                    rest = more;
                }
                [Token::Sign('\n'), more @ ..] if is_term_due || is_open => rest = more,
                [Token::Sign('+'), more @ ..] if !is_term_due => {
                    is_term_due = true;
                    rest = more;
                }
                // What is done to it then, such as `% host` or `.format(host)`, is not known.
                [Token::Sign('%' | '.'), ..] if !is_term_due => return None,
                [term @ Token::Text { .. }, more @ ..] => {
                    value.push_str(&self.literal(term)?);
                    is_term_due = false;
                    rest = more;
                }
                [term @ Token::Word(_), more @ ..] if is_term_due => {
                    value.push_str(&self.literal(term)?);
                    is_term_due = false;
                    rest = more;
                }
                _ if is_term_due => return None,
                _ => return Some(value),
            }
        }
        None
    }

    fn literal(&self, token: &Token) -> Option<String> {
        match token {
            Token::Text {
                text,
                is_formatted: false,
            } => Some(text.clone()),
            Token::Text {
                text,
                is_formatted: true,
            } => self.formatted(text),
            Token::Word(word) if word.bytes().all(|it| it.is_ascii_digit()) => Some(word.clone()),
            Token::Word(word) => self.constants.get(word).cloned(),
            Token::Sign(_) => None,
        }
    }

    /// An f-string: `{{` is a brace, `{name}` the value of a name.
    fn formatted(&self, text: &str) -> Option<String> {
        let mut value = String::new();
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '{' if rest.next_if_eq(&'{').is_none() => {
                    let name: String = rest.by_ref().take_while(|it| *it != '}').collect();
                    value.push_str(self.constants.get(name.trim())?);
                }
                '}' => {
                    let _ = rest.next_if_eq(&'}');
                    value.push('}');
                }
                it => value.push(it),
            }
        }
        Some(value)
    }
}

/// JSON in a literal is one; no script needs more.
const MAX_NESTING: usize = 3;

/// Nothing that is looked for is longer. Names that stand for names could make it endless.
const MAX_VALUE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "http://10.44.68.128/static/Device_Certificates/partner_CA.der";
    const HASH: &str = "2t86cWeynRQV1nJw59R4aOktjR0=";

    fn announced(source: &str) -> Option<(String, String)> {
        let found = ScriptFacts::parse(source).announcement?;
        Some((found.cert_url, found.hash))
    }

    #[test]
    fn the_announcement_is_found_in_every_notation() {
        let json = format!(r#"{{"cert_url":"{URL}","hash":"{HASH}"}}"#);
        for source in [
            format!("    return '{json}', 200"),
            format!("    return \\\n\t'{json}', 200"),
            format!("return \"{}\", 200", json.replace('"', "\\\"")),
            format!("return '''{json}'''"),
            format!("return ('{{\"cert_url\":\"{URL}\",'\n   '\"hash\":\"{HASH}\"}}', 200)"),
            format!("return jsonify({{'cert_url': '{URL}', 'hash': '{HASH}'}})"),
            format!("return jsonify(cert_url='{URL}', hash=\"{HASH}\")"),
            format!("answer['cert_url'] = '{URL}'\nanswer['hash'] = '{HASH}'"),
            format!("HASH = '{HASH}'\nreturn jsonify(cert_url='{URL}', hash=HASH)"),
            format!(
                "ip = '10.44.68.128'\nh = '{HASH}'\nreturn f'{{{{\"cert_url\":\"http://{{ip}}/static/\
                 Device_Certificates/partner_CA.der\",\"hash\":\"{{h}}\"}}}}'"
            ),
            format!(
                "ip = '10.44.68.128'\nreturn '{{\"cert_url\":\"http://' + ip + '/static/Device_Certificates/partner_CA.der'\
                 '\",\"hash\":\"{HASH}\"}}', 200"
            ),
            format!("# '{{\"cert_url\":\"http://old/x.der\",\"hash\":\"b2xk\"}}'\nreturn '{json}'"),
        ] {
            assert_eq!(
                announced(&source),
                Some((URL.into(), HASH.into())),
                "{source}"
            );
        }
    }

    #[test]
    fn what_only_a_running_script_knows_is_not_guessed() {
        for source in [
            "return jsonify(cert_url=url(), hash=compute())",
            "return '{\"cert_url\":\"http://%s/x.der\",\"hash\":\"x\"}' % ip",
            "return f'{{\"cert_url\":\"{URL}\",\"hash\":\"{h}\"}}'",
            "# return '{\"cert_url\":\"http://x/x.der\",\"hash\":\"x\"}'",
        ] {
            assert_eq!(announced(source), None, "{source}");
        }
    }

    #[test]
    fn certificate_key_address_and_port_are_found() {
        for source in [
            "context.load_cert_chain(certfile='./static/a.pem',\n    keyfile='./static/a.key')\n\
             app.run(host='10.44.68.128', port=443, ssl_context=context, threaded=True)",
            "PORT = 443\ncontext.load_cert_chain('./static/a.pem', './static/a.key')\n\
             app.run('x', host='10.44.68.128', port=PORT)",
            "app.run(host='10.44.68.128', port=443, ssl_context=('./static/a.pem', './static/a.key'))",
        ] {
            let facts = ScriptFacts::parse(source);
            assert_eq!(
                facts.certificate.as_deref(),
                Some("./static/a.pem"),
                "{source}"
            );
            assert_eq!(facts.key.as_deref(), Some("./static/a.key"), "{source}");
            assert_eq!(facts.host.as_deref(), Some("10.44.68.128"), "{source}");
            assert_eq!(facts.port, Some(443), "{source}");
        }
        let plain = ScriptFacts::parse("app.run(debug=False, host='0.0.0.0', port=80)");
        assert!(!plain.is_secure());
        assert_eq!(plain.port, Some(80));
    }

    #[test]
    fn a_windows_path_keeps_its_backslashes() {
        let facts = ScriptFacts::parse(
            r"c.load_cert_chain('static\Device_Certificates\p.pem', r'C:\new\p.key')",
        );
        assert_eq!(
            facts.certificate.as_deref(),
            Some(r"static\Device_Certificates\p.pem")
        );
        assert_eq!(facts.key.as_deref(), Some(r"C:\new\p.key"));
    }

    proptest! {
        #[test]
        fn no_script_is_too_strange(source in r#"([a-z_]|cert_url|hash|load_cert_chain|[ \n=:,.+%(){}\[\]'"\\#]|f'|""")*"#) {
            let _ = ScriptFacts::parse(&source);
        }
    }
}
