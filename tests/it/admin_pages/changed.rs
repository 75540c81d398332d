//! What a person with a token of the role `write` can do on the pages.

use super::fixture::{Lock, Pages};
use crate::harness::Role;

#[test]
fn who_may_write_reloads_by_a_button_and_it_is_recorded() {
    let pages = Pages::start([Lock::new(1)], Role::Write);
    let browser = pages.browser();
    let overview = String::from_utf8(browser.get("/").body).unwrap();
    let (_, form) = overview.split_once("action=\"/reload\"").unwrap();
    let (_, value) = form.split_once("name=\"form_token\" value=\"").unwrap();
    let form_token = value.split('"').next().unwrap();
    assert_eq!(browser.post_form("/reload", "").status(), 403);
    let answer = browser.post_form("/reload", &format!("form_token={form_token}"));
    assert_eq!(answer.status(), 303, "{answer:?}");
    assert_eq!(answer.header("location"), Some("/"));
    let overview = pages.page("/");
    assert!(overview.contains(": in force."), "{overview}");
    let changes = pages.page("/changes");
    for expected in ["reload", "configuration", "127.0.0.1", ">write<"] {
        assert!(changes.contains(expected), "{expected}: {changes}");
    }
}

#[test]
fn a_reload_that_is_refused_stands_on_the_overview_with_its_reason() {
    let pages = Pages::start([], Role::Write);
    pages.installation().write("config.toml", "lsten = 1\n");
    let browser = pages.browser();
    let form = format!("form_token={}", browser.form_token());
    assert_eq!(browser.post_form("/reload", &form).status(), 303);
    let overview = pages.page("/");
    for expected in [
        "Needs attention",
        "The last reload was refused: ",
        "lsten",
        "what was in force before stays",
    ] {
        assert!(overview.contains(expected), "{expected}: {overview}");
    }
    assert!(pages.page("/changes").contains("refused"));
}

#[test]
fn who_only_reads_reloads_nothing() {
    let pages = Pages::start([], Role::Read);
    let browser = pages.browser();
    let form = format!("form_token={}", browser.form_token());
    assert_eq!(browser.post_form("/reload", &form).status(), 403);
    assert!(pages.page("/").contains("None since the start."));
    assert!(
        pages
            .page("/changes")
            .contains("Nobody has changed anything yet.")
    );
}

#[test]
fn who_signs_in_sees_the_page_in_the_style_of_the_others_and_their_name() {
    let pages = Pages::start([], Role::Read);
    let form = pages.stranger().get("/sign-in");
    let form = String::from_utf8(form.body).unwrap();
    assert!(
        form.contains("/assets/style-") && form.contains("<h1>Sign in</h1>"),
        "{form}"
    );
    let sent = pages.stranger().get("/devices?search=a");
    assert_eq!(
        sent.header("location"),
        Some("/sign-in?next=%2Fdevices%3Fsearch%3Da")
    );
    let overview = String::from_utf8(pages.browser().get("/").body).unwrap();
    assert!(
        overview.contains("read only") && overview.contains("Sign out"),
        "{overview}"
    );
}
