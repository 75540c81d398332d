//! From page to page.

use std::collections::BTreeSet;

use super::fixture::{Lock, Pages, count, links, next};
use crate::harness::Role;

/// The devices that a list names, page by page.
fn turn(pages: &Pages, first: &str) -> Vec<String> {
    let (mut target, mut found) = (Some(first.to_owned()), Vec::new());
    while let Some(at) = target {
        let page = pages.page(&at);
        let links = links(&page).into_iter();
        found.extend(links.filter_map(|link| Some(link.strip_prefix("/devices/")?.to_owned())));
        target = next(&page);
    }
    found
}

#[test]
fn each_lock_is_on_one_page_in_each_order() {
    let pages = Pages::with_locks(120);
    for order in [
        "",
        "door-name",
        "last-seen-newest-first",
        "last-seen-oldest-first",
        "battery-lowest-first",
    ] {
        let found = turn(&pages, &format!("/devices?order={order}"));
        assert_eq!(found.len(), 120, "{order}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 120, "{order}");
    }
    assert_eq!(turn(&pages, "/events").len(), 120);
}

#[test]
fn the_next_page_asks_what_the_first_asked() {
    let pages = Pages::with_locks(240);
    let first = "/devices?search=door&site=garage&order=battery-lowest-first";
    let page = pages.page(first);
    let next = next(&page).unwrap();
    for part in [
        "search=door",
        "site=garage",
        "order=battery-lowest-first",
        "after=",
    ] {
        assert!(next.contains(part), "{next}");
    }
    // What was entered stands in the form.
    assert!(page.contains("value=\"door\""), "{page}");
    assert!(
        page.contains("<option value=\"garage\" selected>"),
        "{page}"
    );
    assert_eq!(turn(&pages, first).len(), 120);
    let events = pages.page("/events?code=0B070000&kind=audits");
    let next = super::fixture::next(&events).unwrap();
    assert!(next.contains("code=0B070000&kind=audits&after="), "{next}");
    let downloads: Vec<_> = links(&events)
        .into_iter()
        .filter(|it| it.starts_with("/events."))
        .collect();
    let query = "code=0B070000&kind=audits";
    assert_eq!(
        downloads,
        [
            format!("/events.csv?{query}"),
            format!("/events.jsonl?{query}")
        ]
    );
}

#[test]
fn a_search_finds_doors_by_a_part_of_their_name_and_locks_by_how_their_serial_begins() {
    let mut locks: Vec<_> = (1..=3).map(Lock::new).collect();
    locks[1].name = "Küche & Büro 50%".into();
    let serial = locks[1].serial();
    let pages = Pages::start(locks, Role::Read);
    for search in ["k%C3%BCche", "%26", "50%25", "B%C3%BCro", &serial] {
        let page = pages.page(&format!("/devices?search={search}"));
        assert_eq!(count(&page, "href=\"/devices/0"), 1, "{search}");
        assert!(page.contains(&serial), "{search}");
    }
    let page = pages.page("/devices?search=nowhere");
    assert!(page.contains("No lock meets these conditions."), "{page}");
    let page = pages.page("/devices?search=000000000000000");
    assert_eq!(count(&page, "href=\"/devices/0"), 3);
}
