//! The document names what answers, and how.

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::{Api, json};
use super::host;

/// Every operation: method, path with an example in place of each parameter, and what it says of itself.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api").unwrap();
        let path = path
            .replace("{device}", "00000000000000FF")
            .replace("{name}", "Nowhere")
            .replace("{step}", "undo");
        assert!(!path.contains('{'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    found
}

#[test]
fn the_document_is_of_version_3_1_and_names_every_operation_once() {
    let (_host, api) = host("");
    let document = api.get("/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let all = operations(&document);
    let ids: BTreeSet<_> = all
        .iter()
        .map(|it| it.2["operationId"].to_string())
        .collect();
    assert_eq!(ids.len(), all.len(), "{ids:?}");
    assert!(all.len() >= 18, "{ids:?}");
    let viewer = api.ask("GET", "/docs", "", "");
    let viewer = String::from_utf8(viewer.body).unwrap();
    for (method, _, operation) in &all {
        let id = operation["operationId"].as_str().unwrap();
        assert!(viewer.contains(&format!("id=\"{id}\"")), "{id}");
        assert!(viewer.contains(method), "{method}");
    }
    assert!(!viewer.contains("<script"), "{viewer}");
}

#[test]
fn every_operation_of_the_document_answers_what_it_says_it_may() {
    let (_host, api) = host("");
    let document = api.get("/openapi.json");
    let nobody = Api {
        address: api.address,
        token: "wrong".to_owned(),
    };
    for (method, path, operation) in operations(&document) {
        if path.ends_with("/stream") {
            continue;
        }
        for (who, headers, body) in [
            (&api, "", ""),
            (&api, "", "{}"),
            (&api, "If-Match: x\r\n", "["),
            (&api, "Idempotency-Key: \r\n", "{}"),
            (&nobody, "", ""),
        ] {
            let answer = who.ask(&method, &path, headers, body);
            let status = answer.status().to_string();
            let described = &operation["responses"][&status];
            assert!(
                described.is_object(),
                "{method} {path} {headers}{body}: {}",
                answer.head
            );
            if answer.status() >= 400 {
                let code = json(&answer)["code"].as_str().unwrap().to_owned();
                assert!(
                    !["not-found", "method-not-allowed"].contains(&&*code),
                    "{method} {path}"
                );
                assert!(described["content"]["application/problem+json"].is_object());
            }
        }
    }
}

#[test]
fn what_is_no_operation_is_a_problem_too() {
    let (_host, api) = host("");
    for path in ["/v1/nothing", "/v2", "", "/v1/devices/a/b/c"] {
        assert_eq!(api.refused(404, "GET", path, "", ""), "not-found", "{path}");
    }
    let answer = api.ask("PATCH", "/v1/sites", "", "");
    assert_eq!(answer.status(), 405);
    let allowed = answer.header("allow").unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    assert_eq!(json(&answer)["code"], "method-not-allowed");
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(300 * 1024));
    assert_eq!(
        api.refused(413, "POST", "/v1/sites", "", &long),
        "body-too-large"
    );
}
