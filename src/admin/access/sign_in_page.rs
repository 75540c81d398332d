//! The forms to sign in and out.

use axum::response::Html;
use maud::{Markup, html};

use super::Principal;
use super::local_path::LocalPath;
use super::refusal::AccessRefusal;
use super::sessions::FormToken;
use crate::admin::pages::{bare_page, message};
use engage_wire::diagnostic::hint;

/// The form, with the reason why it is shown once more.
pub(super) fn sign_in_page(next: &LocalPath, refusal: Option<AccessRefusal>) -> Html<String> {
    let content = html! {
        @if let Some(refusal) = refusal {
            div.problem.attention role="alert" {
                p { (message(&refusal.to_string())) }
                p.muted { (message(&hint(&refusal))) }
            }
        }
        form.stacked method="post" action=(SIGN_IN) {
            input type="hidden" name="next" value=(next.as_str());
            div.field {
                label for="token" { "Token" }
                input #token name="token" type="password" autocomplete="current-password" required autofocus;
            }
            button type="submit" { "Sign in" }
        }
        p.muted { "Who runs this host makes one: " code { "engage-host admin token NAME --role read" } }
    };
    page("Sign in", &content)
}

/// The button to sign out.
pub(super) fn sign_out_page(principal: &Principal) -> Html<String> {
    let token = principal.form_token().map_or("", FormToken::reveal);
    let content = html! {
        p { "Signed in as " (principal.name()) "." }
        form.stacked method="post" action="/sign-out" {
            input type="hidden" name="form_token" value=(token);
            button type="submit" { "Sign out" }
        }
    };
    page("Sign out", &content)
}

fn page(title: &str, content: &Markup) -> Html<String> {
    let card = html! {
        section.card {
            h1 { (title) }
            (content)
        }
    };
    Html(bare_page(title, &card).into_string())
}

/// Where the form is.
pub(super) const SIGN_IN: &str = "/sign-in";
