//! Secrets of a device's parameters, replaced before anybody sees them.

use serde_json::value::RawValue;

use super::json::{Object, elements};
use super::lenient::mend;

/// JSON, minified, with every value replaced whose name speaks of a secret.
///
/// What is not quite JSON is read as a body is. Text that cannot be read is replaced as a whole:
/// it cannot be cleared.
pub fn redact(json: impl AsRef<[u8]>) -> String {
    let json = json.as_ref();
    let mended = mend(json).unwrap_or_default();
    let mut shown = String::with_capacity(json.len());
    let value = mended.values.first();
    match value.and_then(|value| serde_json::from_str::<&RawValue>(value).ok()) {
        Some(value) => redact_into(value, MAX_DEPTH, &mut shown),
        None => shown.push_str(REDACTED),
    }
    shown
}

fn redact_into(value: &RawValue, depth: usize, shown: &mut String) {
    if depth == 0 {
        shown.push_str(REDACTED);
    } else if let Ok(object) = Object::parse(value.get()) {
        redact_members(&object, depth, shown);
    } else if let Some(elements) = elements(value) {
        shown.push('[');
        for (at, element) in elements.into_iter().enumerate() {
            shown.push_str(if at == 0 { "" } else { "," });
            redact_into(element, depth - 1, shown);
        }
        shown.push(']');
    } else {
        shown.push_str(value.get());
    }
}

fn redact_members(object: &Object<'_>, depth: usize, shown: &mut String) {
    // `ext` lists name their parameters beside the value: {"key":"psswd","value":".."}.
    let is_pair = object.get("key").is_some() && object.get("value").is_some();
    let names_secret = is_pair
        && object
            .get("key")
            .is_some_and(|key| is_secret(key.get().trim_matches('"')));
    shown.push('{');
    for (at, (name, value)) in object.members().enumerate() {
        shown.push_str(if at == 0 { "" } else { "," });
        shown.push_str(&serde_json::json!(name).to_string());
        shown.push(':');
        let is_redacted = if is_pair {
            name.eq_ignore_ascii_case("value") && names_secret
                || !name.eq_ignore_ascii_case("key") && is_secret(name)
        } else {
            is_secret(name)
        };
        if is_redacted {
            shown.push_str(REDACTED);
        } else {
            redact_into(value, depth - 1, shown);
        }
    }
    shown.push('}');
}

/// Rather one too many than one too few.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "pin" || SECRET_PARTS.iter().any(|part| name.contains(part))
}

const REDACTED: &str = "\"***\"";

/// Every level is read again for the one below it.
const MAX_DEPTH: usize = 32;

const SECRET_PARTS: [&str; 13] = [
    "psswd",
    "passw",
    "passphrase",
    "pwd",
    "psk",
    "usrnm",
    "username",
    "secret",
    "key",
    "token",
    "credential",
    "primecr",
    "identity",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_replaced_at_every_depth_and_the_rest_is_kept() {
        let json = r#"{"wifi":[{"SSID":"corp","psswd":"a","Password":["b"],"usrNm":7}],"n":1.50}"#;
        assert_eq!(
            redact(json),
            r#"{"wifi":[{"SSID":"corp","psswd":"***","Password":"***","usrNm":"***"}],"n":1.50}"#
        );
    }

    #[test]
    fn a_list_of_keys_and_values_hides_the_values_of_secret_keys() {
        let json = r#"[{"key":"psswd","value":"a"},{"key":"relock","value":"3"}]"#;
        assert_eq!(
            redact(json),
            r#"[{"key":"psswd","value":"***"},{"key":"relock","value":"3"}]"#
        );
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_not_shown() {
        assert_eq!(redact("psswd=hunter2"), "\"***\"");
        let deep = format!("{}\"hunter2\"{}", "[".repeat(5000), "]".repeat(5000));
        assert!(!redact(deep).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            prop_assert!(!redact(text).is_empty());
        }

        #[test]
        fn a_secret_never_shows(depth in 0usize..40, name in "[xX]?(psswd|Passwd|PASSWORD|usrNm|secretKey)") {
            let json = format!(
                "{}{{\"{name}\":\"hunter2\"}}{}", "{\"a\":[".repeat(depth), "]}".repeat(depth)
            );
            prop_assert!(!redact(json).contains("hunter2"));
        }
    }
}
