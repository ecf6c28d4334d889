//! Token prices: the classes a token can be in, and a sheet of prices by prompt length.

use super::currency::Currency;

/// How many classes of tokens have a price.
pub(super) const CLASSES: usize = 11;

/// A class of tokens with a price of its own; each token of an answer is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Class {
    Input,
    CachedInput,
    CacheWrite,
    CacheWrite1h,
    InputAudio,
    CachedAudio,
    InputImage,
    Output,
    Reasoning,
    OutputAudio,
    OutputImage,
}

use Class::*;

impl Class {
    /// All of them, in the order in which they are shown; the prompt's first.
    pub(super) const ALL: [Self; CLASSES] = [
        Input,
        CachedInput,
        CacheWrite,
        CacheWrite1h,
        InputAudio,
        CachedAudio,
        InputImage,
        Output,
        Reasoning,
        OutputAudio,
        OutputImage,
    ];

    /// Its key in `pricing.toml`.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Input => "input",
            CachedInput => "cached_input",
            CacheWrite => "cache_write",
            CacheWrite1h => "cache_write_1h",
            InputAudio => "input_audio",
            CachedAudio => "cached_audio",
            InputImage => "input_image",
            Output => "output",
            Reasoning => "reasoning",
            OutputAudio => "output_audio",
            OutputImage => "output_image",
        }
    }

    /// Whether its tokens are part of the prompt; the others are generated.
    pub(super) const fn is_prompt(self) -> bool {
        (self as usize) < (Output as usize)
    }
}

/// A price for each class, in nano-USD per million tokens.
pub(super) type Rates = [u64; CLASSES];

/// The prices that a table names; the others follow from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Named(pub(super) [Option<u64>; CLASSES]);

impl Named {
    pub(super) fn get(&self, class: Class) -> Option<u64> {
        self.0[class as usize]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// These prices where they are named, those of `base` elsewhere.
    pub(super) fn over(&self, base: &Self) -> Self {
        Self(std::array::from_fn(|class| self.0[class].or(base.0[class])))
    }

    /// A price for every class. A class that is not named costs what the more general one costs.
    pub(super) fn rates(&self) -> Rates {
        let input = self.get(Input).unwrap_or(0);
        let output = self.get(Output).unwrap_or(0);
        let cached_input = self.get(CachedInput).unwrap_or(input);
        let cache_write = self.get(CacheWrite).unwrap_or(input);
        Class::ALL.map(|class| {
            self.get(class).unwrap_or(match class {
                Input | InputAudio | InputImage => input,
                CachedInput => cached_input,
                // Audio is what makes it dear: a discount on cached text says nothing about cached audio.
                CachedAudio => self.get(InputAudio).unwrap_or(cached_input),
                CacheWrite | CacheWrite1h => cache_write,
                Output | Reasoning | OutputAudio | OutputImage => output,
            })
        })
    }
}

/// The prices for prompts longer than `above_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) above_tokens: u64,
    pub(super) rates: Rates,
}

/// Prices by prompt length: the first step is for all lengths, each further one for longer prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    steps: Vec<Step>,
    /// The prices of each step as they are written, in another currency; empty where that is USD.
    written: Vec<Rates>,
}

impl Sheet {
    /// `tiers`: prices that differ from `base` above a prompt length; in any order. All are in `currency`.
    pub(super) fn new(base: &Named, tiers: &[(u64, Named)], currency: Option<&Currency>) -> Self {
        let mut steps = vec![Step { above_tokens: 0, rates: base.rates() }];
        steps.extend(
            tiers
                .iter()
                .map(|(above_tokens, named)| Step { above_tokens: *above_tokens, rates: named.over(base).rates() }),
        );
        steps.sort_by_key(|step| step.above_tokens);
        let Some(currency) = currency else { return Self { steps, written: Vec::new() } };
        let written = steps.iter().map(|step| step.rates).collect();
        for step in &mut steps {
            step.rates = step.rates.map(|rate| currency.to_usd(rate));
        }
        Self { steps, written }
    }

    /// What applies to a prompt of that length.
    pub(super) fn step(&self, prompt_tokens: u64) -> &Step {
        let above = self.steps[1..].iter().rev().find(|step| prompt_tokens > step.above_tokens);
        above.unwrap_or(&self.steps[0])
    }

    /// The same as it is written in another currency.
    pub(super) fn written(&self, prompt_tokens: u64) -> Option<&Rates> {
        let above_tokens = self.step(prompt_tokens).above_tokens;
        let index = self.steps.iter().position(|step| step.above_tokens == above_tokens)?;
        self.written.get(index)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether no token costs anything.
    pub(super) fn is_free(&self) -> bool {
        self.steps.iter().flat_map(|step| step.rates).all(|rate| rate == 0)
    }
}

/// How many units of a multiplier make one: multipliers have four decimals.
pub(super) const MULTIPLIER_ONE: u64 = 10_000;
/// The decimals of a multiplier.
pub(super) const MULTIPLIER_DECIMALS: u32 = 4;
/// The largest multiplier.
pub(super) const MULTIPLIER_MAX: u64 = 1000 * MULTIPLIER_ONE;

/// What a window or a service tier does to a row's token prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Every token price times this, in units of 1 / [`MULTIPLIER_ONE`].
    Multiply(u64),
    /// Prices of its own.
    Reprice(Sheet),
}
