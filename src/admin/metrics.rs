//! `/metrics`, in the format that was asked for.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::Admin;

/// `OpenMetrics` to who prefers it, and to everybody else the text format 0.0.4, which all scrapers
/// read.
pub(super) async fn metrics(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> impl IntoResponse + use<> {
    if let Some(call_in) = &admin.app.call_in {
        let metrics = &admin.app.metrics;
        metrics.show_store(&*call_in.store);
        let has_problem = call_in.delivery_problem.lock().is_some();
        metrics.deliveries().unusable(has_problem);
    }
    let open_metrics = admin.app.metrics.open_metrics();
    let (content_type, text) = if prefers_open_metrics(&headers) {
        (OPEN_METRICS, open_metrics)
    } else {
        (TEXT_FORMAT, text_format(&open_metrics))
    };
    ([(CONTENT_TYPE, content_type)], text)
}

/// Whether `OpenMetrics` is asked for by name, and the text format no more than it (RFC 9110 section
/// 12.5.1).
fn prefers_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open_metrics, mut text) = (0.0, 0.0);
    let values = headers.get_all(ACCEPT).iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let asked = match parts.next().map(str::to_ascii_lowercase).as_deref() {
            Some("application/openmetrics-text") => &mut open_metrics,
            Some("text/plain" | "text/*" | "*/*") => &mut text,
            _ => continue,
        };
        *asked = f32::max(*asked, quality(parts));
    }
    open_metrics > 0.0 && open_metrics >= text
}

/// The weight of a media range, 1 where it names none.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let weight = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value)
    });
    weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0))
}

/// The text format 0.0.4 of what is given as `OpenMetrics`, the only text that `prometheus-client`
/// writes. A counter's family has its samples' name here, an info metric is a gauge, and there are
/// neither units nor an end mark.
fn text_format(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            describe_family(&mut text, rest, help);
        } else if !line.starts_with("# ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Writes `HELP` and `TYPE` of a family; `prometheus-client` writes them in this order.
fn describe_family(text: &mut String, name_and_type: &str, help: &str) {
    let (name, metric_type) = name_and_type
        .split_once(' ')
        .unwrap_or((name_and_type, "untyped"));
    let (suffix, metric_type) = match metric_type {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" => ("", "untyped"),
        other => ("", other),
    };
    let help = help.strip_prefix(name).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name}{suffix}{help}");
    let _ = writeln!(text, "# TYPE {name}{suffix} {metric_type}");
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn prefers(accept: &[&'static str]) -> bool {
        let values = accept.iter().copied().map(HeaderValue::from_static);
        prefers_open_metrics(&values.map(|value| (ACCEPT, value)).collect())
    }

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        for accept in [
            &["application/openmetrics-text"][..],
            &["Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"],
            // Prometheus 2 and 3.
            &[
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
               application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            ],
            &["text/plain;q=0.5", "application/openmetrics-text"],
        ] {
            assert!(prefers(accept), "{accept:?}");
        }
    }

    #[test]
    fn everybody_else_gets_the_text_format() {
        for accept in [
            &[][..],
            &["*/*"],
            &["text/plain;version=0.0.4"],
            &["text/html,application/xhtml+xml,*/*;q=0.8"],
            &["text/plain, application/openmetrics-text;q=0.5"],
            &["application/openmetrics-text;q=0"],
            &["application/openmetrics-text;q=x"],
        ] {
            assert!(!prefers(accept), "{accept:?}");
        }
    }

    #[test]
    fn the_text_format_names_families_as_their_samples() {
        let open_metrics = "# HELP a_requests Requests.\n# TYPE a_requests counter\n\
                            a_requests_total{x=\"# TYPE\"} 1\n\
                            # HELP a_wait_seconds Wait.\n# TYPE a_wait_seconds histogram\n# UNIT a_wait_seconds seconds\n\
                            a_wait_seconds_sum 1.0\n\
                            # HELP a_build What.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
                            # EOF\n";
        let text = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\n\
                    a_requests_total{x=\"# TYPE\"} 1\n\
                    # HELP a_wait_seconds Wait.\n# TYPE a_wait_seconds histogram\n\
                    a_wait_seconds_sum 1.0\n\
                    # HELP a_build_info What.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n";
        assert_eq!(text_format(open_metrics), text);
    }
}
