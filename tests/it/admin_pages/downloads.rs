//! Events as a file.

use serde_json::Value;

use super::fixture::{Lock, Pages};
use crate::harness::Role;

fn text(pages: &Pages, target: &str, kind: &str) -> String {
    let answer = pages.download(target);
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(kind));
    let disposition = answer.header("content-disposition").unwrap();
    assert!(
        disposition.starts_with("attachment; filename=\"events."),
        "{disposition}"
    );
    String::from_utf8(answer.body).unwrap()
}

const CSV: &str = "text/csv; charset=utf-8; header=present";
const JSON_LINES: &str = "application/jsonl";

#[test]
fn a_download_holds_every_event_that_meets_the_conditions() {
    // More than one page of the store.
    let mut locks: Vec<_> = (1..=2300).map(Lock::new).collect();
    for lock in &mut locks[..1100] {
        lock.event = "06010002";
    }
    let pages = Pages::start(locks, Role::Read);
    let csv = text(&pages, "/events.csv", CSV);
    assert_eq!(csv.lines().count(), 1 + 2300);
    assert!(
        csv.starts_with("received_at,device,event,time,code,name,at,batch,line,of\n"),
        "{csv:.200}"
    );
    assert_eq!(csv.matches("received_at").count(), 1);
    let csv = text(&pages, "/events.csv?code=06010002", CSV);
    assert_eq!(csv.lines().count(), 1 + 1100);
    let lines = text(&pages, "/events.jsonl?code=0B070000", JSON_LINES);
    let events: Vec<Value> = lines
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(events.len(), 1200);
    let device = events[0]["device"].as_str().unwrap();
    let one = text(
        &pages,
        &format!("/events.jsonl?device={device}"),
        JSON_LINES,
    );
    assert_eq!(
        one.lines().collect::<Vec<_>>(),
        lines.lines().take(1).collect::<Vec<_>>()
    );
}

#[test]
fn a_spreadsheet_runs_nothing_that_a_lock_sent() {
    let commands = ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "x;=1"];
    let locks = (1..).zip(commands).map(|(number, event)| Lock {
        event,
        ..Lock::new(number)
    });
    let pages = Pages::start(locks, Role::Read);
    let csv = text(&pages, "/events.csv", CSV);
    for line in csv.lines().skip(1) {
        for cell in line.split([',', ';']) {
            let first = cell.trim_start_matches('"').chars().next();
            assert!(
                !first.is_some_and(|it| "=+-@".contains(it)),
                "{cell} in {line}"
            );
        }
    }
    for command in ["'=cmd|'/c calc'!A1", "'+1", "'-1", "'@SUM(A1)", "x;'=1"] {
        assert!(csv.contains(command), "{command}: {csv}");
    }
}

#[test]
fn no_event_is_a_file_too() {
    let pages = Pages::with_locks(0);
    assert_eq!(text(&pages, "/events.csv", CSV).lines().count(), 1);
    assert_eq!(text(&pages, "/events.jsonl", JSON_LINES), "");
}
