//! JSON for people.

/// Minified JSON with a member or element a line. `serde_json` would sort members and write numbers
/// anew; this leaves all as the device sent it.
pub(crate) fn pretty_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            text.push(character);
            continue;
        }
        match character {
            '{' | '[' if matches!(characters.peek(), Some('}' | ']')) => {
                text.push(character);
                text.extend(characters.next());
            }
            '{' | '[' => {
                depth += 1;
                text.push(character);
                break_line(&mut text, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(character);
                break_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => {
                in_string = character == '"';
                text.push(character);
            }
        }
    }
    text
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_strings_their_brackets() {
        assert_eq!(
            pretty_json(r#"{"z":[1,{"a":"x\",{:"}],"b":{},"c":[]}"#),
            "{\n  \"z\": [\n    1,\n    {\n      \"a\": \"x\\\",{:\"\n    }\n  ],\n  \"b\": {},\n  \"c\": []\n}"
        );
    }
}
