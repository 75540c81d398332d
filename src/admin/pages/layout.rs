//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::text::{self, foreign};
use crate::admin::access::Principal;

/// Who looks at a page.
pub(super) struct Viewer {
    /// The name of the token with which they signed in.
    pub(super) name: String,
    /// Whether they may change something.
    pub(super) may_write: bool,
    /// What forms of this session carry; a program that shows its token has no session.
    pub(super) form_token: Option<String>,
}

impl From<&Principal> for Viewer {
    fn from(principal: &Principal) -> Self {
        Self {
            name: principal.name().to_string(),
            may_write: principal.may_write(),
            form_token: principal.form_token().map(|it| it.reveal().to_owned()),
        }
    }
}

/// The parts of the site that the navigation leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Home,
    Devices,
    Events,
    Rotation,
    Changes,
}

/// A page of somebody who has signed in.
pub(super) fn page(viewer: &Viewer, section: Section, title: &str, content: &Markup) -> Markup {
    document(
        title,
        &html! {
            header.top {
                (brand())
                (navigation(section))
                (signed_in(viewer))
            }
            main #main tabindex="-1" { (content) }
            footer { "engage-host " (env!("CARGO_PKG_VERSION")) ". All times are UTC." }
        },
    )
}

/// A page for whoever comes: to sign in, or to read why not.
pub(in crate::admin) fn bare_page(title: &str, content: &Markup) -> Markup {
    document(
        title,
        &html! {
            header.top { (brand()) }
            main #main.narrow tabindex="-1" { (content) }
        },
    )
}

/// Why a page cannot be shown.
pub(in crate::admin) fn error_page(title: &str, message: &str, hint: &str) -> Markup {
    let content = html! {
        section.card {
            h1 { (title) }
            p { (text::message(message)) }
            p.muted { (text::message(hint)) }
            p { a href="/" { "Back to the overview" } }
        }
    };
    bare_page(title, &content)
}

/// The field that every form carries.
pub(super) fn form_token(viewer: &Viewer) -> Markup {
    html! {
        @if let Some(form_token) = &viewer.form_token {
            input type="hidden" name="form_token" value=(form_token);
        }
    }
}

/// What makes a page look as the others.
pub(in crate::admin) fn icon_and_style() -> Markup {
    html! {
        link rel="icon" href=(ICON);
        link rel="stylesheet" href=(assets::STYLE.path());
    }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " \u{2013} engage-host" }
                (icon_and_style())
                script src=(assets::REFRESH.path()) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (body)
            }
        }
    }
}

fn brand() -> Markup {
    html! {
        a.brand href="/" {
            svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
                path fill="currentColor" d=(DOOR) {}
            }
            "engage-host"
        }
    }
}

fn navigation(current: Section) -> Markup {
    html! {
        nav aria-label="Main" {
            ul {
                @for (section, path, name) in SECTIONS {
                    li {
                        a href=(path) aria-current=[(section == current).then_some("page")] { (name) }
                    }
                }
            }
        }
    }
}

fn signed_in(viewer: &Viewer) -> Markup {
    html! {
        form.who method="post" action="/sign-out" {
            span {
                span.unseen { "Signed in as " }
                (foreign(&viewer.name)) " "
                span.muted { (if viewer.may_write { "may write" } else { "read only" }) }
            }
            (form_token(viewer))
            button.quiet type="submit" { "Sign out" }
        }
    }
}

const SECTIONS: [(Section, &str, &str); 5] = [
    (Section::Home, "/", "Overview"),
    (Section::Devices, "/devices", "Devices"),
    (Section::Events, "/events", "Events"),
    (Section::Rotation, "/rotation", "Root rotation"),
    (Section::Changes, "/changes", "Changes"),
];

/// A door that stands ajar, with its handle.
const DOOR: &str = "M5 2h14a1 1 0 0 1 1 1v18h2v1.6H2V21h2V3a1 1 0 0 1 1-1Zm1.6 2v17H8V6l7 2v13h2.4V4H6.6Zm5.6 8.6v3l1.2.3v-3l-1.2-.3Z";

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Crect width='24' height='24' rx='5' fill='%230f766e'/%3E%3Cpath fill='%23fff' d='M8 5h8v14H8zm5.5 6.5v2h1v-2z'/%3E%3C/svg%3E";
