use proptest::prelude::*;

use super::*;

const PRINTED: &[u8] = br#"{"asyncEvents":[{"event":"11111111","time":"20051013130309"}],"nxtDbVerTS":"0x8d1a1399bddb51d"}"#;

fn device() -> DeviceId {
    "0123456789ABCDEF".parse().unwrap()
}

fn prefix_ids(body: &[u8]) -> Vec<BatchId> {
    AuditBatch::parse(body).unwrap().0.prefix_ids(&device())
}

fn id(body: &[u8]) -> BatchId {
    *prefix_ids(body).last().unwrap()
}

#[test]
fn the_printed_example_is_read() {
    let batch = AuditBatch::parse(PRINTED).unwrap();
    assert_eq!(batch.0.events.len(), 1);
    assert_eq!(batch.0.events[0].code.unwrap().to_string(), "11111111");
    assert!(batch.0.extra_members.is_none());
}

#[test]
fn numbers_unknown_members_and_trailing_commas_are_accepted() {
    let body = br#"{"fw":[1,], "asyncEvents": [{"event":11111111,"time":20051013130309,},], }"#;
    let batch = AuditBatch::parse(body).unwrap();
    assert_eq!(batch.0.events[0].code.unwrap().to_string(), "11111111");
    assert_eq!(batch.0.extra_members.unwrap().get(), r#"{"fw":[1]}"#);
}

#[test]
fn a_batch_is_the_same_whatever_its_white_space_and_another_for_another_device() {
    let spaced = String::from_utf8_lossy(PRINTED).replace(',', " ,\r\n ");
    assert_eq!(id(PRINTED), id(spaced.as_bytes()));
    let other = "FEDCBA9876543210".parse().unwrap();
    let batch = AuditBatch::parse(PRINTED).unwrap().0;
    assert_ne!(batch.prefix_ids(&device()), batch.prefix_ids(&other));
}

#[test]
fn a_batch_begins_with_the_one_that_it_continues_whatever_the_stamp() {
    let longer = String::from_utf8_lossy(PRINTED)
        .replace("}]", r#"},{"event":"0B040001","time":"20051013130310"}]"#)
        .replace("0x8d1a1399bddb51d", "0x1");
    let names = prefix_ids(longer.as_bytes());
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], id(PRINTED));
    assert_ne!(names[1], names[0]);
}

#[test]
fn what_holds_no_event_is_refused() {
    for (body, refusal) in [
        (&b""[..], BodyError::NotAnObject),
        (b"\"text\"", BodyError::NotAnObject),
        (b"event=1", BodyError::NotAnObject),
        (b"[]", BodyError::NoEvents),
        (b"{}", BodyError::NoEvents),
        (b"{\"\xff\":1}", BodyError::NoEvents),
        (b"{\"asyncEvents\":[{\"event\":", BodyError::NotAnObject),
        (b"{\"asyncEvents\":[{\"event\":[]},{", BodyError::NoEvents),
    ] {
        let body_text = String::from_utf8_lossy(body);
        assert_eq!(AuditBatch::parse(body).unwrap_err(), refusal, "{body_text}");
    }
    let deep = format!(
        r#"{{"asyncEvents":[{}{}]}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    assert_eq!(
        AuditBatch::parse(deep.as_bytes()).unwrap_err(),
        BodyError::TooDeep
    );
    let long = format!(
        r#"{{"asyncEvents":[{{"event":"{}"}}]}}"#,
        "1".repeat(MAX_EVENT_BYTES)
    );
    let refused = AuditBatch::parse(long.as_bytes()).unwrap_err();
    assert!(matches!(refused, BodyError::EventTooLong(_)), "{refused}");
}

/// The event codes and the note of a body, whatever shape it is in.
fn read(body: &[u8]) -> (Vec<String>, String) {
    let batch = AuditBatch::parse(body).unwrap().0;
    let codes = batch.events.iter().map(|event| {
        let code = event.code.map(|code| code.to_string());
        code.unwrap_or_else(|| event.record.get().to_owned())
    });
    (codes.collect(), batch.note.unwrap_or_default())
}

