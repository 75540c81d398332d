use proptest::prelude::*;

use super::*;

const GOOD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

#[test]
fn spelling_and_order_of_headers_are_kept() {
    let answer =
        Response::parse(b"HTTP/1.1 404 \r\nx-LOW: a:b \r\nContent-Length:0\r\n\r\n").unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.status_line(), "HTTP/1.1 404 ");
    let headers: Vec<_> = answer
        .headers()
        .iter()
        .map(|Header { name, value }| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(headers, [("x-LOW", "a:b"), ("Content-Length", "0")]);
    assert_eq!(answer.header("X-Low"), Some("a:b"));
}

#[test]
fn each_thing_that_a_device_chokes_on_is_named() {
    let refusal = |from: &str, to: &str| {
        assert!(GOOD.contains(from));
        let bytes = GOOD.replace(from, to);
        Response::parse(bytes.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        refusal("Content-Length", "content-length"),
        "the length header is spelled `content-length:`; allowed: `Content-Length:`, in exactly that case"
    );
    assert_eq!(
        refusal("HTTP/1.1", "HTTP/1.0"),
        "the status line says `HTTP/1.0`; allowed: `HTTP/1.1`"
    );
    assert_eq!(
        refusal("Content-Length: 2", "transfer-encoding: chunked"),
        "the body is sent with `transfer-encoding: chunked`; allowed: a plain body with `Content-Length:`"
    );
    assert_eq!(
        refusal("Content-Length: 2\r\n", ""),
        "there is no `Content-Length:` header"
    );
    assert_eq!(
        refusal("Content-Length: 2", "Content-Length: 3"),
        "the body ends after 2 bytes; `Content-Length:` announces 3"
    );
    assert_eq!(
        refusal("Content-Length: 2", "Content-Length: 1"),
        "1 bytes follow after the body that `Content-Length:` announces"
    );
    assert_eq!(
        refusal("Content-Length: 2", "Content-Length: +2"),
        "`Content-Length:` is `+2`; allowed: a decimal number of bytes"
    );
    assert_eq!(
        refusal("Content-Type: application/json", "content-length: 2"),
        "there are 2 length headers; allowed: one `Content-Length:`"
    );
    assert_eq!(
        refusal("Content-Type: ", "Content-Type : "),
        "`Content-Type : application/json` is not a header line; allowed: `Name: value`"
    );
    assert_eq!(
        refusal("\r\n", "\n"),
        "the lines of the answer's head end with LF; allowed: CR LF"
    );
    assert_eq!(
        refusal("HTTP/1.1 200", "HTTP/1.1 2000"),
        "the answer starts with `HTTP/1.1 2000 OK`; allowed: a status line such as `HTTP/1.1 200 OK`"
    );
}

#[test]
fn bounds_hold_at_their_last_byte() {
    let head = |padding: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(padding)
        )
    };
    let room = MAX_HEAD_BYTES - head(0).len();
    assert!(Response::parse(head(room).as_bytes()).is_ok());
    assert_eq!(
        Response::parse(head(room + 1).as_bytes()),
        Err(ResponseError::HeadTooLong)
    );
    let body = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    assert!(Response::parse(body(MAX_BODY_BYTES).as_bytes()).is_ok());
    assert_eq!(
        Response::parse(body(MAX_BODY_BYTES + 1).as_bytes()),
        Err(ResponseError::BodyTooLong(65537))
    );
}

#[test]
fn after_a_tolerable_fault_the_rest_can_still_be_read() {
    let bytes = GOOD
        .replace("1.1", "1.0")
        .replace("Content-Length", "content-length");
    let LenientResponse {
        response: answer,
        faults,
    } = Response::parse_lenient(bytes.as_bytes()).unwrap();
    assert_eq!(answer.body(), b"{}");
    assert_eq!(faults.len(), 2);
    assert!(!faults.iter().any(ResponseError::is_body_unreliable));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = Response::parse(&bytes);
    }

    #[test]
    fn nothing_near_an_answer_makes_it_panic(
        at in 0..GOOD.len(),
        byte: u8,
        cut in 0..=GOOD.len(),
        lengths in "[0-9+ -]{0,25}",
    ) {
        let mut bytes = GOOD.replace("Length: 2", &format!("Length: {lengths}")).into_bytes();
        // Without a length it is shorter than `GOOD`.
        let last = bytes.len() - 1;
        bytes[at.min(cut).min(last)] = byte;
        let _ = Response::parse_lenient(&bytes);
        bytes.truncate(cut);
        let _ = Response::parse_lenient(&bytes);
    }

    #[test]
    fn every_truncated_answer_is_refused(cut in 0..GOOD.len()) {
        prop_assert!(Response::parse(&GOOD.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn what_was_written_is_what_is_read(
        status in 100..1000_u16,
        headers in prop::collection::vec(("X-[A-Za-z]{1,12}", "[!-~]{0,12}"), 0..5),
        body: Vec<u8>,
    ) {
        let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let mut bytes = format!(
            "HTTP/1.1 {status} R\r\n{lines}Content-Length: {}\r\n\r\n", body.len()
        ).into_bytes();
        bytes.extend_from_slice(&body);
        let answer = Response::parse(&bytes).unwrap();
        prop_assert_eq!(answer.status(), status);
        prop_assert_eq!(answer.body(), body);
        let read: Vec<_> = answer.headers().iter().map(|own| (own.name.clone(), own.value.clone())).collect();
        prop_assert_eq!(&read[..headers.len()], headers);
    }
}
