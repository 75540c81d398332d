//! What is answered instead of a page.

use super::fixture::Pages;
use crate::harness::{Response, Role};

/// A page in the style of the others that says why, and what to do.
#[track_caller]
fn assert_page(answer: &Response, status: u16, texts: [&str; 3]) {
    assert_eq!(answer.status(), status, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/html; charset=utf-8"));
    let page = String::from_utf8_lossy(&answer.body);
    for part in ["<!DOCTYPE html>", "/assets/style-", "</html>"]
        .iter()
        .chain(&texts)
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Sign out"), "{page}");
}

#[test]
fn who_has_not_signed_in_is_sent_to_sign_in_and_back() {
    let pages = Pages::with_locks(1);
    for (target, next) in [
        ("/", "%2F"),
        ("/devices", "%2Fdevices"),
        ("/devices/0000000000000001", "%2Fdevices%2F0000000000000001"),
        ("/events?code=0B070000", "%2Fevents%3Fcode%3D0B070000"),
        ("/events.csv", "%2Fevents%2Ecsv"),
        ("/rotation", "%2Frotation"),
        ("/changes", "%2Fchanges"),
    ] {
        let answer = pages.stranger().get(target);
        assert_eq!(answer.status(), 303, "{target}");
        let location = format!("/sign-in?next={next}");
        assert_eq!(answer.header("location"), Some(&*location));
        assert!(answer.body.is_empty(), "{target}");
    }
    let pressed = pages.stranger().post_form("/reload", "");
    assert_eq!(pressed.status(), 303);
}

#[test]
fn who_may_not_is_told_why_by_a_page() {
    let pages = Pages::start([], Role::Read);
    let browser = pages.browser();
    let form = format!("form_token={}", browser.form_token());
    let refused = browser.post_form("/reload", &form);
    let hint = "engage-host admin token NAME --role write";
    assert_page(
        &refused,
        403,
        ["Your token does not allow this", "<code>read</code>", hint],
    );
}

#[test]
fn what_no_page_of_this_host_asked_for_is_refused_by_a_page() {
    let pages = Pages::start([], Role::Write);
    let browser = pages.browser();
    let title = "<h1>Not asked for on a page of this host</h1>";
    let wrong = browser.post_form("/reload", "form_token=wrong");
    assert_page(
        &wrong,
        403,
        [title, "lacks the form token", "load the page again"],
    );
    let form = format!("form_token={}", browser.form_token());
    for origin in [
        "Origin: http://attacker.example",
        "Sec-Fetch-Site: cross-site",
    ] {
        let headers = format!("{origin}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let foreign = browser.send("POST /reload", &headers, &form);
        let hint = "go to the page itself and ask there";
        assert_page(&foreign, 403, [title, "does not come from a page", hint]);
        let foreign = pages.stranger().send("POST /sign-in", &headers, "token=x");
        assert_page(&foreign, 403, [title, "does not come from a page", hint]);
    }
    assert!(pages.page("/").contains("None since the start."));
}
