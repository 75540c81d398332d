//! What stands on each page, however many devices there are.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Lock, Pages, count};
use crate::harness::{Role, run, standard, tls_get, trusting};

const PAGES: [&str; 5] = ["/", "/devices", "/events", "/rotation", "/changes"];

#[test]
fn each_page_is_whole_and_short_with_no_lock_one_and_ten_thousand() {
    for (locks, sentence) in [
        (0, "No lock has called in yet"),
        (1, "1 of 1 lock called in within 24 hours"),
        (10_000, "10,000 of 10,000 locks called in within 24 hours"),
    ] {
        let pages = Pages::with_locks(locks);
        for path in PAGES {
            let page = pages.page(path);
            assert!(page.len() < 100_000, "{path}: {}", page.len());
            for (text, found) in [
                ("<!DOCTYPE html>", 1),
                ("<html lang=\"en\">", 1),
                ("<h1>", 1),
                ("<main", 1),
                ("<nav aria-label=\"Main\">", 1),
                ("aria-current=\"page\"", 1),
                // Nothing that the policy of the content forbids.
                (" style=", 0),
                (" onclick=", 0),
                ("</html>", 1),
            ] {
                assert_eq!(
                    count(&page, text),
                    found,
                    "{text} on {path} with {locks} locks"
                );
            }
            assert_is_accessible(path, &page);
        }
        assert!(pages.page("/").contains(sentence), "{}", pages.page("/"));
        let rows = count(&pages.page("/devices"), "href=\"/devices/0");
        assert_eq!(rows as u64, locks.min(50));
        let rows = count(&pages.page("/events"), "href=\"/devices/0");
        assert_eq!(rows as u64, locks.min(50));
    }
}

/// Each field has its label, each heading of a table its scope, each table its caption.
fn assert_is_accessible(path: &str, page: &str) {
    for id in page.split("label for=\"").skip(1) {
        let id = id.split('"').next().unwrap();
        assert_eq!(count(page, &format!(" id=\"{id}\"")), 1, "{id} on {path}");
    }
    let fields = count(page, "<select") + count(page, "<input") - count(page, "type=\"hidden\"");
    assert_eq!(fields, count(page, "<label for="), "{path}");
    assert_eq!(count(page, "<table"), count(page, "<caption"), "{path}");
    let headings = count(page, "<th ") + count(page, "<th>");
    assert_eq!(headings, count(page, " scope=\""), "{path}");
}

#[test]
fn the_overview_says_what_is_wrong_and_nothing_is_wrong_with_most() {
    let mut locks: Vec<_> = (1..=20).map(Lock::new).collect();
    locks[0].seen = 30;
    let pages = Pages::start(locks.clone(), Role::Read);
    let page = pages.page("/");
    assert!(
        page.contains("19 of 20 locks called in within 24 hours"),
        "{page}"
    );
    assert!(page.contains("1 did not call in"), "{page}");
    let missing = pages.page("/devices?missing=1");
    assert_eq!(count(&missing, "href=\"/devices/0"), 1);
    assert!(missing.contains(&locks[0].serial()), "{missing}");
    for expected in [
        "SHA-256 fingerprint",
        "partner_CA.der",
        "Main Office",
        "of 4,096 bytes",
        "None since the start.",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
}

#[test]
fn a_handshake_that_fails_stands_on_the_overview_and_one_that_does_not_on_its_device() {
    let mut lock = Lock::new(1);
    lock.name = "Lobby".into();
    let pages = Pages::start([lock], Role::Read);
    let distrusting = run(Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-connect"])
        .arg(pages.https().to_string())
        .args(["-no-CAfile", "-no-CApath", "-no-CAstore"]));
    assert_ne!(distrusting.code, Some(0));
    // The server reads the alert when it does.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !pages.page("/").contains("does not know our root") {
        assert!(Instant::now() < deadline, "{}", pages.page("/"));
        thread::yield_now();
    }
    let config = trusting(&standard().root.der);
    tls_get(
        pages.https(),
        &config,
        "/swordfish/lock/db/0?sn=0000000000000001",
    );
    // What was seen of a device is written soon.
    let device = loop {
        let device = pages.page("/devices/0000000000000001");
        if device.contains("TLS 1.3") {
            break device;
        }
        assert!(Instant::now() < deadline, "{device}");
        thread::yield_now();
    };
    for expected in [
        "Lobby",
        "TLS 1.3",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "it does not know our root",
        "NDE80",
        "03.08.02",
        "0B070000",
        "download success",
        "&quot;psswd&quot;: &quot;***&quot;",
    ] {
        assert!(device.contains(expected), "{expected}: {device}");
    }
    assert!(!device.contains("hunter2"));
}

