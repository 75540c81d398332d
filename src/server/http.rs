//! The one HTTP/1 profile, used by both listeners (PROTOCOL.md section 3).

use std::net::SocketAddr;

use axum_server::Server;

use crate::config::Limits;

/// Makes a server speak as devices need it.
pub(super) fn profile<A>(server: Server<SocketAddr, A>, limits: &Limits) -> Server<SocketAddr, A> {
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
        // The socket keeps the deadlines, each phase its own (`Paced`): this one would cover idle
        // time and head together.
        .header_read_timeout(None)
        .max_buf_size(limits.request_head_bytes)
        .max_headers(limits.request_headers);
    server
}
