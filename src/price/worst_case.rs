//! What a request can cost at worst, by the length of its prompt.

use super::cost::{Place, SERVICE_TIERS, Tariff, Terms, grains_per_token, in_place};
use super::sheet::{Class, MULTIPLIER_ONE, Step};

/// The dearest prices that can apply to prompts up to a length, in grains per token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) above_tokens: u64,
    pub(super) prompt: u128,
    pub(super) output: u128,
}

/// The dearest price of each side for every prompt length at which a tier begins.
/// `places`: also where a model has to run in one of them. `dearness`: of the dearest service tier that can come.
pub(super) fn bounds<'t>(tariffs: impl Iterator<Item = &'t Tariff>, places: bool, dearness: usize) -> Vec<Bound> {
    let all_terms = |tariff: &'t Tariff| all_terms(tariff, if places { &tariff.places } else { &[] }, dearness);
    let mut steps: Vec<Bound> = tariffs.flat_map(all_terms).flat_map(|terms| step_bounds(&terms)).collect();
    steps.sort_by_key(|bound| bound.above_tokens);
    let mut bounds: Vec<Bound> = Vec::new();
    for step in steps {
        // What a shorter prompt costs is still possible: the bound is on the length.
        let before = bounds.last().copied().unwrap_or(Bound { above_tokens: 0, prompt: 0, output: 0 });
        let dearest = Bound {
            above_tokens: step.above_tokens,
            prompt: step.prompt.max(before.prompt),
            output: step.output.max(before.output),
        };
        match bounds.last_mut() {
            Some(last) if last.above_tokens == step.above_tokens => *last = dearest,
            _ => bounds.push(dearest),
        }
    }
    bounds
}

/// Every combination of a window and a service tier that a tariff knows, in the dearest of these places.
fn all_terms<'t>(tariff: &'t Tariff, places: &'t [Place], dearness: usize) -> impl Iterator<Item = Terms<'t>> {
    let windows = std::iter::once(None).chain(tariff.windows.iter().map(Some));
    let dearest = places.iter().max_by_key(|place| place.multiplier);
    // A cheaper one is no bound: a model may run anywhere.
    let dearest = dearest.filter(|place| place.multiplier > MULTIPLIER_ONE);
    windows.flat_map(move |window| {
        let tiers = SERVICE_TIERS.iter().zip(&tariff.service_tiers);
        let tiers = tiers.filter(move |((_, tier), _)| usize::from(tier.dearness()) <= dearness);
        let service_tiers = std::iter::once(None).chain(tiers.filter_map(|(_, change)| change.as_ref()).map(Some));
        service_tiers.map(move |service| Terms::new(tariff, window, service, dearest))
    })
}

fn step_bounds(terms: &Terms<'_>) -> Vec<Bound> {
    let multipliers = terms.multipliers;
    let bound = |step: &Step| {
        let dearest = |prompt: bool| {
            let classes = Class::ALL.into_iter().filter(|class| class.is_prompt() == prompt);
            let rate = classes.map(|class| step.rates[class as usize]).max().unwrap_or(0);
            grains_per_token(in_place(rate, terms.place_multiplier()), multipliers)
        };
        Bound { above_tokens: step.above_tokens, prompt: dearest(true), output: dearest(false) }
    };
    terms.sheet.steps().iter().map(bound).collect()
}