#[test]
fn what_is_not_there_is_not_found_and_what_cannot_be_asked_is_told() {
    let pages = Pages::with_locks(1);
    for (target, status, told) in [
        ("/devices/00000000000000FF", 404, "Not found"),
        ("/devices/x", 404, "Not found"),
        ("/assets/style.css", 404, "Not found"),
        ("/devices?missing=x", 400, "allowed: 1 to 3650 days"),
        ("/devices?after=x", 400, "it is no page token"),
        ("/events?code=xyz", 400, "hexadecimal digits"),
        ("/events.csv?since=x", 400, "From"),
        ("/rotation?after=x", 400, "it is no page token"),
        ("/changes?before=x", 400, "invalid digit"),
    ] {
        let answer = pages.ask(target);
        let body = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status(), status, "{target}: {body}");
        assert!(body.contains(told), "{target}: {body}");
    }
}

#[test]
fn style_and_script_come_from_here_and_are_kept() {
    let pages = Pages::with_locks(0);
    let page = pages.page("/");
    for (start, kind) in [
        ("/assets/style-", "text/css; charset=utf-8"),
        ("/assets/refresh-", "text/javascript; charset=utf-8"),
    ] {
        let (_, rest) = page.split_once(start).unwrap();
        let path = format!("{start}{}", rest.split('"').next().unwrap());
        let answer = pages.ask(&path);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("content-type"), Some(kind));
        let kept = answer.header("cache-control").unwrap();
        assert!(kept.contains("immutable"), "{kept}");
        assert!(!String::from_utf8(answer.body).unwrap().contains("http"));
    }
    assert!(
        !page.contains("src=\"http") && !page.contains("href=\"http"),
        "{page}"
    );
}

#[test]
fn who_only_reads_sees_no_form_that_changes_something() {
    let locks = || (1..=2).map(Lock::new);
    let forms = |page: &str| -> Vec<String> {
        let forms = page.split("method=\"post\" action=\"").skip(1);
        forms
            .map(|it| it.split('"').next().unwrap().to_owned())
            .collect()
    };
    for (role, expected) in [(Role::Read, &[][..]), (Role::Write, &["/reload"])] {
        let pages = Pages::start(locks(), role);
        let mut found: Vec<_> = PAGES
            .iter()
            .flat_map(|path| forms(&pages.page(path)))
            .collect();
        found.extend(forms(&pages.page("/devices/0000000000000001")));
        found.retain(|action| action != "/sign-out");
        assert_eq!(found, expected);
    }
}

#[test]
#[ignore = "fills a store with 100,000 locks"]
fn the_first_page_of_a_hundred_thousand_locks_takes_less_than_50_ms() {
    let pages = Pages::with_locks(100_000);
    for target in [
        "/",
        "/devices",
        "/devices?search=door+99",
        "/devices?order=battery-lowest-first",
        "/devices?order=last-seen-oldest-first&missing=1",
        "/events",
        "/events?code=0B070000",
        "/rotation",
    ] {
        pages.page(target);
        let fastest = (0..5).map(|_| {
            let started = Instant::now();
            assert!(pages.page(target).len() < 100_000, "{target}");
            started.elapsed()
        });
        let fastest = fastest.min().unwrap();
        eprintln!("{target}: {fastest:?}");
        assert!(fastest < Duration::from_millis(50), "{target}: {fastest:?}");
    }
}
