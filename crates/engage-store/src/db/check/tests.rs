use crate::db::{Database, DbWarning};
use crate::json::MAX_NUMBER_CHARS;

const SCHEDULES: &str = r#""schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]"#;
const CREDENTIAL: &str = "735B174C056D0A03D5DBD83EC513463C";

fn refusal(file: &str) -> String {
    Database::parse(file.as_bytes()).unwrap_err().to_string()
}

fn with_records(records: &str) -> String {
    format!(r#"{{"db":{{"usrRcrd":{records},{SCHEDULES}}}}}"#)
}

#[test]
fn each_refusal_carries_the_path_of_the_value() {
    let added = |user: &str| with_records(&format!(r#"{{"add":[{{}},{user}]}}"#));
    let missing = "is missing";
    for (file, expected) in [
        ("{}".to_owned(), format!("$.db: {missing}")),
        (r#"{"db":[]}"#.into(), "$.db: is not an object".into()),
        (r#"{"db":{}}"#.into(), format!("$.db.schedules: {missing}")),
        (
            r#"{"db":{"schedules":[]}}"#.into(),
            "$.db.schedules: is empty; allowed: at least one schedule, such as 24x7".into(),
        ),
        (
            with_records(r#"{"deleteAll":0,"update":[],"delete":[]}"#),
            "$.db.usrRcrd.delete: comes after `update`; allowed: `deleteAll`, `delete`, `update`, \
             `add` in this order"
                .into(),
        ),
        (
            with_records(r#"{"ad":[]}"#),
            "$.db.usrRcrd.ad: is not known; allowed: deleteAll, delete, update, add".into(),
        ),
        (with_records(r#"{"add":[1]}"#), "$.db.usrRcrd.add[0]: is not an object".into()),
        (with_records(r#"{"add":{}}"#), "$.db.usrRcrd.add: is not an array".into()),
        (with_records(r#"{"add":[],"add":[]}"#), "$.db.usrRcrd.add: is there twice".into()),
        (
            added(r#"{"expDtTm":"20200231000000"}"#),
            "$.db.usrRcrd.add[1].expDtTm: \"20200231000000\" is not a date; allowed: YYYYMMDDHHMMSS"
                .into(),
        ),
        (
            added(r#"{"primeCr":"735B"}"#),
            "$.db.usrRcrd.add[1].primeCr: is not a credential; allowed: 32 hexadecimal digits".into(),
        ),
        (
            format!(r#"{{"db":{{{SCHEDULES}}},"config":3}}"#),
            "$.config: is not an object".into(),
        ),
        (
            format!(r#"{{"db":{{{SCHEDULES}}},"users":3}}"#),
            "$.users: is not known; allowed: db, config, dbDwnLdTm, nxtDbVerTS".into(),
        ),
    ] {
        assert_eq!(refusal(&file), expected, "{file}");
    }
}

#[test]
fn what_is_not_json_is_refused_at_the_root() {
    for file in ["", "{", "[]", "db"] {
        assert!(refusal(file).starts_with("$: is not JSON: "), "{file}");
    }
}

#[test]
fn dates_and_identifiers_may_be_numbers() {
    let file = with_records(&format!(
        r#"{{"deleteAll":0,"delete":[148],"add":[{{"usrID":1,"actDtTm":20150303000000,"primeCr":"{CREDENTIAL}"}}]}}"#
    ));
    assert!(
        Database::parse(file.as_bytes())
            .unwrap()
            .warnings()
            .is_empty()
    );
}

#[test]
fn users_and_credentials_that_are_there_twice_are_reported_without_their_values() {
    let lower = CREDENTIAL.to_lowercase();
    let file = with_records(&format!(
        r#"{{"delete":["7",7],"add":[{{"usrID":"1","primeCr":"{CREDENTIAL}"}},{{"usrID":"2","primeCr":"{lower}"}}]}}"#
    ));
    let database = Database::parse(file.as_bytes()).unwrap();
    let reported: Vec<_> = database
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        reported,
        [
            "$.db.usrRcrd.delete[1].usrID is the same as $.db.usrRcrd.delete[0].usrID",
            "$.db.usrRcrd.add[1].primeCr is the same as $.db.usrRcrd.add[0].primeCr",
        ]
    );
}

#[test]
fn records_are_held_against_the_vendors_tables() {
    let schedule = r#"{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}"#;
    let days = r#"at least one of "Su", "Mo", "Tu", "We", "Th", "Fr", "Sa""#;
    for (db, refused) in [
        (
            r#""schedules":[null]"#.to_owned(),
            "schedules[0]: is not an object".to_owned(),
        ),
        (
            r#""schedules":[1]"#.into(),
            "schedules[0]: is not an object".into(),
        ),
        (
            r#""schedules":[{}]"#.into(),
            "schedules[0].days: is missing".into(),
        ),
        (
            format!(
                r#""schedules":[{schedule},{}]"#,
                schedule.replace(r#""Su""#, "")
            ),
            format!("schedules[1].days: is []; allowed: {days}"),
        ),
        (
            format!(r#""schedules":[{}]"#, schedule.replace("Su", "Sun")),
            format!(r#"schedules[0].days[0]: is "Sun"; allowed: {days}"#),
        ),
        (
            format!(
                r#""schedules":[{}]"#,
                schedule.replace(r#""strtHr":0"#, r#""strtHr":25"#)
            ),
            "schedules[0].strtHr: is 25; allowed: 0 to 23".into(),
        ),
        (
            format!(r#""schedules":[{}]"#, schedule.replace("1439", "0")),
            "schedules[0].lngth: is 0; allowed: 1 to 1440 minutes, which is a whole day".into(),
        ),
        (
            format!(r#""schedules":[{schedule}],"autoUnlock":5"#),
            "autoUnlock: is not an array".into(),
        ),
        (
            format!(r#""schedules":[{schedule}],"holidays":null"#),
            "holidays: is not an array".into(),
        ),
        (
            format!(r#""schedules":[{schedule}],"holidays":[{{"strtDtTm":"20261224000000"}}]"#),
            "holidays[0].endDtTm: is missing".into(),
        ),
        (
            format!(
                r#""schedules":[{schedule}],"autoUnlock":[{{"days":["Mo"],"strtHr":"8","strtMn":"0","action":"open"}}]"#
            ),
            r#"autoUnlock[0].action: is "open"; allowed: `pass` or `sec`"#.into(),
        ),
    ] {
        let file = format!(r#"{{"db":{{{db}}}}}"#);
        assert_eq!(refusal(&file), format!("$.db.{refused}"), "{file}");
    }
}

#[test]
fn to_delete_everybody_and_add_nobody_is_sent_and_told() {
    for (records, is_told) in [
        (r#"{"deleteAll":1,"delete":[],"update":[],"add":[]}"#, true),
        (r#"{"deleteAll":"T"}"#, true),
        (r#"{"deleteAll":0,"add":[]}"#, false),
        (r#"{"deleteAll":1,"add":[{"usrID":1}]}"#, false),
    ] {
        let database = Database::parse(with_records(records).as_bytes()).unwrap();
        let told = database.warnings() == [DbWarning::NobodyLeft];
        assert_eq!(told, is_told, "{records}");
    }
}

#[test]
fn numbers_that_common_parsers_do_not_read_are_refused_wherever_they_are() {
    let schedules = SCHEDULES;
    let long = "7".repeat(MAX_NUMBER_CHARS + 1);
    for (number, length) in [(long.as_str(), MAX_NUMBER_CHARS + 1), ("1e999", 5)] {
        let told = format!(
            "is a number of {length} characters; allowed: 256 characters, less than 1.8e308"
        );
        let file = format!(r#"{{"db":{{{schedules},"usrRcrd":{{"add":[{{"x":{number}}}]}}}}}}"#);
        assert_eq!(refusal(&file), format!("$.db.usrRcrd.add[0].x: {told}"));
        let file = format!(r#"{{"db":{{{schedules}}},"config":{{"a":[{number}]}}}}"#);
        assert_eq!(refusal(&file), format!("$.config.a[0]: {told}"));
    }
    let deep = format!(
        r#"{{"db":{{{schedules}}},"config":{{"a":{}{}}}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    assert!(refusal(&deep).contains("is nested too deep"));
}
