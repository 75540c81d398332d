//! The one HTTP/1 profile, used by both listeners (PROTOCOL.md section 3).

use std::net::SocketAddr;
use std::time::Duration;

use axum_server::Server;

/// Makes a server speak as devices need it.
pub(super) fn profile<A>(server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    // Without `http1_only` the protocol is sniffed for HTTP/2, without a deadline.
    let mut server = server.http1_only();
    server
        .http_builder()
        .http1()
        // A device does not process an answer whose header is not spelled `Content-Length:`.
        .title_case_headers(true)
        // Simple clients close their sending side after the request; the default would take that
        // for an abort and not answer.
        .half_close(true)
        // Also the longest time that a kept-alive connection may stay idle.
        .header_read_timeout(REQUEST_HEAD)
        .max_buf_size(MAX_REQUEST_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    server
}

/// How long a request head may take to arrive.
const REQUEST_HEAD: Duration = Duration::from_secs(15);

/// Longest request head in bytes; hyper does not go below this.
const MAX_REQUEST_HEAD_BYTES: usize = 8192;

const MAX_HEADERS: usize = 64;
