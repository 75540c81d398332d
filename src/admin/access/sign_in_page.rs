//! The forms to sign in and out.

use axum::response::Html;

use super::Principal;
use super::local_path::LocalPath;
use super::refusal::AccessRefusal;
use super::sessions::FormToken;
use engage_wire::diagnostic::hint;

/// The form, with the reason why it is shown once more.
pub(super) fn sign_in_page(next: &LocalPath, refusal: Option<AccessRefusal>) -> Html<String> {
    let next = escaped(next.as_str());
    let refusal = refusal.map_or_else(String::new, |refusal| {
        let (message, hint) = (escaped(&refusal.to_string()), escaped(&hint(&refusal)));
        format!("<p role=\"alert\">{message}: {hint}</p>\n")
    });
    page(
        "Sign in",
        &format!(
            "{refusal}<form method=\"post\" action=\"/sign-in\">\n<input type=\"hidden\" name=\"next\" value=\"{next}\">\n<label for=\"token\">Token</label>\n<input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\n<button>Sign in</button>\n</form>"
        ),
    )
}

/// The button to sign out.
pub(super) fn sign_out_page(principal: &Principal) -> Html<String> {
    let token = principal.form_token().map_or("", FormToken::reveal);
    let name = escaped(principal.name().as_str());
    page(
        "Sign out",
        &format!(
            "<p>Signed in as {name}.</p>\n<form method=\"post\" action=\"/sign-out\">\n<input type=\"hidden\" name=\"form_token\" value=\"{token}\">\n<button>Sign out</button>\n</form>"
        ),
    )
}

fn page(title: &str, content: &str) -> Html<String> {
    Html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} - engage-host</title>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{content}\n</main>\n</body>\n</html>\n"
    ))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            it => escaped.push(it),
        }
    }
    escaped
}
