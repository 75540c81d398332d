//! Lists are read to their end, whatever is in the pages.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::super::Api;
use super::{There, host, refusals};
use crate::harness::{Installation, standard};

/// A host that gives these answers, each on its own connection, and tells what it was asked.
fn answering(installation: &Installation, answers: &[&str]) -> (There, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
    let (sender, asked) = channel();
    thread::spawn(move || {
        for body in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            sender.send(first).unwrap();
            while lines.next().is_some_and(|it| !it.unwrap().is_empty()) {}
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        }
    });
    let token = format!("engage_{}", "A".repeat(43));
    (There::new(installation, &Api { address, token }), asked)
}

fn device(serial: &str) -> String {
    let seen = "2026-11-30T04:06:30Z";
    format!(r#"{{"device":"{serial}","first_seen":"{seen}","last_seen":"{seen}"}}"#)
}

fn event(seq: u32, code: &str) -> String {
    format!(
        r#"{{"device":"0123456789ABCDEF","seq":{seq},"kind":"audits","event":{{"received_at":"2026-11-30T04:06:30Z","event":"{code}","code":"{code}","batch":"ec","line":1,"of":1}}}}"#
    )
}

#[test]
fn a_page_without_a_device_is_not_the_end_and_what_is_left_out_is_told() {
    let installation = Installation::new(standard());
    let (first, last) = (device("0000000000000001"), device("0000000000000002"));
    let pages = [
        format!(r#"{{"devices":[{first}],"next":"a b"}}"#),
        r#"{"devices":[],"next":"c","left_out":["row 7 is damaged"]}"#.to_owned(),
        format!(r#"{{"devices":[{last}],"next":null}}"#),
    ];
    let (there, asked) = answering(&installation, &pages.each_ref().map(|it| &**it));
    let listed = there.run(&["devices", "--site", "R&D"]);
    assert_eq!(listed.code, Some(1), "{listed:?}");
    let said = listed.stdout_text();
    for serial in ["0000000000000001", "0000000000000002"] {
        assert!(said.contains(serial), "{said}");
    }
    let complaint = listed.stderr_text();
    assert!(
        complaint.contains("warning: row 7 is damaged"),
        "{complaint}"
    );
    assert!(complaint.contains("1 rows of the database"), "{complaint}");
    let asked: Vec<_> = asked.iter().collect();
    assert_eq!(
        asked,
        [
            "GET /api/v1/devices?limit=1000&site=R%26D HTTP/1.1",
            "GET /api/v1/devices?limit=1000&cursor=a%20b&site=R%26D HTTP/1.1",
            "GET /api/v1/devices?limit=1000&cursor=c&site=R%26D HTTP/1.1",
        ]
    );
}

#[test]
fn the_newest_events_are_asked_for_until_there_are_as_many_as_wanted() {
    let installation = Installation::new(standard());
    let pages = [
        format!(r#"{{"events":[{}],"next":"a"}}"#, event(9, "0B040009")),
        r#"{"events":[],"next":"b"}"#.to_owned(),
        format!(
            r#"{{"events":[{},{}],"next":"c"}}"#,
            event(8, "0B040008"),
            event(7, "0B040007")
        ),
    ];
    let (there, asked) = answering(&installation, &pages.each_ref().map(|it| &**it));
    let told = there.stdout(&["devices", "audits", "--limit", "3", "--json"]);
    assert_eq!(told.lines().count(), 3, "{told}");
    let wanted = "order=newest HTTP/1.1";
    let asked: Vec<_> = asked.iter().collect();
    for (line, place) in asked
        .iter()
        .zip(["limit=3&", "limit=2&cursor=a&", "limit=2&cursor=b&"])
    {
        assert!(line.contains(place) && line.ends_with(wanted), "{asked:?}");
    }
    assert_eq!(asked.len(), 3);
}

#[test]
fn sites_are_read_page_by_page() {
    let installation = Installation::new(standard());
    let site = |name| {
        format!(
            r#"{{"name":"{name}","file":"/f","hosts":[],"is_default":false,"serials":0,"serials_file":null,"error":null}}"#
        )
    };
    let pages = [
        format!(r#"{{"sites":[{}],"next":"QQ"}}"#, site("A")),
        format!(r#"{{"sites":[{}],"next":null}}"#, site("B")),
    ];
    let (there, _asked) = answering(&installation, &pages.each_ref().map(|it| &**it));
    let told = there.stdout(&["sites", "list", "--json"]);
    assert!(told.contains("\"A\"") && told.contains("\"B\""), "{told}");
}

#[test]
fn an_answer_of_another_kind_is_an_error_and_no_empty_list() {
    let installation = Installation::new(standard());
    let (there, _asked) = answering(&installation, &[r#"{"locks":[]}"#]);
    let listed = there.run(&["devices", "show", "0123456789ABCDEF", "--json"]);
    assert_eq!(listed.code, Some(1));
    assert_eq!(refusals(&listed), ["server-unexpected"]);
}

#[test]
fn more_events_than_a_page_has_are_all_there_and_once() {
    let (host, there) = host("");
    let target = "/swordfish/lock/audit?sn=0123456789ABCDEF";
    let events: Vec<_> = (0..700)
        .map(|it| format!(r#"{{"event":"0B04{it:04}","time":"20261123021259"}}"#))
        .collect();
    let backwards: Vec<_> = events.iter().rev().cloned().collect();
    for events in [events, backwards] {
        let body = format!(r#"{{"asyncEvents":[{}]}}"#, events.join(","));
        let stored = host.call("POST", target, body);
        assert!(stored.status() < 300, "{}", stored.head);
    }
    let args = ["devices", "audits", "--json"];
    let told = there.stdout(&args);
    let here = super::here(&host.installation, &args).stdout_text();
    assert_eq!(told.lines().count(), 1400);
    assert!(told == here, "another order, or other events");
}
