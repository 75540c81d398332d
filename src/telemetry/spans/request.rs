//! The span of a device's request, and its children.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use http::{Extensions, Method, Version};
use parking_lot::Mutex;

use super::span::{AttributeValue, EndOfSpan, Span, SpanKind};
use super::{SpanContext, SpanId, Tracer};
use crate::telemetry::{AccessEvent, Shortened};

/// What is known of a request's span before it ends.
#[derive(Debug)]
pub(crate) struct RequestTrace {
    context: Mutex<SpanContext>,
    version: Version,
    children: Mutex<Vec<Child>>,
}

#[derive(Debug)]
struct Child {
    name: &'static str,
    started: Instant,
    ended: Instant,
}

/// The trace of the request that is being answered, if there is one: what is timed, is timed then.
#[derive(Clone, Debug)]
pub(crate) struct MaybeTraced(Option<Arc<RequestTrace>>);

impl MaybeTraced {
    /// Of a request's extensions.
    pub(crate) fn from_extensions(extensions: &Extensions) -> Self {
        Self(extensions.get().cloned())
    }

    /// Awaits `future` as a child of the request's span.
    pub(crate) async fn child<F: Future>(&self, name: &'static str, future: F) -> F::Output {
        let Some(trace) = &self.0 else {
            return future.await;
        };
        let started = Instant::now();
        let output = future.await;
        let ended = Instant::now();
        trace.children.lock().push(Child {
            name,
            started,
            ended,
        });
        output
    }

    /// What `name` makes, if anybody wants to know.
    pub(crate) fn if_traced<T>(&self, name: impl FnOnce() -> Option<T>) -> Option<T> {
        self.0.as_ref().and_then(|_| name())
    }

    /// The request's span is this one, which others can find.
    pub(crate) fn set_context(&self, context: SpanContext) {
        if let Some(trace) = &self.0 {
            *trace.context.lock() = context;
        }
    }
}

impl Tracer {
    /// The trace of a request that begins, if it is to be recorded.
    pub(crate) fn request(&self, version: Version) -> Option<Arc<RequestTrace>> {
        let context = SpanContext::random()?;
        self.is_sampled(context.trace).then(|| {
            Arc::new(RequestTrace {
                context: Mutex::new(context),
                version,
                children: Mutex::default(),
            })
        })
    }

    /// The request was answered. `template` is its route as the router knows it.
    pub(crate) fn answered(
        &self,
        trace: &RequestTrace,
        access: &AccessEvent<'_>,
        template: Option<&'static str>,
    ) {
        let (context, end) = (*trace.context.lock(), EndOfSpan::now());
        let status = access.status;
        self.record(|| Span {
            context,
            parent: None,
            name: span_name(access.method, template),
            kind: SpanKind::Server,
            start_unix_nanos: end.unix_nanos_of(access.started),
            end_unix_nanos: end.unix_nanos(),
            attributes: attributes(trace, access, template),
            links: Vec::new(),
            is_error: status.is_server_error(),
        });
        for child in trace.children.lock().drain(..) {
            self.record_child(context, &child, &end);
        }
    }

    fn record_child(&self, parent: SpanContext, child: &Child, end: &EndOfSpan) {
        let Some(span) = SpanId::random() else {
            return;
        };
        self.record(|| Span {
            context: SpanContext { span, ..parent },
            parent: Some(parent.span),
            name: child.name.into(),
            kind: SpanKind::Internal,
            start_unix_nanos: end.unix_nanos_of(child.started),
            end_unix_nanos: end.unix_nanos_of(child.ended),
            attributes: Vec::new(),
            links: Vec::new(),
            is_error: false,
        });
    }
}

/// `GET /static/Device_Certificates/{name}`: never what a caller makes up.
fn span_name(method: &Method, template: Option<&'static str>) -> Cow<'static, str> {
    let method = known_method(method).unwrap_or("HTTP");
    match template {
        Some(template) => format!("{method} {template}").into(),
        None => method.into(),
    }
}

/// OpenTelemetry's semantic conventions for HTTP servers. Neither headers, nor bodies, nor the query.
fn attributes(
    trace: &RequestTrace,
    access: &AccessEvent<'_>,
    template: Option<&'static str>,
) -> Vec<(&'static str, AttributeValue)> {
    let AccessEvent {
        connection,
        method,
        uri,
        status,
        size_bytes,
        ..
    } = access;
    let mut attributes: Vec<(&'static str, AttributeValue)> = vec![
        (
            "http.request.method",
            known_method(method).unwrap_or("_OTHER").into(),
        ),
        ("url.scheme", connection.listener.name().into()),
        ("url.path", Shortened(uri.path()).to_string().into()),
        ("http.response.status_code", status.as_u16().into()),
        ("client.address", connection.peer.ip().to_string().into()),
        ("client.port", connection.peer.port().into()),
        ("network.protocol.name", "http".into()),
        ("network.protocol.version", version(trace.version).into()),
    ];
    if known_method(method).is_none() {
        let original = Shortened(method.as_str()).to_string();
        attributes.push(("http.request.method_original", original.into()));
    }
    let of_connection = connection.tls.map(|tls| tls.version);
    attributes.extend(template.map(|it| ("http.route", it.into())));
    attributes.extend(of_connection.map(|it| ("tls.protocol.version", it.into())));
    attributes.extend(size_bytes.map(|it| ("http.response.body.size", it.into())));
    attributes.extend(access.serial().map(|it| ("device.serial", it.into())));
    if status.is_server_error() {
        attributes.push(("error.type", status.as_str().to_owned().into()));
    }
    attributes
}

/// The methods that the semantic conventions name.
fn known_method(method: &Method) -> Option<&'static str> {
    let known = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    known.into_iter().find(|known| method.as_str() == *known)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}
