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
    /// Why a candidate could not be used that would have been tried; rather what passes than what does not.
    pub(super) refused: Option<Reject>,
    /// The last attempt that ended without an HTTP answer ended by a time-out.
    pub(super) timed_out: bool,
    /// What there is to say of the choice.
    pub(super) noted: Noted,
}

impl Attempts {
    /// A candidate could not be used.
    pub(super) fn refuse(&mut self, refused: Reject) {
        if passes(&refused) || !self.refused.as_ref().is_some_and(passes) {
            self.refused = Some(refused);
        }
    }

    /// Why none could be tried, if it was for that. Where one only has to be waited for, what others cannot be asked says nothing.
    pub(super) fn refusal(&self) -> Option<&Reject> {
        let is_for_good = !self.noted.passed_for_breakers();
        self.refused.as_ref().filter(|refused| self.count == 0 && (is_for_good || passes(refused)))
    }
}

/// Whether the same may be asked again later.
fn passes(refused: &Reject) -> bool {
    let status = refused.code.row().status;
    status == 429 || status >= 500
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
