//! The contract between Tollgate and its plugins. A plugin knows this crate alone: it sees a request's head, may answer
//! or refuse it, may change the response's head, and is told how the exchange ended. Hooks carry the names of Pingora's
//! phases and run in the order of the built-in list (`src/plugins.rs` of the gateway).

mod address;
pub mod answer_fields;
mod credential;
mod json;
mod key;
mod lease;
mod losses;
mod memory;
mod mistakes;
mod near;
mod network;
mod outbox;
mod plugin;
mod reject;
mod settings;
mod short;
mod usage;
mod words;

pub use address::AddressText;
pub use credential::credential;
pub use json::JsonText;
pub use key::{Clock, CredentialDigest, Key, KeyHandle, KeyRing};
pub use lease::{Allowance, Allowances, Amounts, Dated, LESSORS_MAX, Lease, Lessor, duration};
pub use losses::{Loss, Losses};
pub use memory::{Memory, OneEach};
pub use mistakes::{Mistake, Mistakes, join};
pub use near::{did_you_mean, nearest, one_of};
pub use network::Network;
pub use outbox::{Batch, Outbox, OutboxLimits};
pub use plugin::{Build, Content, Flow, Intent, Phases, Plugin, PluginRow, Ports, Reply, RequestHead, Summary};
pub use reject::{Reject, RejectCode, RejectRow};
pub use settings::Settings;
pub use usage::{
    ExtraUsage, INFERENCE_GEO_BYTES_MAX, Metered, ServiceTier, Usage, UsageDetail, UsageSource, is_inference_geo,
};
pub use words::Worded;
