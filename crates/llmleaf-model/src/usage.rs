//! Tokens used, in disjoint classes.

use crate::{DialectName, Json, Loss};

/// What an attempt used. The classes are disjoint: each token is counted in exactly one.
///
/// Wires count either inclusively (cached tokens inside the prompt count) or exclusively. That
/// convention lives in the dialect that reads or renders the wire, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Input tokens read fresh: not from a cache, not written to one, not of a class below.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub input_cache_read: u64,
    /// Input tokens written to a prompt cache with the provider's default or a 5-minute lifetime.
    pub input_cache_write: u64,
    /// Input tokens written to a prompt cache with a 1-hour lifetime.
    pub input_cache_write_1h: u64,
    /// Input tokens of audio.
    pub input_audio: u64,
    /// Input tokens of images, where the provider counts them apart.
    pub input_image: u64,
    /// Output tokens that are of no class below.
    pub output: u64,
    /// Output tokens of reasoning.
    pub output_reasoning: u64,
    /// Output tokens of audio.
    pub output_audio: u64,
    /// Output tokens of images.
    pub output_image: u64,
    /// Searches and other tool runs that the provider bills by the piece.
    pub server_tool_calls: u64,
    /// What is billed by something else than tokens.
    pub units: Units,
    /// Cost as the provider states it, in nano-dollars (1e-9 USD).
    pub cost_nano_usd: Option<u64>,
    /// The class of service that the provider says it answered in (`priority`), where that is not its usual one: it has prices of its own.
    pub tier: Option<Box<str>>,
    /// The report as its dialect wrote it.
    pub native: Option<(DialectName, Json)>,
}

/// What is measured otherwise than in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Milliseconds of audio heard or spoken.
    pub audio_ms: u64,
    /// Characters of text spoken: Unicode scalar values.
    pub characters: u64,
    /// Images made; or read, where a provider bills those by the piece (embeddings).
    pub images: u64,
    /// Searches of a rerank request, as its provider counts them.
    pub searches: u64,
}

