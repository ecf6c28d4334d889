//! What a usage object comes to, whatever the wire format it was in.

use tollgate_plugin_api::{ExtraUsage, ServiceTier, Usage, UsageDetail};

/// The counts of one usage object, brought to the common form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) usage: Usage,
    pub(super) detail: UsageDetail,
    pub(super) extras: Vec<ExtraUsage>,
    /// The tier the usage object itself names.
    pub(super) tier: Option<ServiceTier>,
    /// Where it says that the model ran, if it had to be there.
    pub(super) inference_geo: Option<String>,
}

/// A part of `whole`: never more than it, none if it is not reported.
pub(super) fn part_of(whole: u64, part: Option<u64>) -> u64 {
    part.unwrap_or(0).min(whole)
}
