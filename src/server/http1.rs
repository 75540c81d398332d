//! The one HTTP/1 profile, used by both device listeners (PROTOCOL.md section 3).

use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;

use crate::config::Limits;

/// Makes a server speak as devices understand it.
pub(super) fn configure(builder: &mut auto::Builder<TokioExecutor>, limits: &Limits) {
    let mut http1 = builder.http1();
    http1
        // A device does not process an answer whose header is not spelled `Content-Length:`.
        .title_case_headers(true)
        // Simple clients close their sending side after the request; the default would take that
        // for an abort and not answer.
        .half_close(true)
        // The socket keeps the deadlines, each phase its own (`stream::ReadDeadline`): this one
        // would cover idle time and head together.
        .header_read_timeout(None)
        // Answers are small: one buffer and one `send`, which costs the kernel less than `writev`.
        .writev(false)
        .max_buf_size(limits.request_head_bytes);
    // Its own bound costs hyper nothing; with another one it clears two tables for each request, which
    // is a twentieth of a kept request's instructions.
    if limits.request_headers != HYPER_MAX_HEADERS {
        http1.max_headers(limits.request_headers);
    }
}

/// As `hyper::server::conn::http1::Builder::max_headers` documents.
const HYPER_MAX_HEADERS: usize = 100;