#[test]
fn what_can_be_read_of_a_damaged_body_is_kept_with_a_note() {
    let two = ["0B040001", "0B050002"];
    for (body, codes, note) in [
        (&b"{\"asyncEvents\":[{\"event\":\"0B040001\"},{\"event\":\"0B050002\"}]}\0"[..], &two[..], "left out"),
        (b"{\"asyncEvents\":[{\"event\":\"0B040001\"},{\"event\":\"0B050002\"}],\"n\":\"T\xfcr\"}", &two, "8859-1"),
        (br#"[{"event":"0B040001"},{"event":"0B050002"}]"#, &two, ""),
        (br#"{"asyncEvents":[{"event":"0B040001"},},{"event":"0B050002"}"#, &two, "brackets"),
        (br#"{"asyncEvents":[{"event":"0B040001"},{"event":"0B050002"},{"event":"0B"#, &two, "ended early"),
        (br#"{"asyncEvents":[{"event":"0B040001"}],"asyncEvents":[{"event":"0B050002"}]}"#, &two, ""),
        (br#"{"asyncEvents":[{"event":"0B040001"}]}{"asyncEvents":[{"event":"0B050002"}]}"#, &two, "several"),
        (br#"{"x" "y":{},"asyncEvents":[{"event":"0B040001"},{"event":"0B050002"}]}"#, &two, "only the events"),
        (br#"{"asyncEvents":[{"event":0B040001,"t":NaN},{"event":0B050002}]}"#, &two, "quoted"),
        (br#"{"asyncEvents":[{"event":"0B040001"},7]}"#, &["0B040001", "7"], ""),
        (br#"{"asyncEvents":[],"nxtDbVerTS":0x1}"#, &[], "quoted"),
    ] {
        let (found, notes) = read(body);
        let body = String::from_utf8_lossy(body);
        assert_eq!(found, codes, "{body}");
        assert!(notes.contains(note) && notes.is_empty() == note.is_empty(), "{body}: {notes}");
    }
}

#[test]
fn a_batch_holds_as_many_events_as_a_lock_can_and_no_more() {
    for record in [
        r#"{"event":"0B040001","time":"20261123021259"}"#,
        r#"{"event":6010002,"time":20051013130309}"#,
        r#"{"event":6010002,"time":0}"#,
        r#"{"event":"0B040001","time":"20261123021259","door":1,"user":"x"}"#,
    ] {
        let body = |events| format!(r#"{{"asyncEvents":[{}]}}"#, vec![record; events].join(","));
        let most = AuditBatch::parse(body(MAX_EVENTS).as_bytes()).unwrap();
        assert_eq!(most.0.events.len(), MAX_EVENTS);
        let refused = AuditBatch::parse(body(MAX_EVENTS + 1).as_bytes()).unwrap_err();
        assert_eq!(refused, BodyError::TooManyEvents(MAX_EVENTS + 1));
    }
    // In however many lists and values they come.
    let list = format!(
        r#""asyncEvents":[{}{{"event":1}}]"#,
        r#"{"event":1},"#.repeat(4999)
    );
    let refused = [
        format!("{{{list},{list},{list}}}"),
        format!("{{{list}}}{{{list}}}{{{list}}}"),
        r#"{"event":1}"#.repeat(MAX_EVENTS + 1),
    ];
    for body in refused {
        let refused = AuditBatch::parse(body.as_bytes()).unwrap_err();
        assert!(matches!(refused, BodyError::TooManyEvents(_)), "{refused}");
    }
}

#[test]
fn events_that_are_much_shorter_than_their_rows_are_refused() {
    for (record, few) in [("0", 40), ("{}", 40), (r#"{"event":1}"#, 70)] {
        let body = |events| format!(r#"{{"asyncEvents":[{}]}}"#, vec![record; events].join(","));
        assert!(AuditBatch::parse(body(few).as_bytes()).is_ok(), "{record}");
        let refused = AuditBatch::parse(body(5000).as_bytes()).unwrap_err();
        let is_so =
            matches!(refused, BodyError::TooLargeStored { found, allowed } if found > allowed);
        assert!(is_so, "{record}: {refused}");
    }
}

#[test]
fn an_alert_is_one_event_in_any_of_three_shapes() {
    let event = r#"{"event":"0B050001","time":"20051013130309"}"#;
    for body in [
        event.to_owned(),
        format!(r#"{{"asyncEvent":{event}}}"#),
        format!(r#"{{"asyncEvents":[{event}]}}"#),
    ] {
        let alert = Alert::parse(body.as_bytes()).unwrap().0;
        assert_eq!(alert.events.len(), 1, "{body}");
        assert_eq!(alert.events[0].record.get(), event);
        assert!(alert.extra_members.is_none(), "{body}");
    }
    assert!(Alert::parse(b"{\"time\":1}").is_err());
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body: Vec<u8>, text: String) {
        let wrapped = format!(r#"{{"asyncEvents":[{text}]}}"#);
        for body in [&body[..], text.as_bytes(), wrapped.as_bytes()] {
            let _ = (AuditBatch::parse(body), Alert::parse(body));
        }
    }

    #[test]
    fn what_is_accepted_is_stored_in_no_more_than_is_allowed(
        records in prop::collection::vec("0|\\{\\}|\\{\"event\":\"[0-9A-F]{8}\"(,\"time\":\"2[0-9]{13}\")?(,\"x\":\"[a-z]{0,200}\")?\\}", 0..200),
        extra in "[a-z]{0,300}",
    ) {
        let body = format!(r#"{{"x":"{extra}","asyncEvents":[{}]}}"#, records.join(","));
        if let Ok(batch) = AuditBatch::parse(body.as_bytes()) {
            let events = batch.into_events();
            let id = events.prefix_ids(&device()).last().copied().unwrap_or(BatchId::new([0; 16]));
            let now = Timestamp::UNIX_EPOCH;
            let lines = stored_events(&events, 0..events.events.len(), id, now);
            // Its columns and its share of the indexes.
            let stored: usize = lines.map(|line| line.to_json().len() + 180).sum();
            prop_assert!(stored <= events.stored_bytes());
            prop_assert!(events.stored_bytes() <= max_stored_bytes(body.len()));
        }
    }

    #[test]
    fn every_event_is_kept_as_it_arrived(events in prop::collection::vec((0u32.., "[0-9]{14}", ".*"), 0..20)) {
        let records: Vec<String> = events.iter().map(|(event, time, more)| {
            format!(r#"{{"event":"{event:08x}","time":{time:?},"more":{}}}"#, serde_json::json!(more))
        }).collect();
        let body = format!(r#"{{"asyncEvents":[{}]}}"#, records.join(" ,\n"));
        let batch = AuditBatch::parse(body.as_bytes()).unwrap();
        let kept: Vec<_> = batch.0.events.iter().map(|event| event.record.get()).collect();
        prop_assert_eq!(kept, records);
    }
}
