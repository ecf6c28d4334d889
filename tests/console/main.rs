//! The console's API from end to end: the built gateway, real sockets, real sessions.

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod audit;
mod changes;
mod codes;
mod imported;
mod keys;
mod locked;
mod logs;
mod matrix;
mod people;
mod prices;
mod queries;
mod quotas;
mod sessions;
mod stage;
