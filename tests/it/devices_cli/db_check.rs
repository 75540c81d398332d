//! `devices db check`.

use insta::assert_snapshot;

use super::installation::Installation;

#[test]
fn db_check_counts_what_would_be_sent_and_warns_of_duplicates() {
    let installation = Installation::new();
    installation.write("db.json", DATABASE);
    assert_snapshot!("db_ok", installation.shown(&["db", "check", "db.json"]));
}

#[test]
fn db_check_refuses_with_the_path_of_the_value() {
    let installation = Installation::new();
    for (name, database) in [
        ("db_no_schedule", r#"{"db":{"schedules":[]}}"#),
        (
            "db_order",
            r#"{"db":{"usrRcrd":{"add":[],"delete":[]},"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]}}"#,
        ),
        (
            "db_credential",
            r#"{"db":{"usrRcrd":{"add":[{"usrID":1,"primeCr":"5ec2e7"}]},"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]}}"#,
        ),
        ("db_syntax", r#"{"db":"#),
    ] {
        installation.write("db.json", database);
        let shown = installation.shown(&["db", "check", "db.json"]);
        assert!(!shown.contains("5ec2e7"), "{shown}");
        assert_snapshot!(name, shown);
    }
    assert_snapshot!(
        "db_absent",
        installation.shown(&["db", "check", "none.json"])
    );
}

const DATABASE: &str = r#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],
    "add":[{"usrID":7},{"usrID":7}]},"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}],"holidays":[]},"config":{}}"#;
