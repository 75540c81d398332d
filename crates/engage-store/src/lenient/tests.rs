use proptest::prelude::*;

use super::*;

fn mended(body: impl AsRef<[u8]>) -> (Vec<String>, String) {
    let Mended { values, notes } = mend(body.as_ref()).unwrap();
    (values, notes.to_string())
}

#[test]
fn what_is_json_stays_as_it_is() {
    for (body, expected) in [
        ("{\"a\" : [1.50, 1e2 ,true] }\n", r#"{"a":[1.50,1e2,true]}"#),
        ("\u{feff}{\"a\":1,}", r#"{"a":1}"#),
        (r#"{"a\u00e9\"}":"{[,\\"}"#, r#"{"a\u00e9\"}":"{[,\\"}"#),
        ("[1,]", "[1]"),
    ] {
        assert_eq!(mended(body), (vec![expected.to_owned()], String::new()));
    }
}

#[test]
fn what_is_nearly_json_is_mended_and_noted() {
    for (body, expected, note) in [
        (&b"{\"a\":1}\0\0"[..], r#"{"a":1}"#, "NUL"),
        (b"\0\0{\"a\":1}\r\n", r#"{"a":1}"#, "NUL"),
        (b")]}',\n{\"a\":1}", r#"{"a":1}"#, "left out"),
        (b"json={\"a\":1}", r#"{"a":1}"#, "before or after"),
        (b"{\"a\":1}OK\r\n", r#"{"a":1}"#, "before or after"),
        (b"{\"a\":\"T\xfcr\"}", "{\"a\":\"T\u{fc}r\"}", "ISO 8859-1"),
        (b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0", r#"{"a":1}"#, "UTF-16"),
        (
            br#""{\"a\":\"b\"}""#,
            r#"{"a":"b"}"#,
            "inside a JSON string",
        ),
        (
            b"{\"a\":\"x\x01\n\"}",
            r#"{"a":"x\u0001\u000a"}"#,
            "control",
        ),
        (
            br#"{"a":"C:\doors\u12"}"#,
            r#"{"a":"C:\\doors\\u12"}"#,
            "backslashes",
        ),
        (
            b"{\"a\":NaN,\"b\":-inf}",
            r#"{"a":"NaN","b":"-inf"}"#,
            "quoted",
        ),
        (
            b"{\"a\":06010002,\"b\":0x1F}",
            r#"{"a":"06010002","b":"0x1F"}"#,
            "quoted",
        ),
        (b"{a:'b\"c'}", r#"{"a":"b\"c"}"#, "quoted"),
        (b"{\"a\":,\"b\":}", r#"{"a":null,"b":null}"#, "quoted"),
        (
            b"{\"a\":1 \"b\":[1 2,,3]}",
            r#"{"a":1,"b":[1,2,3]}"#,
            "commas",
        ),
        (b"{\"a\":[{\"b\":1},}", r#"{"a":[{"b":1}]}"#, "brackets"),
        (b"{\"a\":1}}", r#"{"a":1}"#, "brackets"),
        (
            b"{\"a\":[{\"b\":1},{\"b\":2",
            r#"{"a":[{"b":1}]}"#,
            "ended early",
        ),
    ] {
        let (values, notes) = mended(body);
        let body = String::from_utf8_lossy(body);
        assert_eq!(values, [expected], "{body}");
        assert!(notes.contains(note), "{body}: {notes}");
    }
}

#[test]
fn of_a_value_that_was_cut_nothing_is_guessed() {
    for body in [
        "{\"event\":\"0B04",
        "{\"event\":1",
        "{\"a\":[",
        "{",
        "{\"event\":tru",
    ] {
        assert_eq!(mended(body).0, Vec::<String>::new(), "{body}");
    }
}

#[test]
fn several_values_are_all_read() {
    let (values, notes) = mended("{\"a\":1}\n{\"b\":2}");
    assert_eq!(values, [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert!(notes.contains("several"), "{notes}");
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(mend(nested(MAX_NESTING).as_bytes()).is_ok());
    assert_eq!(
        mend(nested(MAX_NESTING + 1).as_bytes()).err(),
        Some(BodyError::TooDeep)
    );
}

#[test]
fn a_body_has_a_bounded_number_of_values_whatever_their_shape() {
    for (value, values) in [
        ("0,", 1),
        ("[],", 1),
        ("\"\",", 1),
        ("{},", 1),
        ("{\"\":0}", 3),
    ] {
        let body = |count: usize| format!("[{}", value.repeat(count / values));
        let (most, more) = (body(MAX_VALUES - 1), body(MAX_VALUES + 2));
        assert!(mend(most.as_bytes()).is_ok(), "{value}");
        let refused = mend(more.as_bytes()).unwrap_err();
        assert_eq!(refused, BodyError::TooManyValues, "{value}");
    }
}

#[test]
fn numbers_that_some_parsers_do_not_read_are_refused_or_kept_as_strings() {
    let number = |digits: usize| format!("[{},1]", "7".repeat(digits));
    assert_eq!(
        mended(number(MAX_NUMBER_CHARS)),
        (vec![number(MAX_NUMBER_CHARS)], String::new())
    );
    assert_eq!(
        mend(number(MAX_NUMBER_CHARS + 1).as_bytes()).err(),
        Some(BodyError::LongNumber(MAX_NUMBER_CHARS + 1))
    );
    let (values, notes) = mended("[1e999,-1e999,1e308,1e-999,NaN,Infinity,-Infinity]");
    assert_eq!(
        values,
        [r#"["1e999","-1e999",1e308,1e-999,"NaN","Infinity","-Infinity"]"#]
    );
    assert!(notes.contains("quoted"), "{notes}");
}

#[test]
fn half_a_surrogate_pair_is_no_escape_and_a_whole_one_is() {
    let whole = r#"["\ud83d\ude00\u00fc"]"#;
    assert_eq!(mended(whole), (vec![whole.to_owned()], String::new()));
    for (body, expected) in [
        (r#"["\ud83d"]"#, r#"["\\ud83d"]"#),
        (r#"["\ude00\ud83d"]"#, r#"["\\ude00\\ud83d"]"#),
        (r#"["\ud83d\u0041"]"#, r#"["\\ud83d\u0041"]"#),
        (r#"["\ud83d\ud83d\ude00"]"#, r#"["\\ud83d\ud83d\ude00"]"#),
    ] {
        let (values, notes) = mended(body);
        assert_eq!(values, [expected], "{body}");
        assert!(notes.contains("backslashes"), "{notes}");
    }
}

proptest! {
    #[test]
    fn any_json_is_only_minified(keys: Vec<String>, number: f64) {
        let value: serde_json::Value =
            keys.iter().map(|key| (key.clone(), serde_json::json!([key, number, {}]))).collect();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(mended(pretty), (vec![value.to_string()], String::new()));
    }

    #[test]
    fn no_body_makes_it_panic(body: Vec<u8>, text in "[{}\\[\\]\"',:\\\\a1 \u{0}]*") {
        for body in [&body[..], text.as_bytes()] {
            let _ = mend(body);
        }
    }
}
