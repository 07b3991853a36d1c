//! A report as nearly all are, read while the answer around it is: small integers, in the places that are documented.
//!
//! An answer that goes through as it came is read for this alone, so that reading it is a good part of what the answer costs.

use super::super::wire::{Maybe, fields, once};
use super::{Count, InputDetails, OutputDetails, WireUsage};
use crate::skim::Scan;

/// None of so many digits is larger than the largest count.
const MOST_DIGITS: usize = 15;

/// The report that begins here; `None` where the parser has to look at it, which says the same of what is read here (a test holds the
/// two together). `text` is what is being read.
pub(super) fn read(scan: &mut Scan<'_>, text: &str) -> Option<WireUsage<'static>> {
    let mut wire = WireUsage::default();
    fields(scan, text, |scan, key, seen| {
        match key {
            "prompt_tokens" => count(scan, &mut wire.prompt_tokens, seen, 0),
            "completion_tokens" => count(scan, &mut wire.completion_tokens, seen, 1),
            "total_tokens" => count(scan, &mut wire.total_tokens, seen, 2),
            "prompt_tokens_details" => {
                wire.prompt_tokens_details = Maybe(Some(input(scan, text)?));
                once(seen, 3)
            }
            "completion_tokens_details" => {
                wire.completion_tokens_details = Maybe(Some(output(scan, text)?));
                once(seen, 4)
            }
            // What some services add, in their own ways.
            "reasoning_tokens" | "cached_tokens" | "prompt_cache_hit_tokens" => None,
            "cache_read_input_tokens" | "cache_creation_input_tokens" => None,
            "cache_creation" | "server_tool_use_details" => None,
            "cost" | "cost_in_usd_ticks" => None,
            _ => scan.passed().map(drop),
        }
    })?;
    Some(wire)
}

fn input(scan: &mut Scan<'_>, text: &str) -> Option<InputDetails> {
    let mut details = InputDetails::default();
    fields(scan, text, |scan, key, seen| match key {
        "cached_tokens" => count(scan, &mut details.cached_tokens, seen, 0),
        "cache_write_tokens" => count(scan, &mut details.cache_write_tokens, seen, 1),
        "audio_tokens" => count(scan, &mut details.audio_tokens, seen, 2),
        _ => scan.passed().map(drop),
    })?;
    Some(details)
}

fn output(scan: &mut Scan<'_>, text: &str) -> Option<OutputDetails> {
    let mut details = OutputDetails::default();
    fields(scan, text, |scan, key, seen| match key {
        "reasoning_tokens" => count(scan, &mut details.reasoning_tokens, seen, 0),
        "audio_tokens" => count(scan, &mut details.audio_tokens, seen, 1),
        "image_tokens" => count(scan, &mut details.image_tokens, seen, 2),
        _ => scan.passed().map(drop),
    })?;
    Some(details)
}

fn count(scan: &mut Scan<'_>, place: &mut Count, seen: &mut u16, bit: u8) -> Option<()> {
    *place = Count(Some(scan.integer(MOST_DIGITS)?));
    once(seen, bit)
}
