#![doc = include_str!("ARCHITECTURE.md")]

pub mod admin;
pub mod balance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod estimate;
mod explain;
mod import;
pub mod jobs;
pub mod keyring;
pub mod ledger;
mod machine;
pub mod metrics;
mod owner;
pub mod plugins;
pub mod price;
pub mod provider;
pub mod proxy;
mod quick;
mod replace;
mod revision;
pub mod serve;
mod shown;
pub mod snapshot;
pub mod store;

pub use proxy::Gateway;
