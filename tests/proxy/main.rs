//! The gateway from end to end: the built binary, real sockets, a real database file, and a provider that misbehaves on
//! request. Nothing here looks at the clock but to give up on what hangs: what is asserted is order, bytes and amounts.

#[path = "../support/mod.rs"]
mod support;

mod aborts;
mod absurd;
mod balance;
mod bodies;
mod broken;
mod calls;
mod console;
mod deploy;
mod drain;
mod embeddings;
mod endpoints;
mod estimates;
mod failover;
mod fees;
mod figures;
mod forms;
mod headers;
mod http2;
mod idempotency;
mod limits;
mod live;
mod money;
mod native;
mod odd_pieces;
mod older;
mod once;
mod operations;
mod pages;
mod passthrough;
mod pieces;
mod plugins;
mod prices;
mod refusals;
mod reloads;
mod secrets;
mod settings;
mod slow;
mod start;
mod thoughts;
mod tiers;
mod tls;
mod tokens;
mod told;
mod traces;
mod translate;
mod translate_errors;
mod upgrade;
mod user;
mod veiled;
mod vendor_errors;
mod vendors;
mod wallets;
