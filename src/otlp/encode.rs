//! OTLP's JSON encoding (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids are
//! hexadecimal, 64-bit numbers are strings, enumerations are numbers.

use bytes::Bytes;
use serde::Serialize;

use crate::telemetry::{AttributeValue, Span, SpanContext};

/// `ExportTraceServiceRequest`, of this process on `host`.
pub(super) fn encode(host: &str, spans: &[Span]) -> Bytes {
    let request = ExportTraceServiceRequest {
        resource_spans: [ResourceSpans {
            resource: Resource {
                attributes: [
                    text("service.name", env!("CARGO_PKG_NAME")),
                    text("service.version", VERSION),
                    text("host.name", host),
                ],
            },
            scope_spans: [ScopeSpans {
                scope: Scope {
                    name: env!("CARGO_PKG_NAME"),
                    version: VERSION,
                },
                spans: spans.iter().map(EncodedSpan::new).collect(),
            }],
        }],
    };
    let Ok(json) = serde_json::to_vec(&request) else {
        unreachable!("strings and numbers always serialise into memory");
    };
    json.into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportTraceServiceRequest<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: [KeyValue<'a>; 3],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<EncodedSpan<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedSpan<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    status: Status,
}

impl<'a> EncodedSpan<'a> {
    fn new(span: &'a Span) -> Self {
        let attributes = span.attributes.iter();
        Self {
            trace_id: span.context.trace.to_string(),
            span_id: span.context.span.to_string(),
            parent_span_id: span.parent.map(|parent| parent.to_string()),
            flags: SAMPLED,
            name: &span.name,
            kind: span.kind as u8,
            start_time_unix_nano: span.start_unix_nanos.to_string(),
            end_time_unix_nano: span.end_unix_nanos.to_string(),
            attributes: attributes
                .map(|(key, value)| key_value(key, value))
                .collect(),
            links: span.links.iter().copied().map(Link::from).collect(),
            status: Status {
                code: span.is_error.then_some(STATUS_ERROR),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
}

impl From<SpanContext> for Link {
    fn from(context: SpanContext) -> Self {
        Self {
            trace_id: context.trace.to_string(),
            span_id: context.span.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    StringValue(&'a str),
    IntValue(String),
}

fn text<'a>(key: &'a str, value: &'a str) -> KeyValue<'a> {
    KeyValue {
        key,
        value: AnyValue::StringValue(value),
    }
}

fn key_value<'a>(key: &'a str, value: &'a AttributeValue) -> KeyValue<'a> {
    let value = match value {
        AttributeValue::Text(text) => AnyValue::StringValue(text),
        AttributeValue::Number(number) => AnyValue::IntValue(number.to_string()),
    };
    KeyValue { key, value }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The flag of W3C Trace Context.
const SAMPLED: u32 = 1;

/// `STATUS_CODE_ERROR`; a status that is not set says nothing.
const STATUS_ERROR: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::SpanKind;
    use engage_store::EventKind;

    #[test]
    fn a_span_is_what_the_specification_says() {
        let context = SpanContext::of_batch(EventKind::Audits, "8f0c");
        let span = Span {
            context,
            parent: Some(context.span),
            name: "POST".into(),
            kind: SpanKind::Client,
            start_unix_nanos: 1_795_572_790_000_000_001,
            end_unix_nanos: 1_795_572_790_000_000_002,
            attributes: vec![("server.port", 443_u16.into()), ("a", "\"\n".into())],
            links: vec![context],
            is_error: true,
        };
        let (trace, span_id) = (context.trace.to_string(), context.span.to_string());
        let json: serde_json::Value =
            serde_json::from_slice(&encode("a.example", &[span])).unwrap();
        let of_resource = &json["resourceSpans"][0];
        let encoded = &of_resource["scopeSpans"][0]["spans"][0];
        let expected = serde_json::json!({
            "traceId": trace, "spanId": span_id, "parentSpanId": span_id, "flags": 1,
            "name": "POST", "kind": 3,
            "startTimeUnixNano": "1795572790000000001", "endTimeUnixNano": "1795572790000000002",
            "attributes": [
                {"key": "server.port", "value": {"intValue": "443"}},
                {"key": "a", "value": {"stringValue": "\"\n"}},
            ],
            "links": [{"traceId": trace, "spanId": span_id}],
            "status": {"code": 2},
        });
        assert_eq!(encoded, &expected);
        let name = &of_resource["resource"]["attributes"][0];
        assert_eq!(name["value"]["stringValue"], "engage-host");
    }
}
