//! What strangers send: raw requests and PROXY protocol headers, each with its one right outcome.

mod proxy_header;
mod requests;
