//! What a lock says of itself is text, whatever it says.

use super::fixture::{Lock, Pages};
use crate::harness::Role;

const NAME: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

fn hostile() -> Lock {
    Lock {
        name: format!("{NAME}\u{202e}"),
        battery: "\"><b>".into(),
        event: "<i>&\"",
        ..Lock::new(1)
    }
}

#[test]
fn no_page_has_markup_that_a_lock_chose() {
    let pages = Pages::start([hostile()], Role::Write);
    let device = format!("/devices/{}", hostile().serial());
    for target in [
        "/",
        "/devices",
        "/devices?search=%3Cscript%3E&site=%22%3E%3Cb%3E",
        "/events",
        &format!("/events?device={}", hostile().serial()),
        &device,
    ] {
        let page = pages.page(target);
        for markup in [
            "<script>",
            "<img",
            "<b>",
            "<i>",
            "onerror=alert(2)>",
            "\u{202e}",
        ] {
            assert!(!page.contains(markup), "{markup} in {target}: {page}");
        }
    }
    assert!(
        pages
            .page(&device)
            .contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    assert!(pages.page("/devices").contains("\\u{202e}"));
}

#[test]
fn what_is_asked_for_stands_in_an_answer_as_text() {
    let pages = Pages::with_locks(0);
    for target in [
        "/devices?missing=%3Cscript%3E",
        "/devices?order=%3Cscript%3E",
        "/devices/%3Cscript%3E",
        "/events?device=%3Cscript%3E&code=%3Cscript%3E",
        "/events?device=&since=%3Cscript%3E",
    ] {
        let answer = pages.ask(target);
        assert!(answer.status() >= 400, "{target}");
        let body = String::from_utf8(answer.body).unwrap();
        assert!(!body.contains("<script>"), "{target}: {body}");
    }
}
