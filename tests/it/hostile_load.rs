//! The daemon among strangers, as docs/THREATS.md has it: each test is an attack, and beside it a device
//! is served as ever.

mod call_ins;
mod connections;
mod handshakes;
mod log_lines;
mod stalled;
