//! What the attempts of one exchange leave behind, and what the next one is.

use super::exchange::Leases;
use super::lane::Lane;
use super::trail::Noted;
use super::tries::Tries;
use crate::balance::{Pick, Tried};
use tollgate_plugin_api::Reject;

/// What the attempts so far left behind.
#[derive(Default)]
pub(super) struct Attempts {
    pub(super) count: u32,
    pub(super) tried: Tried,
    /// Taken ahead, to know whether there is another candidate.
    pub(super) next: Option<Next>,
    /// Why a candidate could not be used that would have been tried: of several, what passes soonest.
    refused: Option<Reject>,
    /// The last attempt that ended without an HTTP answer ended by a time-out.
    pub(super) timed_out: bool,
    /// What there is to say of the choice.
    pub(super) noted: Noted,
}

impl Attempts {
    /// A candidate could not be used.
    pub(super) fn refuse(&mut self, refused: Reject) {
        if self.refused.as_ref().is_none_or(|before| passes_after_s(&refused) <= passes_after_s(before)) {
            self.refused = Some(refused);
        }
    }

    /// Why none could be tried, if it was for that. `others_after_s`: so many seconds are to be waited for the first of those that were
    /// passed over for their breakers; where that is sooner, what others refuse says nothing.
    pub(super) fn refusal(&self, others_after_s: Option<u64>) -> Option<&Reject> {
        let is_soonest = |refused: &Reject| match (others_after_s, passes_after_s(refused)) {
            (None, _) => true,
            (Some(others_after_s), own) => own <= others_after_s,
        };
        self.refused.as_ref().filter(|refused| self.count == 0 && is_soonest(refused))
    }
}

/// After how many seconds the same may be asked again. What does not pass is behind all that does.
fn passes_after_s(refused: &Reject) -> u64 {
    match refused.code.row().status {
        429 | 500.. => refused.retry_after_s.unwrap_or(0),
        _ => u64::MAX,
    }
}

/// A candidate for the next attempt. It has its breakers' leave, which is given back if it is not tried.
pub(super) enum Next {
    /// The request is still to be written for it, and may turn out to be nothing that it can be asked.
    Candidate(Pick),
    /// It only has to be tried.
    Chosen(Box<Chosen>),
}

impl Next {
    pub(super) fn pick(&self) -> &Pick {
        match self {
            Self::Candidate(pick) => pick,
            Self::Chosen(chosen) => &chosen.pick,
        }
    }
}

/// A candidate that is about to be tried.
pub(super) struct Chosen {
    pub(super) pick: Pick,
    /// What the attempt takes of the upstream's limits.
    pub(super) leases: Leases,
    /// The request in the candidate's dialect, where it is not the client's.
    pub(super) lane: Option<Box<Lane>>,
    /// What the attempt has behind it, if it is not new.
    pub(super) tries: Option<Tries>,
}
