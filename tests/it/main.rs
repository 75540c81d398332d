//! Behaviour of the real binary over real sockets.

mod doctor;
mod init;
