//! Whatever a device sends: what is stored of it, the parsers of others read.

use std::process::Command;

use serde_json::Value;

use super::{AUDIT, DEVICE, of_device};
use crate::harness::{Host, run};

/// Values that parsers disagree on, and as what they are stored.
const ODD: &[(&str, &str)] = &[
    ("NaN", r#""NaN""#),
    ("Infinity", r#""Infinity""#),
    ("-Infinity", r#""-Infinity""#),
    ("1e999", r#""1e999""#),
    ("-1E+999", r#""-1E+999""#),
    ("1e308", "1e308"),
    ("-0", "-0"),
    ("1e-999", "1e-999"),
    (
        "123456789012345678901234567890",
        "123456789012345678901234567890",
    ),
    ("0123", r#""0123""#),
    ("0x1F", r#""0x1F""#),
    ("+1", r#""+1""#),
    (".5", r#"".5""#),
    ("5.", r#""5.""#),
    ("True", r#""True""#),
    ("undefined", r#""undefined""#),
    ("'single'", r#""single""#),
    (r#""\ud83d""#, r#""\\ud83d""#),
    (r#""\ude00\ud83d""#, r#""\\ude00\\ud83d""#),
    (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
    (r#""\ud83dA""#, r#""\\ud83dA""#),
    (r#""\x41\u12""#, r#""\\x41\\u12""#),
    (r#""\u0000""#, r#""\u0000""#),
    (
        "\"\u{0}\u{1}\u{7f}\u{85}\u{2028}\"",
        "\"\\u0000\\u0001\u{7f}\u{85}\u{2028}\"",
    ),
    (r#"{"a":1,"a":2,"A":3}"#, r#"{"a":1,"a":2,"A":3}"#),
    (r#"{"\ud83d":1}"#, r#"{"\\ud83d":1}"#),
    (r#"{"":{"":[]}}"#, r#"{"":{"":[]}}"#),
    ("[1,,2,]", "[1,2]"),
];

/// Strict: what no JSON has is an error, and so is a number without a value.
const PYTHON: &str = r#"
import json, math, sys
def refuse(text): raise ValueError(text)
def number(text):
    value = float(text)
    if math.isinf(value): refuse(text)
    return value
count = 0
for line in open(sys.argv[1], encoding="utf-8", errors="strict", newline="\n"):
    json.loads(line, parse_constant=refuse, parse_float=number)
    line.encode("utf-8", errors="strict")
    count += 1
print(count)
"#;

#[test]
fn every_stored_line_is_read_by_python_and_jq() {
    let host = Host::start("");
    for (at, (value, _)) in ODD.iter().enumerate() {
        let body =
            format!(r#"{{"asyncEvents":[{{"event":"{at:08}","x":{value}}}],"more":{value}}}"#);
        let status = host.call("POST", &of_device(AUDIT), body).status();
        assert_eq!(status, if at == 0 { 201 } else { 202 }, "{value}");
    }
    let digits = format!(
        r#"{{"asyncEvents":[{{"event":"1","x":{}}}]}}"#,
        "7".repeat(5000)
    );
    assert_eq!(host.call("POST", &of_device(AUDIT), digits).status(), 400);
    let texts = host.installation.audit_texts(DEVICE);
    assert_eq!(texts.len(), ODD.len());
    for (line, (at, (value, stored))) in texts.iter().zip(ODD.iter().enumerate()) {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        let record = format!(r#""record":{{"event":"{at:08}","x":{stored}}}"#);
        assert!(line.contains(&record), "{value}: {line}");
        assert!(
            line.contains(&format!(r#""with":{{"more":{stored}}}"#)),
            "{value}: {line}"
        );
    }
    let file = host.installation.path("audits.jsonl");
    fs_err::write(&file, texts.join("\n") + "\n").unwrap();
    let lines = format!("{}\n", ODD.len());
    let python = run(Command::new("python3").args(["-c", PYTHON]).arg(&file));
    assert_eq!(python.stdout_text(), lines, "{}", python.stderr_text());
    if run(Command::new("sh").args(["-c", "command -v jq"])).code == Some(0) {
        let jq = run(Command::new("jq")
            .args(["-n", "[inputs] | length"])
            .arg(&file));
        assert_eq!(jq.stdout_text(), lines, "{}", jq.stderr_text());
    }
}
