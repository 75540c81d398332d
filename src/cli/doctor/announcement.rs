//! Steps 2 to 5 and 10: what is fetched, and how it is answered.

use super::step::StepBuilder;
use engage_device::{ExchangeError, LenientResponse, Received, ReceivedAnnouncement, Response};
use engage_wire::{HttpUrl, excerpt};

/// Checks the answer to a request for the announcement; the body, if there is one to read.
pub(super) fn read_announcement(
    step: &mut StepBuilder,
    exchanged: Result<Received, ExchangeError>,
) -> Option<Vec<u8>> {
    let hint = "a device gets no announcement: is this an ENGAGE host, and does the Host header select a site?";
    let received = step.accept(exchanged)?;
    read(step, &received, "application/json", hint)
}

/// Checks the answer to a request for the certificate.
pub(super) fn read_certificate(step: &mut StepBuilder, received: &Received) -> Option<Vec<u8>> {
    let hint = "cert_url must name the exact file, in the case in which the server serves it";
    let der = read(step, received, "application/octet-stream", hint)?;
    if der.is_empty() {
        step.fail("the file is empty", "put the DER certificate there");
        return None;
    }
    Some(der)
}

pub(super) fn check_form(step: &mut StepBuilder, body: &[u8]) -> Option<ReceivedAnnouncement> {
    let announced = step.accept(ReceivedAnnouncement::parse(body))?;
    for deviation in announced.deviations() {
        step.warn(
            deviation.to_string(),
            "switch off sorting and pretty-printing of JSON: devices are only known to read the documented form",
        );
    }
    if announced.deviations().is_empty() {
        step.note("minified, `cert_url` before `hash`");
    }
    Some(announced)
}

pub(super) fn check_cert_url(
    step: &mut StepBuilder,
    announced: &ReceivedAnnouncement,
    asked: &HttpUrl,
) -> Option<HttpUrl> {
    let shown = excerpt(announced.cert_url().as_bytes());
    let url = step.accept(announced.certificate_url())?;
    if url.is_https() {
        step.fail(
            format!("{shown} is https; allowed: http"),
            "a device that does not trust the host yet cannot fetch it: announce an `http://` URL",
        );
        return None;
    }
    step.note(format!(
        "{shown}, {} characters of 256",
        announced.cert_url().len()
    ));
    if url.host() != asked.host() {
        step.warn(
            format!(
                "it names the host `{}`, the announcement came from `{}`",
                url.host(),
                asked.host()
            ),
            "make sure that devices reach that host from their own network",
        );
    }
    Some(url)
}

/// Both listeners must tell the same.
pub(super) fn same_announcement(step: &mut StepBuilder, plain: &[u8], secure: &[u8]) {
    if plain == secure {
        step.note("the same as over HTTP");
    } else {
        step.fail(
            format!("over TLS {}, over HTTP {}", excerpt(secure), excerpt(plain)),
            "two servers answer, with two configurations: restart both, or serve both ports from one process",
        );
    }
}

/// Checks one answer: its framing, status and type.
fn read(
    step: &mut StepBuilder,
    received: &Received,
    content_type: &str,
    status_hint: &str,
) -> Option<Vec<u8>> {
    let LenientResponse {
        response: answer,
        faults,
    } = step.accept(received.lenient_response())?;
    if answer.status() != 200 {
        let line = excerpt(answer.status_line().as_bytes());
        step.fail(
            format!("the status line is {line}; allowed: 200"),
            status_hint,
        );
    }
    for fault in &faults {
        step.add_error(fault);
    }
    if answer.status() != 200
        || faults
            .iter()
            .any(engage_device::ResponseError::is_body_unreliable)
    {
        return None;
    }
    check_type(step, &answer, content_type);
    if faults.is_empty() {
        step.note(format!(
            "HTTP/1.1 200, Content-Length: {}",
            answer.body().len()
        ));
    }
    Some(answer.body().to_vec())
}

/// A warning only: the vendor's own sample sends `text/html`, and devices work with it.
fn check_type(step: &mut StepBuilder, answer: &Response, wanted: &str) {
    let found = answer.header("Content-Type");
    let media_type = found
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case(wanted) {
        let found = found.map_or_else(|| "missing".to_owned(), |value| excerpt(value.as_bytes()));
        step.warn(
            format!("Content-Type is {found}; documented: `{wanted}`"),
            format!("set the header `Content-Type: {wanted}`"),
        );
    }
}
