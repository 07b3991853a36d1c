//! What a model costs, and what a count of use comes to.

use llmleaf_model::{Units, Usage};

/// Rates of tokens by class, in nano-dollars per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenRates {
    /// Input tokens of no class with a rate of its own. `None`: the model is not priced by tokens.
    pub input: Option<u64>,
    /// Output tokens of no class with a rate of its own. `None`: none are expected.
    pub output: Option<u64>,
    /// Tokens read from a cache; without a rate of their own they cost what input costs.
    pub cache_read: Option<u64>,
    /// Tokens written to a cache; without a rate of their own they cost what input costs.
    pub cache_write: Option<u64>,
    /// Tokens written to a cache for an hour; without a rate of their own they cost what other writes cost.
    pub cache_write_1h: Option<u64>,
    /// Reasoning; without a rate of its own it costs what output costs.
    pub reasoning: Option<u64>,
    /// Audio heard; without a rate nobody knows what it costs.
    pub input_audio: Option<u64>,
    /// Images seen; without a rate of their own they cost what input costs.
    pub input_image: Option<u64>,
    /// Audio spoken; without a rate nobody knows what it costs.
    pub output_audio: Option<u64>,
    /// Images made; without a rate nobody knows what they cost.
    pub output_image: Option<u64>,
}

/// Rates of a prompt with more than so many tokens. They are for all of its tokens, not only for those beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    /// More input tokens than that, cached or not.
    pub above: u64,
    /// What is said here counts; what is not, the rates below it.
    pub tokens: TokenRates,
}

/// Rates of what is billed by the piece, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitRates {
    /// An hour of audio.
    pub audio_hour: Option<u64>,
    /// A million characters.
    pub characters: Option<u64>,
    /// An image.
    pub image: Option<u64>,
    /// A search of a rerank request.
    pub search: Option<u64>,
    /// A search, or another run of a tool, that the provider made.
    pub server_tool_call: Option<u64>,
    /// A request.
    pub request: Option<u64>,
}

/// What tokens cost in a class of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Rates of its own.
    Own(TokenRates),
    /// So many thousandths of the usual.
    Share(u16),
}

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Tokens.
    pub tokens: TokenRates,
    /// Rates of long prompts, in rising order.
    pub tiers: Vec<Tier>,
    /// Classes of service other than the usual one, by the provider's word for them. A class that is not here has no price here.
    pub services: Vec<(Box<str>, Service)>,
    /// Pieces.
    pub units: UnitRates,
    /// What of it is to be paid for a batch, in thousandths. `None`: nobody knows.
    pub batch_permille: Option<u16>,
}

/// Nano-dollars times a million: the unit in which sums are exact.
type Micro = u128;

const MILLION: u128 = 1_000_000;

impl TokenRates {
    /// These, where they say something, before those.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            input: self.input.or(below.input),
            output: self.output.or(below.output),
            cache_read: self.cache_read.or(below.cache_read),
            cache_write: self.cache_write.or(below.cache_write),
            cache_write_1h: self.cache_write_1h.or(below.cache_write_1h),
            reasoning: self.reasoning.or(below.reasoning),
            input_audio: self.input_audio.or(below.input_audio),
            input_image: self.input_image.or(below.input_image),
            output_audio: self.output_audio.or(below.output_audio),
            output_image: self.output_image.or(below.output_image),
        }
    }

    /// Each class, its count and its rate.
    fn classes(&self, usage: &Usage) -> [(u64, Option<u64>); 10] {
        let write = self.cache_write.or(self.input);
        [
            (usage.input, self.input),
            (usage.input_cache_read, self.cache_read.or(self.input)),
            (usage.input_cache_write, write),
            (usage.input_cache_write_1h, self.cache_write_1h.or(write)),
            (usage.input_audio, self.input_audio),
            (usage.input_image, self.input_image.or(self.input)),
            (usage.output, self.output),
            (usage.output_reasoning, self.reasoning.or(self.output)),
            (usage.output_audio, self.output_audio),
            (usage.output_image, self.output_image),
        ]
    }

    fn cost(&self, usage: &Usage) -> Option<Micro> {
        let each = self.classes(usage).into_iter();
        let mut used = each.filter(|(count, _)| *count > 0);
        used.try_fold(0, |sum: Micro, (count, rate)| {
            Some(sum.saturating_add(u128::from(count) * u128::from(rate?)))
        })
    }
}

