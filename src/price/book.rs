//! The book: looking a price up, and the cost of an answer.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tollgate_plugin_api::Metered;

use super::cost::{Part, Price, Terms, nanos};
use super::parse;
use super::reader::PriceError;
use super::sheet::MULTIPLIER_ONE;

/// Hexadecimal digits of a version.
const VERSION_DIGITS: usize = 12;

/// All prices of one text.
#[derive(Clone, Debug)]
pub struct PriceBook {
    version: Arc<str>,
    /// In the order of the text.
    prices: Vec<Arc<Price>>,
    /// Provider (empty: all) and name, both in lower case, to an index in `prices`.
    names: HashMap<Box<str>, HashMap<Box<str>, usize>>,
}

/// What an answer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// In nano-USD; never negative, at most `i64::MAX`.
    pub nanos: i64,
    /// Some part of it has no price and is not in `nanos`.
    pub missing: bool,
}

impl PriceBook {
    /// Reads a text in the [format](super) of `pricing.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<PriceError>> {
        let rows = parse::models(text)?;
        let mut book = Self { version: version(text), prices: Vec::new(), names: HashMap::new() };
        for row in rows {
            let index = book.prices.len();
            let names = book.names.entry(folded(row.price.provider.as_deref().unwrap_or("")).into()).or_default();
            names.extend(row.names.into_iter().map(|name| (name.into_boxed_str(), index)));
            book.prices.push(Arc::new(row.price));
        }
        Ok(book)
    }

    /// A book without prices: that of an empty text.
    pub fn empty() -> Self {
        Self { version: version(""), prices: Vec::new(), names: HashMap::new() }
    }

    /// Says which text this is: the beginning of its SHA-256, in hexadecimal. The same on every machine.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The version that a text has, whether or not it is a price book.
    pub fn version_of(text: &str) -> Arc<str> {
        version(text)
    }

    /// Whether there is no price at all.
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }

    /// Every model's price, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Price>> {
        self.prices.iter()
    }

    /// The providers that have rows of their own, in lower case, in order.
    pub fn providers(&self) -> Vec<&str> {
        let mut providers: Vec<&str> =
            self.names.keys().map(|seller| &**seller).filter(|name| !name.is_empty()).collect();
        providers.sort_unstable();
        providers
    }

    /// Whether a provider has a row of its own for that name, without a date behind it taken off.
    pub(crate) fn has_row(&self, provider: &str, name: &str) -> bool {
        self.names.get(&*folded(provider)).is_some_and(|names| names.contains_key(&*folded(name)))
    }

    /// The price of a model at a provider: by the upstream's name for it, then by the client's; for each the provider's
    /// own row, then the one for all. Where neither has one, an ARN of Amazon Bedrock's has the price of the model that it says. `None`: the
    /// book does not say, and nothing is guessed.
    pub fn find(&self, provider: &str, upstream_model: &str, client_model: &str) -> Option<&Arc<Price>> {
        let names = [upstream_model, client_model];
        let by_arn = || self.find_name(provider, named_by_arn(&folded(upstream_model))?);
        names.into_iter().find_map(|name| self.find_name(provider, name)).or_else(by_arn)
    }

    fn find_name(&self, provider: &str, name: &str) -> Option<&Arc<Price>> {
        let (provider, name) = (folded(provider), folded(name));
        let sellers = [&*provider, ""].into_iter().filter_map(|seller| self.names.get(seller));
        // A provider's own row ends the search: where it has no dated names, those of another row are not its prices.
        let exact = |name: &str| sellers.clone().find_map(|names| names.get(name)).map(|index| &self.prices[*index]);
        exact(&name).or_else(|| exact(undated(&name)?).filter(|price| price.dated))
    }

    /// What an answer costs: one sum of counts × prices (those of a place, if the model had to run there), rounded up once to a
    /// nano-USD. `at_unix_ms` is when the request began; it chooses among tariffs and windows. `None` for `price`: there is none
    /// (see [`Cost::missing`]).
    ///
    /// What the provider ran on another model ([`Metered::extras`]) has that model's price. The multiplier of `price`
    /// ([`Price::times`]) holds for the whole sum.
    pub fn cost(&self, price: Option<&Price>, metered: &Metered, at_unix_ms: i64) -> Cost {
        let mut grains = 0_u128;
        let missing = self.charge(price, metered, at_unix_ms, |entry| {
            if let Entry::Part(_, part) = entry {
                grains = grains.saturating_add(part.grains());
            }
        });
        let multiplier = price.map_or(MULTIPLIER_ONE, |price| price.multiplier);
        Cost { nanos: nanos(grains, multiplier), missing }
    }

    /// The one walk over an answer that both [`cost`](Self::cost) and [`explain`](Self::explain) make. True: some part of
    /// it has no price.
    pub(super) fn charge(
        &self,
        price: Option<&Price>,
        metered: &Metered,
        at_unix_ms: i64,
        mut sink: impl FnMut(Entry<'_>),
    ) -> bool {
        let geo = metered.inference_geo.as_deref();
        let mut missing = price.is_none();
        if let Some(price) = price {
            let terms = price.terms(metered.tier, geo, at_unix_ms);
            let has_tokens = metered.usage.input_tokens > 0 || metered.usage.output_tokens > 0;
            missing |= has_tokens && terms.lacks_tier;
            sink(Entry::Terms(price, &terms, metered.usage.input_tokens));
            price.charge(&terms, &metered.usage, &metered.detail, &mut |part| sink(Entry::Part(None, part)));
            missing |= price.charge_once(&terms, metered, &mut |kind, part| sink(Entry::Part(kind, part)));
        }
        for extra in metered.extras.iter().filter(|extra| extra.times == 0) {
            let seller = price.and_then(|price| price.provider.as_deref()).unwrap_or("");
            let own = match &extra.model {
                None => price,
                Some(model) => self.find_name(seller, model).map(Arc::as_ref),
            };
            let Some(price) = own else {
                missing = true;
                continue;
            };
            let terms = price.terms(metered.tier, geo, at_unix_ms);
            sink(Entry::Terms(price, &terms, extra.usage.input_tokens));
            price.charge(&terms, &extra.usage, &extra.detail(), &mut |part| sink(Entry::Part(None, part)));
        }
        missing
    }
}

