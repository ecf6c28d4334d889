//! The breakers that a candidate passes: its upstream's, and its model's there. Providers limit how much is asked of a model, model
//! by model, so a rate limit keeps requests from that model alone; whatever else goes wrong is the upstream's.

use super::breaker::{Breaker, BreakerPolicy, BreakerState, Permit};
use super::failure::{Concerns, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one candidate passes.
#[derive(Clone, Debug, Default)]
pub struct CandidateBreakers {
    upstream: Arc<Breaker>,
    model: Arc<Breaker>,
}

/// The leave of both to make one attempt. To be handed back with how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits {
    upstream: Permit,
    model: Permit,
}

impl Permits {
    /// Whether this attempt is the one by which one of the two finds out.
    pub fn is_probe(self) -> bool {
        self.upstream.is_probe() || self.model.is_probe()
    }
}

impl CandidateBreakers {
    /// Those of an upstream and of a model there.
    pub fn new(upstream: Arc<Breaker>, model: Arc<Breaker>) -> Self {
        Self { upstream, model }
    }

    /// Whether [`Self::try_acquire`] would succeed now.
    pub fn available(&self, now_ms: u64) -> bool {
        self.upstream.available(now_ms) && self.model.available(now_ms)
    }

    /// Asks for one attempt.
    pub fn try_acquire(&self, now_ms: u64) -> Option<Permits> {
        // The model's first: what is given back again was nobody else's to take.
        let model = self.model.try_acquire(now_ms)?;
        let Some(upstream) = self.upstream.try_acquire(now_ms) else {
            self.model.release(model, now_ms);
            return None;
        };
        Some(Permits { upstream, model })
    }

    /// The attempt went well.
    pub fn success(&self, permits: Permits, now_ms: u64) {
        self.upstream.success(permits.upstream, now_ms);
        self.model.success(permits.model, now_ms);
    }

    /// The attempt failed: it is a failure of the one that it [concerns](Concerns).
    pub fn failure(&self, permits: Permits, now_ms: u64, failure: Failure) {
        match failure.row().concerns {
            Concerns::Upstream => {
                self.upstream.failure(permits.upstream, now_ms, failure);
                // Nobody has asked how much of the model there is left.
                self.model.release(permits.model, now_ms);
            }
            Concerns::Model => {
                self.upstream.answered(permits.upstream, now_ms);
                self.model.failure(permits.model, now_ms, failure);
            }
            Concerns::Neither => self.answered(permits, now_ms),
        }
    }

    /// It has answered, which is what probes are for; how the attempt ends is still to be told, if it is.
    pub fn answered(&self, permits: Permits, now_ms: u64) {
        self.upstream.answered(permits.upstream, now_ms);
        self.model.answered(permits.model, now_ms);
    }

    /// The attempt ended without a verdict (the client went away first): a probe gives its place to the next request.
    pub fn release(&self, permits: Permits, now_ms: u64) {
        self.upstream.release(permits.upstream, now_ms);
        self.model.release(permits.model, now_ms);
    }

    /// How long until both let something through, in milliseconds; 0: now.
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        self.upstream.wait_ms(now_ms).max(self.model.wait_ms(now_ms))
    }

    /// The one that keeps requests away for longer, and whether it is the model's.
    pub fn closest(&self, now_ms: u64) -> (&Breaker, bool) {
        let rank = |breaker: &Breaker| (breaker.wait_ms(now_ms), breaker.state(now_ms) != BreakerState::Closed);
        let is_model = rank(&self.model) > rank(&self.upstream);
        (if is_model { &self.model } else { &self.upstream }, is_model)
    }
}

/// All of one upstream: its own, and one for each model that is asked of it.
#[derive(Debug)]
pub struct UpstreamBreakers {
    own: Arc<Breaker>,
    models: BTreeMap<Arc<str>, Arc<Breaker>>,
}

impl UpstreamBreakers {
    /// Those of an upstream with these models, as they are called there. `before` lends the ones that it had; they take over
    /// `policy`.
    pub fn new<'m>(models: impl Iterator<Item = &'m str>, policy: BreakerPolicy, before: Option<&Self>) -> Self {
        let kept = |breaker: Option<&Arc<Breaker>>| {
            let breaker = breaker.map_or_else(|| Arc::new(Breaker::new(policy)), Arc::clone);
            breaker.set_policy(policy);
            breaker
        };
        let of_model = |model: &str| kept(before.and_then(|before| before.models.get(model)));
        let models = models.map(|model| (Arc::from(model), of_model(model))).collect();
        Self { own: kept(before.map(|before| &before.own)), models }
    }

    /// Has the next request find out whether what only somebody can mend is mended ([`Breaker::look_again`]).
    pub fn look_again(&self, now_ms: u64) {
        self.own.look_again(now_ms);
    }

    /// What a candidate with this model passes.
    pub fn of(&self, model: &str) -> CandidateBreakers {
        CandidateBreakers::new(self.own.clone(), self.models.get(model).cloned().unwrap_or_default())
    }

    /// What it lets through now: the worse of its own breaker's state and the best of its models'.
    pub fn state(&self, now_ms: u64) -> BreakerState {
        let models = self.models.values().map(|model| model.state(now_ms));
        let best = models.min_by_key(|state| state.severity()).unwrap_or(BreakerState::Closed);
        [self.own.state(now_ms), best].into_iter().max_by_key(|state| state.severity()).unwrap_or(best)
    }

    /// How many of its models are kept away from for their own sake.
    pub fn models_limited(&self, now_ms: u64) -> usize {
        self.models.values().filter(|model| !model.available(now_ms)).count()
    }

    /// Whether it lets a request for one of its models through now.
    pub fn available(&self, now_ms: u64) -> bool {
        let mut models = self.models.values();
        self.own.available(now_ms) && (self.models.is_empty() || models.any(|model| model.available(now_ms)))
    }

    /// How long until it lets something through, in milliseconds; 0: now.
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        let models = self.models.values().map(|model| model.wait_ms(now_ms)).min();
        self.own.wait_ms(now_ms).max(models.unwrap_or(0))
    }

    /// How long until it lets something through for this model, in milliseconds; 0: now.
    pub fn model_wait_ms(&self, model: &str, now_ms: u64) -> u64 {
        let model = self.models.get(model).map_or(0, |model| model.wait_ms(now_ms));
        self.own.wait_ms(now_ms).max(model)
    }

    /// Failures of the upstream's own in a row so far.
    pub fn failures(&self) -> u32 {
        self.own.failures()
    }
}

#[cfg(test)]
mod tests;