impl UnitRates {
    /// What pieces come to. Where tokens are what is billed, pieces without a rate are only told beside them; and of what is said, whose
    /// characters and length are two measures, one is billed.
    fn cost(&self, mut units: Units, by_tokens: bool) -> Option<Micro> {
        match (self.audio_hour, self.characters) {
            (None, Some(_)) if units.characters > 0 => units.audio_ms = 0,
            (Some(_), None) if units.audio_ms > 0 => units.characters = 0,
            _ => {}
        }
        let each = [
            (
                u128::from(units.audio_ms),
                self.audio_hour
                    .map(|rate| u128::from(rate) * MILLION / 3_600_000),
            ),
            (
                u128::from(units.characters),
                self.characters.map(u128::from),
            ),
            (
                u128::from(units.images),
                self.image.map(|rate| u128::from(rate) * MILLION),
            ),
            (
                u128::from(units.searches),
                self.search.map(|rate| u128::from(rate) * MILLION),
            ),
        ];
        let mut used = each.into_iter().filter(|(count, _)| *count > 0);
        used.try_fold(0, |sum: Micro, (count, rate)| match rate {
            Some(rate) => Some(sum.saturating_add(count.saturating_mul(rate))),
            None if by_tokens => Some(sum),
            None => None,
        })
    }
}

/// So many thousandths of an amount.
fn share(all: Micro, permille: u16) -> Micro {
    let permille = u128::from(permille);
    let whole = (all / 1000).saturating_mul(permille);
    whole.saturating_add(all % 1000 * permille / 1000)
}

impl Rates {
    /// The rates of a prompt with so many tokens.
    pub fn tokens_for(&self, prompt: u64) -> TokenRates {
        let reached = self.tiers.iter().filter(|tier| prompt > tier.above);
        reached.fold(self.tokens, |below, tier| tier.tokens.over(below))
    }

    /// What tokens come to in a class of service. With rates of its own, none are known of prompts whose length has a price.
    fn cost_in(&self, service: &str, usage: &Usage) -> Option<Micro> {
        let prompt = usage.input_total();
        let mut services = self.services.iter();
        match &services.find(|(name, _)| **name == *service)?.1 {
            Service::Share(permille) => {
                Some(share(self.tokens_for(prompt).cost(usage)?, *permille))
            }
            Service::Own(_) if self.tiers.iter().any(|tier| prompt > tier.above) => None,
            Service::Own(rates) => rates.cost(usage),
        }
    }

    /// What this comes to, in nano-dollars, rounded once at the end. `None` where something was used that has no rate here: part of a bill is not the bill.
    pub fn cost(&self, usage: &Usage, batch: bool) -> Option<u64> {
        let pieces = self.units.cost(usage.units, usage.total() > 0)?;
        // Where pieces are what is billed, tokens are only told beside them.
        let tokens = match usage.tier.as_deref() {
            _ if self.tokens == TokenRates::default() && pieces > 0 => 0,
            None => self.tokens_for(usage.input_total()).cost(usage)?,
            Some(_) if batch => return None,
            Some(tier) => self.cost_in(tier, usage)?,
        };
        let calls = match usage.server_tool_calls {
            0 => 0,
            calls => (u128::from(calls) * u128::from(self.units.server_tool_call?))
                .saturating_mul(MILLION),
        };
        let request = u128::from(self.units.request.unwrap_or_default()) * MILLION;
        let all = tokens.saturating_add(pieces).saturating_add(calls);
        let all = match batch {
            true => share(all, self.batch_permille?),
            false => all,
        };
        let nano = all.saturating_add(request).saturating_add(MILLION / 2) / MILLION;
        Some(u64::try_from(nano).unwrap_or(u64::MAX))
    }
}