/// What a walk over an answer comes by.
pub(super) enum Entry<'a> {
    /// From here on, this price on these terms, for a prompt of that length.
    Terms(&'a Price, &'a Terms<'a>, u64),
    /// Something that costs, and the provider's own name for it, if it is billed by the time.
    Part(Option<&'a str>, Part),
}

impl Default for PriceBook {
    fn default() -> Self {
        Self::empty()
    }
}

/// In lower case; borrowed if it already is, as nearly all names are.
pub(super) fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Amazon Bedrock's resources that are called by the model they are, or that they lead to
/// (docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html, "Resource types").
const ARNS_OF_MODELS: [&str; 2] = ["inference-profile", "foundation-model"];

/// The model that an ARN of Bedrock's says, in lower case: a model's own, or that of an inference profile which Amazon has defined.
/// `None`: it is no such ARN, or one that says no model (an application's inference profile, provisioned throughput).
fn named_by_arn(name: &str) -> Option<&str> {
    let mut parts = name.splitn(6, ':');
    if (parts.next(), parts.nth(1)) != (Some("arn"), Some("bedrock")) {
        return None;
    }
    let (kind, model) = parts.nth(2)?.split_once('/')?;
    ARNS_OF_MODELS.contains(&kind).then_some(model).filter(|model| !model.is_empty())
}

/// The name without the date behind it: `-2026-01-31`, `-20260131` or `@20260131`.
pub(super) fn undated(name: &str) -> Option<&str> {
    let split = |length: usize| name.len().checked_sub(length).and_then(|at| name.split_at_checked(at));
    let compact = || split(9).filter(|(_, date)| date.starts_with(['-', '@']) && is_date(&date[1..]));
    let dashed = || {
        split(11).filter(|(_, date)| {
            let mut parts = date.split('-');
            let shape = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
            matches!(shape, [Some(""), Some(year), Some(month), Some(day), None]
                if year.len() == 4 && month.len() == 2 && day.len() == 2 && is_date(&format!("{year}{month}{day}")))
        })
    };
    compact().or_else(dashed).map(|(name, _)| name).filter(|name| !name.is_empty())
}

/// `YYYYMMDD`, of this century.
fn is_date(text: &str) -> bool {
    let number = |at: std::ops::Range<usize>| text.get(at).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    text.len() == 8
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (2000..2100).contains(&number(0..4))
        && (1..=12).contains(&number(4..6))
        && (1..=31).contains(&number(6..8))
}

fn version(text: &str) -> Arc<str> {
    let digest = Sha256::digest(text.as_bytes());
    let mut digits = hex::encode(digest);
    digits.truncate(VERSION_DIGITS);
    digits.into()
}
