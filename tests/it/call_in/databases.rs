//! `db.json`: served as it is written, checked before, and the last good one kept.

use super::{DEVICE, of_device};
use crate::harness::{Host, Response};

/// Members in an order that no program would choose, and white space.
const DATABASE: &str = r#"{
    "config": {"z": "T", "a": 1.50},
    "db": {
        "usrRcrd": {"deleteAll": 1, "delete": [], "update": [], "add": [
            {"usrID": "148", "actDtTm": "20150303000000", "expDtTm": 20350303000000,
             "primeCr": "735B174C056D0A03D5DBD83EC513463C", "schedules": [1]}]},
        "schedules": [{"days": ["Su", "Mo"], "strtHr": 0, "strtMn": 0, "lngth": 1439}],
        "holidays": [],
        "autoUnlock": []
    }
}
"#;

const SENT: &str = concat!(
    r#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],"add":[{"usrID":"148","#,
    r#""actDtTm":"20150303000000","expDtTm":20350303000000,"#,
    r#""primeCr":"735B174C056D0A03D5DBD83EC513463C","schedules":[1]}]},"#,
    r#""schedules":[{"days":["Su","Mo"],"strtHr":0,"strtMn":0,"lngth":1439}],"#,
    r#""holidays":[],"autoUnlock":[]},"config":{"z":"T","a":1.50},"dbDwnLdTm":""#
);

/// As the integrator drops it.
fn drop_database(host: &Host, text: &str) {
    host.installation
        .write(&format!("Engage_Data/{DEVICE}/db.json"), text);
}

fn ask(host: &Host, stamp: &str) -> Response {
    let answer = host.call(
        "GET",
        &of_device(&format!("/swordfish/lock/db/{stamp}")),
        "",
    );
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    answer
}

