//! The body of an audit or an alert: refused, or stored as lines that say the same when they are delivered again.
#![no_main]

use engage_store::{Alert, AuditBatch, BodyError, StoredEvent};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

/// As `engage_store::lenient` bounds it.
const MAX_NESTING: usize = 32;

fuzz_target!(|body: &[u8]| {
    let batch = AuditBatch::parse(body);
    assert_eq!(batch.is_ok(), Alert::parse(body).is_ok());
    let lines = match batch {
        Ok(batch) => lines(&batch),
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let events: Vec<StoredEvent> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, (line, event)) in (1..).zip(lines.iter().zip(&events)) {
        assert!(!line.contains('\n'));
        assert_eq!((event.line, event.of), (number, events.len()));
        assert!(depth(line) <= 40, "{line}");
    }
    let records: Vec<_> = events.iter().map(record).collect();
    let again = format!(r#"{{"asyncEvents":[{}]}}"#, records.join(","));
    let again = match AuditBatch::parse(again.as_bytes()) {
        Ok(again) => self::lines(&again),
        // Shorter than the body that it was read from, so less is allowed for it.
        Err(BodyError::TooLargeStored { .. }) => return,
        // A record that came alone has two levels more around it here.
        Err(BodyError::TooDeep) => {
            return assert!(records.iter().any(|record| depth(record) + 2 > MAX_NESTING));
        }
        Err(refusal) => panic!("{again} is refused: {refusal}"),
    };
    assert_eq!(again.len(), lines.len());
    for (again, event) in again.iter().zip(&events) {
        let again: StoredEvent = serde_json::from_str(again).unwrap();
        assert!(again.note.is_none() && again.with.is_none(), "{again:?}");
        assert_eq!((&again.code, &again.at, record(&again)), (&event.code, &event.at, record(event)));
    }
});

fn lines(batch: &AuditBatch) -> Vec<String> {
    let device = "0123456789ABCDEF".parse().unwrap();
    batch.lines(&device, jiff::Timestamp::UNIX_EPOCH)
}

/// As the device sent it, the order of its two members aside.
fn record(event: &StoredEvent) -> String {
    // A value that is null is none here.
    let member = |value: &Option<Box<RawValue>>| value.as_ref().map_or("null", |it| it.get()).to_owned();
    match &event.record {
        Some(record) => record.get().to_owned(),
        None => format!(r#"{{"event":{},"time":{}}}"#, member(&event.event), member(&event.time)),
    }
}

/// How deep brackets are nested outside of strings.
fn depth(line: &str) -> usize {
    let (mut depth, mut most, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in line.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        most = most.max(depth);
    }
    most
}
