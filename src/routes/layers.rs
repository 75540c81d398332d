//! What every request of a device passes on its way to the router, outermost first.

use std::any::Any;
use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use http::header::CONNECTION;
use http::{Method, Request, Uri};
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceBuilder};
use tower_http::catch_panic::{CatchPanic, CatchPanicLayer};
use tower_http::validate_request::{
    ValidateRequest, ValidateRequestHeader, ValidateRequestHeaderLayer,
};

use super::error::{ApiError, RefusedBy};
use super::malformed::{Malformed, WellFormed};
use super::route::Route;
use super::{App, router};
use crate::connection::Connection;
use crate::telemetry::{AccessEvent, RequestTrace};
use engage_store::DeviceId;

/// What both device listeners serve.
pub type DeviceService =
    AccessLog<CatchPanic<ValidateRequestHeader<AllowListed, WellFormed>, PanicResponse>>;

type AllowListed = ValidateRequestHeader<Router, AllowList>;

/// The router with its layers, ready to be cloned for each listener.
///
/// Around the router and not `Router::layer`, which would box every layer for every route. There is
/// no body limit among them: what is too long is kept in quarantine as far as is allowed before it
/// is refused, which only the routes with a body can do (`call_in::body`).
pub fn device_service(app: &Arc<App>) -> DeviceService {
    ServiceBuilder::new()
        .layer(AccessLogLayer(Arc::clone(app)))
        .layer(CatchPanicLayer::custom(panic_response as PanicResponse))
        .layer(ValidateRequestHeaderLayer::custom(WellFormed(Arc::clone(
            app,
        ))))
        .layer(ValidateRequestHeaderLayer::custom(AllowList))
        .service(router(app))
}

/// Answers 401 to callers outside `[access] allow`, whatever they ask for.
#[derive(Clone, Copy, Debug)]
pub struct AllowList;

impl<B> ValidateRequest<B> for AllowList {
    type ResponseBody = Body;

    fn validate(&mut self, request: &mut Request<B>) -> Result<(), Response> {
        match request.extensions().get::<Arc<Connection>>() {
            Some(connection) if connection.allowed => Ok(()),
            _ => Err(ApiError::Unauthorized.into_response()),
        }
    }
}

type PanicResponse = fn(Box<dyn Any + Send>) -> Response;

/// The panic itself has been logged by the panic hook.
fn panic_response(_: Box<dyn Any + Send>) -> Response {
    ApiError::Internal.into_response()
}

/// Counts and logs every request, and tells the connection's socket where requests begin and end.
#[derive(Clone)]
struct AccessLogLayer(Arc<App>);

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog {
            app: Arc::clone(&self.0),
            inner,
        }
    }
}

/// The service of [`AccessLogLayer`].
#[derive(Clone)]
pub struct AccessLog<S> {
    app: Arc<App>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for AccessLog<S>
where
    S: Service<Request<B>, Response = http::Response<R>, Error = Infallible>,
    R: HttpBody,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let started = Started::from_request(&mut request, &self.app);
        Answering {
            inner: self.inner.call(request),
            started,
        }
    }
}

pin_project! {
    /// An answer that is to be counted and logged.
    pub struct Answering<F> {
        #[pin]
        inner: F,
        started: Option<Started>,
    }
}

impl<F, R> Future for Answering<F>
where
    F: Future<Output = Result<http::Response<R>, Infallible>>,
    R: HttpBody,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // A client that asks for many things at once gets one a turn: else thousands of them would hold
        // everybody else up for as long as all of it takes.
        if let Some(started) = this.started
            && mem::take(&mut started.is_pipelined)
        {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Ok(response) = ready!(this.inner.poll(context));
        if let Some(started) = this.started.take() {
            started.answered(&response);
        }
        Poll::Ready(Ok(response))
    }
}

/// Whether HTTP ends the connection with the answer (RFC 9112 section 9.6). Not after CONNECT, whose
/// connection HTTP may leave to others.
fn is_last<B>(request: &Request<B>) -> bool {
    let connection = request.headers().get(CONNECTION);
    let closes = connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    closes && request.method() != Method::CONNECT
}

/// What is remembered of a request until it is answered.
struct Started {
    connection: Arc<Connection>,
    app: Arc<App>,
    route: Route,
    method: Method,
    uri: Uri,
    at: Instant,
    /// Whether it was read together with the request before it, and has not waited for that yet.
    is_pipelined: bool,
    /// If traces are exported.
    trace: Option<Arc<RequestTrace>>,
}

impl Started {
    /// Nothing for a request that came on no connection, as in benchmarks.
    fn from_request<B>(request: &mut Request<B>, app: &Arc<App>) -> Option<Self> {
        let at = Instant::now();
        let connection = Arc::clone(request.extensions().get::<Arc<Connection>>()?);
        // Whatever `traceparent` says: a stranger does not choose our ids.
        let tracer = app.tracer.as_ref();
        let trace = tracer.and_then(|it| it.request(request.version()));
        if let Some(trace) = &trace {
            request.extensions_mut().insert(Arc::clone(trace));
        }
        let is_pipelined = connection.state.request_started(is_last(request));
        Some(Self {
            is_pipelined,
            connection,
            app: Arc::clone(app),
            route: Route::from_path(request.uri().path(), app.call_in.is_some()),
            method: request.method().clone(),
            uri: request.uri().clone(),
            at,
            trace,
        })
    }

    fn answered<R: HttpBody>(self, response: &http::Response<R>) {
        let Self {
            connection,
            app,
            route,
            method,
            uri,
            at,
            is_pipelined: _,
            trace,
        } = self;
        connection.state.response_ready();
        if let Some(RefusedBy(limit)) = response.extensions().get() {
            app.metrics.refused(connection.listener, limit);
        }
        if let Some(error) = connection.state.framing_error() {
            app.refuse(&connection, &Malformed::Framing(error));
        }
        let access = AccessEvent {
            route: app.metrics_of(route),
            connection: &connection,
            method: &method,
            uri: &uri,
            device: response.extensions().get::<DeviceId>().copied(),
            status: response.status(),
            size_bytes: response.body().size_hint().exact(),
            started: at,
            duration: at.elapsed(),
        };
        app.metrics.answered(&access);
        if let (Some(tracer), Some(trace)) = (&app.tracer, trace) {
            tracer.answered(&trace, &access, route.template());
        }
        access.log();
    }
}
