//! What is answered, the same on both device listeners.

mod call_in;
mod certificates;
mod error;
mod layers;
mod malformed;
mod route;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};
use http::HeaderValue;

use crate::adoption::AnnouncementFetches;
use crate::publication::CurrentPublication;
use crate::telemetry::{LogThrottle, Metrics, RouteMetrics, Tracer};
use crate::tls::SeenHandshakes;
use engage_wire::paths;
use error::ApiError;
use route::Route;

pub(crate) use call_in::{Authenticator, BodyMemory, CallIn, DayBudget, DeliveryProblem};
pub use layers::{DeviceService, device_service};

/// What the routes answer from, and where they leave their traces.
pub struct App {
    /// The publication in force.
    pub published: CurrentPublication,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who fetches announcements again and again.
    pub announcement_fetches: AnnouncementFetches,
    /// The nightly call-in, if it is answered.
    pub call_in: Option<Arc<CallIn>>,
    /// What was seen of the handshakes of addresses.
    pub(crate) handshakes: SeenHandshakes,
    /// Where spans of requests go, if traces are exported.
    pub(crate) tracer: Option<Tracer>,
    /// Malformed requests that have been logged.
    malformed_throttle: LogThrottle,
    /// What is counted of each route's requests.
    route_metrics: [RouteMetrics; Route::ALL.len()],
}

impl App {
    /// With all counters at zero.
    pub fn new(published: CurrentPublication, call_in: Option<Arc<CallIn>>) -> Self {
        let metrics = Arc::new(Metrics::new());
        metrics.published(&published.current());
        Self {
            published,
            metrics,
            announcement_fetches: AnnouncementFetches::default(),
            handshakes: SeenHandshakes::default(),
            call_in,
            tracer: None,
            malformed_throttle: LogThrottle::default(),
            route_metrics: Route::ALL.map(|route| RouteMetrics::new(route.name())),
        }
    }

    fn metrics_of(&self, route: Route) -> &RouteMetrics {
        &self.route_metrics[route as usize]
    }
}

/// Every route of a device. Paths are matched byte for byte as they arrive, undecoded: devices ask
/// for no other spelling. `GET` answers `HEAD` too.
fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new()
        .route(paths::ANNOUNCEMENT, get(certificates::announcement))
        .route(paths::CERTIFICATE_TEMPLATE, get(certificates::certificate))
        .with_state(Arc::clone(app));
    if let Some(call_in) = &app.call_in {
        router = router.merge(call_in_router(call_in));
    }
    router
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
}

fn call_in_router(call_in: &Arc<CallIn>) -> Router {
    let [config, config_lower_case] = paths::CONFIG;
    Router::new()
        .route(config, put(call_in::config))
        .route(config_lower_case, put(call_in::config))
        .route(paths::DATABASE_TEMPLATE, get(call_in::database))
        .route(paths::AUDIT, post(call_in::audit))
        .route(paths::ALERT, post(call_in::alert))
        .with_state(Arc::clone(call_in))
}

static JSON: HeaderValue = HeaderValue::from_static("application/json");
