//! Prices in another currency: converted to USD when they are read, at a rate that stands in the same text.

use std::sync::Arc;

use super::cost::PRICE_DECIMALS;
use super::decimal;

/// Decimals of a rate.
pub(super) const RATE_DECIMALS: u32 = 9;
const RATE_ONE: u64 = 10_u64.pow(RATE_DECIMALS);
/// The largest rate: 1,000,000 USD for one unit.
pub(super) const RATE_MAX: u64 = 1_000_000 * RATE_ONE;

/// A currency and what one unit of it is in USD.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Currency {
    pub(super) code: Arc<str>,
    /// USD per unit, in units of 10^-[`RATE_DECIMALS`]; at least 1.
    pub(super) rate: u64,
}

impl Currency {
    /// A price in USD, rounded up to its ninth decimal: the one rounding of a conversion. With the few decimals that prices
    /// and rates have, there is nothing to round.
    pub(super) fn to_usd(&self, price: u64) -> u64 {
        let product = u128::from(price) * u128::from(self.rate);
        u64::try_from(product.div_ceil(RATE_ONE.into())).unwrap_or(u64::MAX)
    }

    /// The largest price that is at most `max` in USD.
    pub(super) fn price_max(&self, max: u64) -> u64 {
        let most = u128::from(max) * u128::from(RATE_ONE) / u128::from(self.rate);
        u64::try_from(most).unwrap_or(u64::MAX).min(max)
    }

    /// The rate as it is written.
    pub(super) fn usd_per_unit(&self) -> String {
        decimal::format(self.rate.into(), RATE_DECIMALS)
    }

    /// A price as it is written: `2.4 CNY`.
    pub(super) fn written(&self, price: u64) -> String {
        format!("{} {}", decimal::format(price.into(), PRICE_DECIMALS), self.code)
    }
}
