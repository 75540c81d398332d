//! Sessions of browsers.

use std::net::SocketAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::harness::{
    Browser, Daemon, Installation, Response, Role, TOKEN_FILE, ask_admin, bearer, standard,
};

const NOTHING: &str = "/api/v1/nothing-is-here";

fn started(role: Role) -> (Installation, Daemon, SocketAddr, String) {
    let installation = Installation::new(standard()).with_admin();
    let token = installation.with_admin_token(role);
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    (installation, daemon, admin, token)
}

fn text(answer: &Response) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

#[test]
fn who_signs_in_is_sent_to_where_they_wanted_to_go() {
    let (_installation, _daemon, admin, token) = started(Role::Read);
    let form = "/sign-in?next=%2Fdevices%3Fsite%3Da%26sort%3Dname";
    let form = ask_admin(admin, &format!("GET {form}"), "", "");
    assert_eq!(form.status(), 200);
    assert!(text(&form).contains("value=\"/devices?site=a&amp;sort=name\""));
    let browser = Browser::new(admin);
    let signed_in = browser.sign_in(&token, "/devices?site=a&sort=name");
    assert_eq!(signed_in.status(), 303, "{signed_in:?}");
    let location = signed_in.header("location");
    assert_eq!(location, Some("/devices?site=a&sort=name"));
}

#[test]
fn a_session_is_a_cookie_that_no_script_reads_and_no_other_origin_sends() {
    let (_installation, _daemon, admin, token) = started(Role::Read);
    let answer = Browser::new(admin).sign_in(&token, "/");
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let id = pair.strip_prefix("engage_session=").unwrap();
    assert_eq!(id.len(), 43, "256 bits as Base64url: {id}");
    assert_ne!(id, token.strip_prefix("engage_").unwrap());
    assert_eq!(
        attributes,
        "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
    );
    let cookie = format!("Cookie: {pair}\r\n");
    let answer = ask_admin(admin, &format!("GET {NOTHING}"), &cookie, "");
    assert_eq!(answer.status(), 404, "the API takes a session too");
    for other in [
        String::new(),
        "Cookie: engage_session=\r\n".to_owned(),
        format!("Cookie: engage_session={}\r\n", &id[..42]),
        format!("Cookie: engage_session={token}\r\n"),
    ] {
        let answer = ask_admin(admin, &format!("GET {NOTHING}"), &other, "");
        assert_eq!(answer.status(), 401, "{other}");
    }
}

#[test]
fn every_sign_in_has_a_new_id_and_ends_the_one_before() {
    let (_installation, _daemon, admin, token) = started(Role::Read);
    let mut browser = Browser::new(admin);
    browser.cookie = Some("engage_session=planted".to_owned());
    browser.signed_in(&token);
    let first = browser.cookie.clone().unwrap();
    assert_ne!(first, "engage_session=planted");
    browser.signed_in(&token);
    assert_ne!(browser.cookie, Some(first.clone()));
    assert_eq!(browser.get(NOTHING).status(), 404);
    browser.cookie = Some(first);
    assert_eq!(browser.get(NOTHING).status(), 401, "it was replaced");
}

#[test]
fn what_a_session_changes_is_asked_for_on_a_page_of_ours() {
    let (_installation, _daemon, admin, token) = started(Role::Write);
    let mut browser = Browser::new(admin);
    browser.signed_in(&token);
    let target = format!("POST {NOTHING}");
    let refused = browser.send(&target, "", "");
    assert_eq!(
        (refused.status(), refused.json("code")),
        (403, "form-token".into())
    );
    let wrong = browser.send(&target, "X-Form-Token: wrong\r\n", "");
    assert_eq!(wrong.json("code"), "form-token");
    for header in [
        "Origin: null",
        "Origin: http://attacker.example",
        "Sec-Fetch-Site: cross-site",
    ] {
        let refused = browser.send(&target, &format!("{header}\r\n"), "");
        assert_eq!(refused.status(), 403, "{header}");
        assert_eq!(refused.json("code"), "foreign-origin", "{header}");
    }
    // A program's token is not sent unasked: nothing has to be shown beside it.
    let passed = ask_admin(admin, &target, &bearer(&token), "");
    assert_eq!(passed.status(), 404);
}

