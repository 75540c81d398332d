//! The document for people, as one page without scripts.

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::admin::pages::{icon_and_style, message};

/// The whole page.
pub(super) fn html(document: &OpenApi) -> String {
    let Ok(document) = serde_json::to_value(document) else {
        unreachable!("a document is JSON");
    };
    let info = |name: &str| text(document.pointer(&format!("/info/{name}")));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "engage-host API" }
                (icon_and_style())
            }
            body { main {
                h1 { (info("title")) " " (info("version")) }
                p { (info("description")) }
                p {
                    a href="/api/openapi.json" { "The document" } " (OpenAPI 3.1), "
                    a href="#schemas" { "schemas" } ", " a href="/" { "overview" }
                }
                @for (path, item) in members(document.get("paths")) {
                    @for (method, it) in members(Some(item)) { (operation(path, method, it)) }
                }
                h2 #schemas { "Schemas" }
                @for (name, it) in members(document.pointer("/components/schemas")) { (schema(name, it)) }
            } }
        }
    };
    page.into_string()
}

fn operation(path: &str, method: &str, operation: &Value) -> Markup {
    let body = operation.get("requestBody");
    html! {
        section.card {
            h2 id=(text(operation.get("operationId"))) { code { (method.to_uppercase()) " " (path) } }
            p { strong { (text(operation.get("summary"))) } }
            p { (prose(operation.get("description"))) }
            (parameters(operation))
            @if let Some(schema) = body.and_then(|it| it.pointer(JSON_SCHEMA)) {
                p { "Body: " (kind(Some(schema))) " " (prose(body.and_then(|it| it.get("description")))) }
            }
            (answers(operation))
        }
    }
}

fn parameters(operation: &Value) -> Markup {
    let list = operation.get("parameters").and_then(Value::as_array);
    html! {
        @if let Some(list) = list.filter(|it| !it.is_empty()) {
            (table("Parameters", ["Name", "In", "Type", "Meaning"], &html! {
                @for it in list {
                    tr {
                        th scope="row" {
                            code { (text(it.get("name"))) }
                            @if it.get("required") == Some(&Value::Bool(true)) { " (required)" }
                        }
                        td data-label="In" { (text(it.get("in"))) }
                        td data-label="Type" { (kind(it.get("schema"))) }
                        td data-label="Meaning" { (prose(it.get("description"))) }
                    }
                }
            }))
        }
    }
}

fn answers(operation: &Value) -> Markup {
    table(
        "Answers",
        ["Status", "Meaning", "Body"],
        &html! {
            @for (status, answer) in members(operation.get("responses")) {
                tr {
                    th scope="row" { (status) }
                    td data-label="Meaning" { (prose(answer.get("description"))) }
                    td data-label="Body" {
                        @if let Some((media, content)) = members(answer.get("content")).next() {
                            code { (media) } " " (kind(content.get("schema")))
                        }
                    }
                }
            }
        },
    )
}

fn schema(name: &str, schema: &Value) -> Markup {
    html! {
        section.card {
            h3 id={ "schema-" (name) } { (name) }
            p { (prose(schema.get("description"))) }
            (properties(schema))
        }
    }
}

/// Those of a schema, and of those that it is made of.
fn properties(schema: &Value) -> Markup {
    let parts = schema.get("allOf").and_then(Value::as_array);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|it| it.iter().any(|it| it == name));
    html! {
        @for part in parts.into_iter().flatten() {
            @if part.get("$ref").is_some() { p { "With all of " (kind(Some(part))) } }
            (properties(part))
        }
        @if members(schema.get("properties")).next().is_some() {
            (table("Members", ["Name", "Type", "Meaning"], &html! {
                @for (name, member) in members(schema.get("properties")) {
                    tr {
                        th scope="row" {
                            code { (name) }
                            @if is_required(name) { " (always)" }
                        }
                        td data-label="Type" { (kind(Some(member))) }
                        td data-label="Meaning" { (prose(member.get("description"))) }
                    }
                }
            }))
        }
    }
}

fn table<const N: usize>(caption: &str, headings: [&str; N], rows: &Markup) -> Markup {
    html! {
        table.stack {
            caption { (caption) }
            thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
            tbody { (rows) }
        }
    }
}

/// What a schema is, in few words.
fn kind(schema: Option<&Value>) -> Markup {
    let Some(schema) = schema else {
        return html! {};
    };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or_default();
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    let several = ["oneOf", "anyOf", "allOf"].map(|it| schema.get(it).and_then(Value::as_array));
    if let Some(kinds) = several.into_iter().flatten().next() {
        return html! {
            @for (at, it) in kinds.iter().enumerate() {
                @if at > 0 { " or " }
                (kind(Some(it)))
            }
        };
    }
    if let Some(items) = schema.get("items") {
        return html! { "list of " (kind(Some(items))) };
    }
    let limits = schema.get("minimum").zip(schema.get("maximum"));
    html! {
        (list(schema.get("type"), " or "))
        @if let Some(values) = schema.get("enum") { ": " (list(Some(values), ", ")) }
        @if let Some((minimum, maximum)) = limits { ", " (minimum) " to " (maximum) }
    }
}

/// A text, or several.
fn list(value: Option<&Value>, between: &str) -> String {
    match value {
        Some(Value::Array(values)) => {
            let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            values.join(between)
        }
        value => text(value).to_owned(),
    }
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.and_then(Value::as_object);
    let members = members.into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

/// A description, whose lines end where those of the source do.
fn prose(value: Option<&Value>) -> Markup {
    message(&text(value).replace('\n', " "))
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

const JSON_SCHEMA: &str = "/content/application~1json/schema";
