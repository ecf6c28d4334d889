//! The console's API from end to end: the built gateway, real sockets, real sessions.

#[path = "../support/mod.rs"]
mod support;

mod logs;