#[test]
fn a_page_of_another_origin_signs_nobody_in() {
    let (_installation, _daemon, admin, token) = started(Role::Write);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for header in [
        "Origin: null",
        "Origin: http://attacker.example",
        "Sec-Fetch-Site: same-site",
    ] {
        let headers = format!("{form}{header}\r\n");
        let answer = ask_admin(admin, "POST /sign-in", &headers, &format!("token={token}"));
        assert_eq!(answer.status(), 403, "{header}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let own = format!("{form}Origin: http://{admin}\r\nSec-Fetch-Site: same-origin\r\n");
    let answer = ask_admin(admin, "POST /sign-in", &own, &format!("token={token}"));
    assert_eq!(answer.status(), 303, "{answer:?}");
}

#[test]
fn nobody_is_sent_to_another_origin_after_they_have_signed_in() {
    let (_installation, _daemon, admin, token) = started(Role::Read);
    for next in [
        "//attacker.example/",
        "/\\attacker.example",
        "https://attacker.example/",
        "/%0d%0aSet-Cookie:x=y",
        "/\r\nX: y",
        "",
    ] {
        let answer = Browser::new(admin).sign_in(&token, next);
        let location = answer.header("location").unwrap();
        let is_local = location == "/" || location.starts_with("/%0d");
        assert!(is_local, "{next:?}: {location}");
        assert_eq!(answer.header("X"), None);
        let form = ask_admin(
            admin,
            &format!("GET /sign-in?next={}", encoded(next)),
            "",
            "",
        );
        assert!(!text(&form).contains("attacker"), "{next}");
    }
    let script = encoded("/\"><script>alert(1)</script>");
    let form = ask_admin(admin, &format!("GET /sign-in?next={script}"), "", "");
    assert!(!text(&form).contains("<script>alert"), "{}", text(&form));
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[test]
fn a_session_ends_when_somebody_signs_out_and_stays_ended() {
    let (_installation, _daemon, admin, token) = started(Role::Read);
    let mut browser = Browser::new(admin);
    browser.signed_in(&token);
    let without = browser.send("POST /sign-out", "", "");
    assert_eq!(
        without.status(),
        403,
        "a page of another origin signs nobody out"
    );
    assert_eq!(browser.get(NOTHING).status(), 404);
    let form_token = browser.form_token();
    let answer = browser.post_form("/sign-out", &format!("form_token={form_token}"));
    assert_eq!(answer.status(), 303, "{answer:?}");
    assert_eq!(answer.header("location"), Some("/sign-in"));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("engage_session=; ") && cookie.contains("Max-Age=0"));
    // Who has kept the cookie has kept nothing.
    assert_eq!(browser.get(NOTHING).status(), 401);
}

#[test]
fn a_session_ends_with_its_token_and_has_its_role() {
    let (installation, mut daemon, admin, token) = started(Role::Write);
    let mut browser = Browser::new(admin);
    browser.signed_in(&token);
    assert_eq!(browser.get(NOTHING).status(), 404);
    let file = fs_err::read_to_string(installation.path(TOKEN_FILE)).unwrap();
    installation.write(TOKEN_FILE, file.replace(" write ", " read "));
    daemon.hang_up();
    daemon.wait_for("reloaded: new connections get the new state");
    let refused = browser.send(&format!("POST {NOTHING}"), "", "");
    assert_eq!(refused.json("code"), "role-too-low");
    assert_eq!(browser.get(NOTHING).status(), 404);
    installation.write(TOKEN_FILE, "");
    daemon.hang_up();
    daemon.wait_for_count("reloaded: new connections get the new state", 2);
    assert_eq!(browser.get(NOTHING).status(), 401);
    // Not even when the token is back.
    installation.write(TOKEN_FILE, file);
    daemon.hang_up();
    daemon.wait_for_count("reloaded: new connections get the new state", 3);
    assert_eq!(browser.get(NOTHING).status(), 401);
}

#[test]
fn guesses_are_throttled_and_lock_nobody_out_who_has_a_token() {
    let (_installation, mut daemon, admin, token) = started(Role::Read);
    let target = format!("GET {NOTHING}");
    let wrong = bearer("engage_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for attempt in 0..10 {
        let answer = ask_admin(admin, &target, &wrong, "");
        assert_eq!(answer.status(), 401, "{attempt}");
    }
    let answer = ask_admin(admin, &target, &wrong, "");
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(answer.json("code"), "too-many-failures");
    let form = Browser::new(admin).sign_in("engage_x", "/");
    assert_eq!(form.status(), 429, "one count for both ways");
    assert_eq!(form.header("retry-after"), Some("60"));
    assert_eq!(ask_admin(admin, &target, &bearer(&token), "").status(), 404);
    assert_eq!(Browser::new(admin).sign_in(&token, "/").status(), 303);
    let line = daemon.wait_for("token on the admin listener refused");
    assert!(
        line.contains("127.0.0.1") && !line.contains("AAAA"),
        "{line}"
    );
    let labels = [("listener", "admin"), ("limit", "tokens")];
    assert_eq!(daemon.metrics().sum("refusals_total", &labels), 12);
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let (_installation, _daemon, admin, token) = started(Role::Read);
    let mut browser = Browser::new(admin);
    browser.signed_in(&token);
    for answer in [
        browser.get(NOTHING),
        browser.get("/sign-in"),
        ask_admin(admin, &format!("GET {NOTHING}"), "", ""),
        browser.send("POST /sign-out", "", ""),
    ] {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
        }
    }
}

#[test]
fn a_form_that_has_no_end_is_refused() {
    let (_installation, _daemon, admin, token) = started(Role::Write);
    let mut browser = Browser::new(admin);
    browser.signed_in(&token);
    let large = format!("form_token={}", "a".repeat(70_000));
    assert_eq!(browser.post_form("/sign-out", &large).status(), 413);
    assert_eq!(browser.post_form("/sign-in", &large).status(), 413);
}
