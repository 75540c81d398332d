//! A change of the root, as it is shown.

use super::fixture::{Lock, Pages, count};
use crate::harness::{Role, program, run};

#[test]
fn while_the_root_is_changed_it_is_shown_who_is_missing_and_which_command_comes_next() {
    let locks: Vec<_> = (1..=3).map(Lock::new).collect();
    let pages = Pages::start(locks.clone(), Role::Write);
    let before = pages.page("/rotation");
    assert!(
        before.contains("<code>engage-host rotate prepare</code>"),
        "{before}"
    );
    assert!(!before.contains("Locks that are not ready"), "{before}");

    let prepare = ["rotate", "prepare", "--wait", "0", "--config"];
    let config = pages.installation().path("config.toml");
    let prepared = run(program().args(prepare).arg(config));
    let said = prepared.stdout_text();
    assert!(
        said.contains("next: `engage-host rotate publish`"),
        "{prepared:?}"
    );
    let page = pages.page("/rotation");
    assert!(page.contains(">prepared<"), "{page}");
    assert!(
        page.contains("<code>engage-host rotate publish</code>"),
        "{page}"
    );

    pages.take_step("publish");
    let page = pages.page("/rotation");
    for expected in [
        ">published<",
        "the new certificate is announced",
        "<code>engage-host rotate activate</code>",
        "Progress by site",
        "Hosts on the store",
        ">yes</span>",
        ">unseen<",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    for lock in &locks {
        let link = format!("href=\"/devices/{}\"", lock.serial());
        assert_eq!(count(&page, &link), 1, "{page}");
    }

    pages.take_step("undo");
    let page = pages.page("/rotation");
    assert!(page.contains(">undoing<"), "{page}");
    assert!(
        page.contains("<code>engage-host rotate undo</code>"),
        "{page}"
    );
}