impl Units {
    /// Adds what was measured beside it.
    pub fn add(&mut self, more: Self) {
        // Taken apart so that a unit that is new is not forgotten here.
        let Self {
            audio_ms,
            characters,
            images,
            searches,
        } = more;
        for (sum, more) in [
            (&mut self.audio_ms, audio_ms),
            (&mut self.characters, characters),
            (&mut self.images, images),
            (&mut self.searches, searches),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Usage {
    /// Adds what was used beside it. A cost that one of them does not state nobody knows of both; nor has the sum a report as it was written.
    pub fn add(&mut self, more: Self) {
        // Taken apart so that a class that is new is not forgotten here.
        let Self {
            input,
            input_cache_read,
            input_cache_write,
            input_cache_write_1h,
            input_audio,
            input_image,
            output,
            output_reasoning,
            output_audio,
            output_image,
            server_tool_calls,
            units,
            cost_nano_usd,
            tier,
            native: _,
        } = more;
        if self.tier != tier {
            // A class that no table has: nobody knows what the sum costs.
            self.tier = Some("mixed".into());
        }
        for (sum, more) in [
            (&mut self.input, input),
            (&mut self.input_cache_read, input_cache_read),
            (&mut self.input_cache_write, input_cache_write),
            (&mut self.input_cache_write_1h, input_cache_write_1h),
            (&mut self.input_audio, input_audio),
            (&mut self.input_image, input_image),
            (&mut self.output, output),
            (&mut self.output_reasoning, output_reasoning),
            (&mut self.output_audio, output_audio),
            (&mut self.output_image, output_image),
            (&mut self.server_tool_calls, server_tool_calls),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.units.add(units);
        let costs = self.cost_nano_usd.zip(cost_nano_usd);
        self.cost_nano_usd = costs.map(|(one, other)| one.saturating_add(other));
        self.native = None;
    }

    /// What is lost of it where a wire tells what was written to a cache as input like any other.
    pub fn unsaid_cache_writes(&self) -> Option<Loss> {
        let wrote = self.input_cache_write > 0 || self.input_cache_write_1h > 0;
        wrote.then(|| Loss::approximated("usage.cache_write", "counted as input like any other"))
    }

    /// All input tokens.
    pub fn input_total(&self) -> u64 {
        [
            self.input,
            self.input_cache_read,
            self.input_cache_write,
            self.input_cache_write_1h,
            self.input_audio,
            self.input_image,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Takes note of the class of service, in the provider's word for it. What it calls its usual one is none; a batch is told otherwise.
    pub fn set_tier(&mut self, said: &str) {
        const USUAL: [&str; 8] = [
            "",
            "auto",
            "batch",
            "default",
            "none",
            "on_demand",
            "standard",
            "standard_only",
        ];
        let usual = USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(said));
        self.tier = (!usual).then(|| said.to_ascii_lowercase().into());
    }

    /// All output tokens.
    pub fn output_total(&self) -> u64 {
        self.output
            .saturating_add(self.output_reasoning)
            .saturating_add(self.output_audio)
            .saturating_add(self.output_image)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }

    /// Input tokens written to any cache.
    pub fn cache_write_total(&self) -> u64 {
        self.input_cache_write
            .saturating_add(self.input_cache_write_1h)
    }

    /// Splits an inclusive input count into classes: what is not cached and not audio is fresh.
    ///
    /// Parts that exceed the whole (seen where audio is cached too) are cut to it, so that the
    /// classes always sum to `total`.
    pub fn set_inclusive_input(
        &mut self,
        total: u64,
        cache_read: u64,
        cache_write: u64,
        audio: u64,
    ) {
        self.input_cache_read = cache_read.min(total);
        let left = total - self.input_cache_read;
        self.input_cache_write = cache_write.min(left);
        let left = left - self.input_cache_write;
        self.input_audio = audio.min(left);
        self.input = left - self.input_audio;
    }

    /// Splits an inclusive output count into classes; the classes always sum to `total`.
    pub fn set_inclusive_output(&mut self, total: u64, reasoning: u64, audio: u64) {
        self.output_reasoning = reasoning.min(total);
        let left = total - self.output_reasoning;
        self.output_audio = audio.min(left);
        self.output = left - self.output_audio;
    }

    /// Of the fresh input, so many tokens are of images; the sum stays.
    pub fn set_input_image(&mut self, images: u64) {
        let all = self.input + self.input_image;
        self.input_image = images.min(all);
        self.input = all - self.input_image;
    }

    /// Of the plain output, so many tokens are of images; the sum stays.
    pub fn set_output_image(&mut self, images: u64) {
        let all = self.output + self.output_image;
        self.output_image = images.min(all);
        self.output = all - self.output_image;
    }
}

/// A decimal amount of dollars as nano-dollars, read from its text so that no float sum ever happens.
///
/// Takes JSON number spellings (`0.00012`, `1.2e-05`). `None` for negative, malformed or huge amounts.
/// Digits beyond the ninth decimal are cut off.
pub fn nano_usd(text: &str) -> Option<u64> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty()
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    // Value = digits × 10^(exponent − fraction length); wanted in units of 10^−9.
    let shift = exponent
        .checked_sub(i32::try_from(fraction.len()).ok()?)?
        .checked_add(9)?;
    let mut digits: String = [whole, fraction].concat();
    if shift < 0 {
        let keep = digits
            .len()
            .saturating_sub(usize::try_from(shift.unsigned_abs()).ok()?);
        digits.truncate(keep);
    } else if digits.bytes().any(|b| b != b'0') {
        let zeros = usize::try_from(shift).ok()?;
        if zeros > 19 {
            return None;
        }
        digits.extend(std::iter::repeat_n('0', zeros));
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_read_from_text() {
        for (text, nano) in [
            ("0", Some(0)),
            ("1", Some(1_000_000_000)),
            ("0.00012", Some(120_000)),
            ("1.2e-05", Some(12_000)),
            ("1.2E-10", Some(0)),
            ("0.0000000019", Some(1)),
            ("2e3", Some(2_000_000_000_000)),
            ("-1", None),
            ("1e400", None),
            ("", None),
            ("abc", None),
            (".5", None),
        ] {
            assert_eq!(nano_usd(text), nano, "{text}");
        }
    }

    #[test]
    fn a_sum_has_every_class_of_both() {
        let all = |n: u64| Usage {
            input: n,
            input_cache_read: n,
            input_cache_write: n,
            input_cache_write_1h: n,
            input_audio: n,
            input_image: n,
            output: n,
            output_reasoning: n,
            output_audio: n,
            output_image: n,
            server_tool_calls: n,
            units: Units {
                audio_ms: n,
                characters: n,
                images: n,
                searches: n,
            },
            cost_nano_usd: Some(n),
            tier: None,
            native: None,
        };
        let mut sum = all(2);
        sum.add(all(3));
        assert_eq!(sum, all(5));
        sum.add(Usage {
            cost_nano_usd: None,
            ..all(u64::MAX)
        });
        let most = Usage {
            cost_nano_usd: None,
            ..all(u64::MAX)
        };
        assert_eq!(sum, most);
    }

    proptest! {
        #[test]
        fn inclusive_counts_split_into_classes_that_sum(total in 0u64..1000, a in 0u64..1500, b in 0u64..1500, c in 0u64..1500) {
            let mut usage = Usage::default();
            usage.set_inclusive_input(total, a, b, c);
            usage.set_inclusive_output(total, a, b);
            prop_assert_eq!(usage.input_total(), total);
            prop_assert_eq!(usage.output_total(), total);
        }
    }
}