fn body(answer: &Response) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// `{"dbDwnLdTm":"..","nxtDbVerTS":".."}` and nothing else.
fn assert_no_database(answer: &Response, stamp: &str) {
    let next = answer.json("dbDwnLdTm");
    assert_eq!(
        body(answer),
        format!(r#"{{"dbDwnLdTm":"{next}","nxtDbVerTS":"{stamp}"}}"#)
    );
}

#[test]
fn without_a_file_there_is_no_db_member_and_the_stamp_is_repeated() {
    let host = Host::start("");
    for (asked, answered) in [
        ("0", "0"),
        ("0x8d1a1399bddb51d", "0x8d1a1399bddb51d"),
        ("0X08D1A1399BDDB51D", "0X08D1A1399BDDB51D"),
        ("nonsense", "0"),
        ("%22%7D", "0"),
    ] {
        assert_no_database(&ask(&host, asked), answered);
    }
}

#[test]
fn the_file_is_sent_minified_in_its_own_order() {
    let host = Host::start("");
    drop_database(&host, DATABASE);
    for asked in ["0", "0x8d1a1399bddb51d", "nonsense"] {
        let answer = ask(&host, asked);
        let (next, stamp) = (answer.json("dbDwnLdTm"), answer.json("nxtDbVerTS"));
        assert_eq!(stamp.len(), 18, "{stamp}");
        assert!(next[8..10] < *"04", "{next}");
        assert_eq!(
            body(&answer),
            format!(r#"{SENT}{next}","nxtDbVerTS":"{stamp}"}}"#)
        );
    }
}

#[test]
fn a_device_with_the_current_stamp_gets_no_db_member_until_the_file_changes() {
    let host = Host::start("");
    drop_database(&host, DATABASE);
    let stamp = ask(&host, "0").json("nxtDbVerTS");
    for asked in [
        stamp.clone(),
        stamp.to_uppercase(),
        stamp.replacen("0x0", "0x", 1),
    ] {
        assert_no_database(&ask(&host, &asked), &stamp);
    }
    // A touched file is the same version; a changed one is not.
    drop_database(&host, &format!("{DATABASE}\n"));
    assert_no_database(&ask(&host, &stamp), &stamp);
    drop_database(&host, &DATABASE.replace("1439", "1438"));
    let changed = ask(&host, &stamp);
    assert!(body(&changed).contains(r#""lngth":1438"#));
    assert_ne!(changed.json("nxtDbVerTS"), stamp);
}

#[test]
fn devices_are_spread_over_the_configured_window() {
    let host = Host::start("call_in_window = \"22:30-23:00\"");
    let mut times: Vec<String> = (1..=20)
        .map(|device| {
            let target = format!("/swordfish/lock/db/0?sn={device:016X}");
            let next = host.call("GET", &target, "").json("dbDwnLdTm");
            assert!(
                (2230..2300).contains(&next[8..12].parse().unwrap()),
                "{next}"
            );
            assert_eq!(host.call("GET", &target, "").json("dbDwnLdTm"), next);
            next[8..].to_owned()
        })
        .collect();
    times.sort();
    times.dedup();
    assert!(times.len() > 15, "{times:?}");
}

#[test]
fn a_bad_file_is_refused_with_its_path_and_the_last_good_one_stays() {
    let mut host = Host::start("");
    drop_database(&host, DATABASE);
    let stamp = ask(&host, "0").json("nxtDbVerTS");
    let schedules = r#"[{"days": ["Su", "Mo"], "strtHr": 0, "strtMn": 0, "lngth": 1439}]"#;
    let order = r#""deleteAll": 1, "delete": [], "#;
    let spoilt = [
        (schedules, "[]", "$.db.schedules: is empty"),
        (
            "20150303000000",
            "20150399",
            "$.db.usrRcrd.add[0].actDtTm: \"20150399\" is not a date",
        ),
        (
            "735B174C",
            "735B174X",
            "$.db.usrRcrd.add[0].primeCr: is not a credential",
        ),
        (
            order,
            r#""delete": [], "deleteAll": 1, "#,
            "$.db.usrRcrd.deleteAll: comes after `delete`",
        ),
        ("holidays", "hollidays", "$.db.hollidays: is not known"),
        ("\"db\":", "\"db\"", "$: is not JSON"),
    ];
    for (count, (from, to, reason)) in (1..).zip(spoilt) {
        assert!(DATABASE.contains(from), "{from}");
        drop_database(&host, &DATABASE.replacen(from, to, 1));
        let answer = ask(&host, "0");
        assert_eq!(answer.json("nxtDbVerTS"), stamp, "{reason}");
        assert!(body(&answer).starts_with(SENT), "{reason}");
        let refused = "database refused; the last good one stays";
        let line = host.daemon.wait_for_count(refused, count);
        assert!(line.contains("WARN") && line.contains("db.json"), "{line}");
        // Quotes are escaped in a field.
        assert!(line.contains(&reason.replace('"', "\\\"")), "{line}");
    }
    // It outlives the process.
    let host = host.restart();
    assert!(body(&ask(&host, "0")).starts_with(SENT));
}

#[test]
fn a_bad_first_file_is_as_good_as_none() {
    let mut host = Host::start("");
    drop_database(&host, "[]");
    assert_no_database(&ask(&host, "0"), "0");
    host.daemon.wait_for("database refused");
    drop_database(&host, DATABASE);
    assert!(body(&ask(&host, "0")).starts_with(SENT));
}

#[test]
fn what_is_there_twice_is_sent_and_reported_without_the_credential() {
    let mut host = Host::start("");
    let user = r#"{"usrID":"148","primeCr":"735B174C056D0A03D5DBD83EC513463C"}"#;
    let twice = format!(
        r#"{{"db":{{"usrRcrd":{{"add":[{user},{user}]}},"schedules":[{{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}}]}}}}"#
    );
    drop_database(&host, &twice);
    assert!(body(&ask(&host, "0")).contains(&format!("[{user},{user}]")));
    let line = host.daemon.wait_for("database is sent, but look at it");
    assert!(line.contains("$.db.usrRcrd.add[1]"), "{line}");
    assert!(!line.contains("735B174C"), "{line}");
}

#[test]
fn asking_for_a_database_makes_no_record() {
    let host = Host::start("");
    ask(&host, "0");
    let (installation, _) = host.stop();
    assert_eq!(installation.known(), Vec::<String>::new());
}

#[test]
fn a_pipe_in_place_of_the_file_holds_nobody_up() {
    let mut host = Host::start("");
    drop_database(&host, DATABASE);
    assert!(body(&ask(&host, "0")).starts_with(SENT));
    let file = host.path(DEVICE).join("db.json");
    fs_err::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    assert!(
        body(&ask(&host, "0")).starts_with(SENT),
        "the last good one"
    );
    host.daemon.wait_for("is a pipe; allowed: a regular file");
}
