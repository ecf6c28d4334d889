//! The wire formats: which requests there are, what they ask for, and what their answers say was used.
//!
//! Pure: bytes in, facts out; no runtime, no clock, no files. The *request* side ([`endpoint`], [`request`]) reads what
//! a client sends and splices in what the upstream needs; the *answer* side ([`usage`], over `sse` and `json`) watches
//! an upstream's answer pass and finds the usage in it; [`answer`] writes what the gateway itself says to a client.

pub mod answer;
pub mod chat;
pub mod embed;
pub mod endpoint;
mod event_frames;
mod failed;
mod json;
pub mod request;
mod shape;
mod sse;
mod text;
pub mod trade;
pub mod usage;

pub use shape::{Answer, DialectId, Framing};
pub use text::{DeliveredText, Passed, by_look};
