use crate::db::Database;

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
            .duplicates()
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
        .duplicates()
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
