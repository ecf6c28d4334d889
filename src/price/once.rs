//! What a request costs beside its tokens: itself, the searches that were made for it, what else was done, what was made.

use super::cost::{Item, Part, Price, Terms};
use super::fees::{InPlaceOf, in_place_of};
use super::pieces::Piece;
use super::sheet::MULTIPLIER_ONE;
use tollgate_plugin_api::{ExtraUsage, Metered};

impl Price {
    /// What a request costs beside its tokens; `sink` gets the name of what is billed by the time, too. True: something that was done
    /// has no price.
    pub(super) fn charge_once(
        &self,
        terms: &Terms<'_>,
        metered: &Metered,
        sink: &mut impl FnMut(Option<&str>, Part),
    ) -> bool {
        let tariff = terms.tariff;
        let mut charge = |kind: Option<&str>, item: Item, count: u64, rate: u64| {
            if count > 0 && rate > 0 {
                let one = MULTIPLIER_ONE;
                sink(kind, Part { item, count, rate, place_multiplier: one, multipliers: [one; 2] });
            }
        };
        let are_searches = |done: &&ExtraUsage| {
            in_place_of(&done.kind) == Some(InPlaceOf::Searches) && tariff.fee(&done.kind).is_some()
        };
        let told_apart = metered.extras.iter().filter(are_searches).map(|done| done.times).fold(0, u64::saturating_add);
        let searches = metered.detail.web_searches.saturating_sub(told_apart);
        charge(None, Item::WebSearches, searches, tariff.web_search_per_thousand);
        let (mut is_charged, mut missing) = (false, false);
        for done in metered.extras.iter().filter(|extra| extra.times > 0) {
            let kind = Some(done.kind.as_str());
            if let Some(piece) = Piece::of(&done.kind) {
                let (item, count) = match piece {
                    Piece::Image => (Item::Images, done.times),
                    Piece::AudioMs => (Item::AudioMs, tariff.audio_ms_charged(done.times)),
                    Piece::Character => (Item::Characters, done.times),
                };
                match tariff.piece_fee(piece, &done.kind) {
                    Some(fee) => charge(kind, item, count, fee),
                    None => missing = true,
                }
                continue;
            }
            match (tariff.fee(&done.kind), in_place_of(&done.kind)) {
                (fee, Some(InPlaceOf::Request)) => {
                    let rate = fee.unwrap_or(tariff.per_request);
                    charge(kind.filter(|_| fee.is_some()), Item::Request, done.times, rate);
                    is_charged = true;
                }
                (Some(fee), _) => charge(kind, Item::Fee, done.times, fee),
                (None, Some(InPlaceOf::Searches)) => {}
                (None, None) => missing = true,
            }
        }
        if !is_charged {
            charge(None, Item::Request, 1, tariff.per_request);
        }
        missing
    }
}
