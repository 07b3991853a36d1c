//! A report as nearly all are, read without a parser: small integers, in the places that are documented.
//!
//! An answer that goes through as it came is read for this alone, so that reading it is a good part of what the answer costs.

use super::super::wire::Maybe;
use super::{Count, InputDetails, OutputDetails, WireUsage};
use crate::skim::{self, Entry};

/// The report; `None` where the parser has to look at it, which says the same of what is read here (a test holds the two together).
pub(super) fn read(report: &str) -> Option<WireUsage<'static>> {
    let mut wire = WireUsage::default();
    let mut seen = 0;
    fields(report, |key, value| {
        let (bit, place) = match key {
            "prompt_tokens" => (0, &mut wire.prompt_tokens),
            "completion_tokens" => (1, &mut wire.completion_tokens),
            "total_tokens" => (2, &mut wire.total_tokens),
            "prompt_tokens_details" => {
                wire.prompt_tokens_details = Maybe(Some(input(value)?));
                return once(&mut seen, 3);
            }
            "completion_tokens_details" => {
                wire.completion_tokens_details = Maybe(Some(output(value)?));
                return once(&mut seen, 4);
            }
            // What some services add, in their own ways.
            "reasoning_tokens" | "cached_tokens" | "prompt_cache_hit_tokens" => return None,
            "cache_read_input_tokens" | "cache_creation_input_tokens" => return None,
            "cache_creation" | "server_tool_use_details" => return None,
            "cost" | "cost_in_usd_ticks" => return None,
            _ => return Some(()),
        };
        *place = count(value)?;
        once(&mut seen, bit)
    })?;
    Some(wire)
}

fn input(report: &str) -> Option<InputDetails> {
    let mut details = InputDetails::default();
    let mut seen = 0;
    fields(report, |key, value| {
        let (bit, place) = match key {
            "cached_tokens" => (0, &mut details.cached_tokens),
            "cache_write_tokens" => (1, &mut details.cache_write_tokens),
            "audio_tokens" => (2, &mut details.audio_tokens),
            _ => return Some(()),
        };
        *place = count(value)?;
        once(&mut seen, bit)
    })?;
    Some(details)
}

fn output(report: &str) -> Option<OutputDetails> {
    let mut details = OutputDetails::default();
    let mut seen = 0;
    fields(report, |key, value| {
        let (bit, place) = match key {
            "reasoning_tokens" => (0, &mut details.reasoning_tokens),
            "audio_tokens" => (1, &mut details.audio_tokens),
            "image_tokens" => (2, &mut details.image_tokens),
            _ => return Some(()),
        };
        *place = count(value)?;
        once(&mut seen, bit)
    })?;
    Some(details)
}

/// Tells every field of an object; `None` where one is not as expected, or its key is written with escapes.
fn fields(object: &str, mut each: impl FnMut(&str, &str) -> Option<()>) -> Option<()> {
    let mut fits = Some(());
    skim::each(object, |entry: Entry| {
        fits = fits.and_then(|()| {
            let (key, value) = (entry.plain_key(object)?, object.get(entry.value)?);
            each(key, value)
        });
    })?;
    fits
}

/// A field that stands twice is the parser's to refuse.
fn once(seen: &mut u8, bit: u8) -> Option<()> {
    let mask = 1 << bit;
    let first = *seen & mask == 0;
    *seen |= mask;
    first.then_some(())
}

/// An integer of few digits.
fn count(value: &str) -> Option<Count> {
    // None of so many digits is larger than the largest count.
    const MOST_DIGITS: usize = 15;
    if value.len() > MOST_DIGITS {
        return None;
    }
    let digits = value.bytes().map(|byte| byte.wrapping_sub(b'0'));
    let sum = digits.clone().fold(0, |sum: u64, digit| {
        sum.wrapping_mul(10).wrapping_add(u64::from(digit))
    });
    let all = !value.is_empty() && digits.clone().all(|digit| digit < 10);
    all.then_some(Count(Some(sum)))
}
