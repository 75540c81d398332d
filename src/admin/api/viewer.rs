//! The document for people, as one page without scripts.

use std::fmt::Write as _;

use serde_json::Value;
use utoipa::openapi::OpenApi;

/// The whole page.
pub(super) fn html(document: &OpenApi) -> String {
    let Ok(document) = serde_json::to_value(document) else {
        unreachable!("a document is JSON");
    };
    let mut page = String::from(HEAD);
    let text = |pointer: &str| shown(document.pointer(pointer));
    put(
        &mut page,
        &format!("<h1>{} {}</h1>", text("/info/title"), text("/info/version")),
    );
    put(&mut page, &format!("<p>{}</p>", text("/info/description")));
    put(&mut page, LINKS);
    for (path, item) in members(document.get("paths")) {
        for (method, operation) in members(Some(item)) {
            put_operation(&mut page, path, method, operation);
        }
    }
    put(&mut page, "<h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in members(document.pointer("/components/schemas")) {
        let name = escaped(name);
        put(
            &mut page,
            &format!("<section><h3 id=\"schema-{name}\">{name}</h3>"),
        );
        put(
            &mut page,
            &format!("<p>{}</p>", shown(schema.get("description"))),
        );
        put_members(&mut page, schema);
        put(&mut page, "</section>");
    }
    put(&mut page, "</main></body></html>");
    page
}

fn put_operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    let (path, method) = (escaped(path), escaped(&method.to_uppercase()));
    let id = shown(operation.get("operationId"));
    put(
        page,
        &format!("<section><h2 id=\"{id}\"><code>{method} {path}</code></h2>"),
    );
    put(
        page,
        &format!(
            "<p><strong>{}</strong></p>",
            shown(operation.get("summary"))
        ),
    );
    put(
        page,
        &format!("<p>{}</p>", shown(operation.get("description"))),
    );
    let parameters = operation.get("parameters").and_then(Value::as_array);
    if let Some(parameters) = parameters.filter(|it| !it.is_empty()) {
        put(
            page,
            "<table><caption>Parameters</caption><tr><th scope=\"col\">Name</th><th scope=\"col\">In</th><th scope=\"col\">Type</th><th scope=\"col\">Meaning</th></tr>",
        );
        for parameter in parameters {
            let required = parameter.get("required") == Some(&Value::Bool(true));
            let star = if required { " (required)" } else { "" };
            put(
                page,
                &format!(
                    "<tr><th scope=\"row\"><code>{}</code>{star}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                    shown(parameter.get("name")),
                    shown(parameter.get("in")),
                    kind(parameter.get("schema")),
                    shown(parameter.get("description")),
                ),
            );
        }
        put(page, "</table>");
    }
    let body = operation.pointer("/requestBody/content/application~1json/schema");
    if body.is_some() {
        let meaning = shown(operation.pointer("/requestBody/description"));
        put(page, &format!("<p>Body: {} {meaning}</p>", kind(body)));
    }
    put(
        page,
        "<table><caption>Answers</caption><tr><th scope=\"col\">Status</th><th scope=\"col\">Meaning</th><th scope=\"col\">Body</th></tr>",
    );
    for (status, response) in members(operation.get("responses")) {
        let content = members(response.get("content")).next();
        let content = content.map_or_else(String::new, |(media, content)| {
            format!(
                "<code>{}</code> {}",
                escaped(media),
                kind(content.get("schema"))
            )
        });
        let meaning = shown(response.get("description"));
        put(
            page,
            &format!(
                "<tr><th scope=\"row\">{}</th><td>{meaning}</td><td>{content}</td></tr>",
                escaped(status)
            ),
        );
    }
    put(page, "</table></section>");
}

/// Those of a schema, and of those that it is made of.
fn put_members(page: &mut String, schema: &Value) {
    let parts = schema.get("allOf").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        if part.get("$ref").is_some() {
            put(page, &format!("<p>With all of {}</p>", kind(Some(part))));
        }
        put_members(page, part);
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|it| it.iter().any(|it| it == name));
    let mut properties = members(schema.get("properties")).peekable();
    if properties.peek().is_none() {
        return;
    }
    put(
        page,
        "<table><caption>Members</caption><tr><th scope=\"col\">Name</th><th scope=\"col\">Type</th><th scope=\"col\">Meaning</th></tr>",
    );
    for (name, member) in properties {
        let star = if is_required(name) { " (always)" } else { "" };
        let (name, meaning) = (escaped(name), shown(member.get("description")));
        put(
            page,
            &format!(
                "<tr><th scope=\"row\"><code>{name}</code>{star}</th><td>{}</td><td>{meaning}</td></tr>",
                kind(Some(member))
            ),
        );
    }
    put(page, "</table>");
}

/// What a schema is, in few words.
fn kind(schema: Option<&Value>) -> String {
    let Some(schema) = schema else {
        return String::new();
    };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = escaped(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(kinds) = schema.get(several).and_then(Value::as_array) {
            let kinds: Vec<_> = kinds.iter().map(|it| kind(Some(it))).collect();
            return kinds.join(" or ");
        }
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(Some(items)));
    }
    let mut text = match schema.get("type") {
        Some(Value::Array(kinds)) => {
            let kinds: Vec<_> = kinds.iter().map(|it| shown(Some(it))).collect();
            kinds.join(" or ")
        }
        kind => shown(kind),
    };
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values.iter().map(|it| shown(Some(it))).collect();
        let _ = write!(text, ": {}", values.join(", "));
    }
    let (minimum, maximum) = (schema.get("minimum"), schema.get("maximum"));
    if let (Some(minimum), Some(maximum)) = (minimum, maximum) {
        let _ = write!(
            text,
            ", {} to {}",
            escaped(&minimum.to_string()),
            escaped(&maximum.to_string())
        );
    }
    text
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.and_then(Value::as_object);
    let members = members.into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

fn shown(value: Option<&Value>) -> String {
    escaped(value.and_then(Value::as_str).unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn put(page: &mut String, html: &str) {
    page.push_str(html);
    page.push('\n');
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>engage-host API</title>\
<meta name=\"viewport\" content=\"width=device-width\"></head><body><main>\n";

const LINKS: &str = "<p><a href=\"/api/openapi.json\">The document</a> (OpenAPI 3.1), \
<a href=\"#schemas\">schemas</a>, <a href=\"/\">home</a></p>";
