//! Token counts, brought to one convention.

use crate::json::Value;

/// Token counts of one response. `None` is a count that was not given; a count that is no plain non-negative
/// integer is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageClasses {
    /// All input, including what was read from and written to a cache.
    pub input_total: Option<u64>,
    /// Input read from a cache.
    pub cache_read: Option<u64>,
    /// Input written to a cache.
    pub cache_write: Option<u64>,
    /// All output, including reasoning.
    pub output_total: Option<u64>,
    /// Output that was reasoning.
    pub reasoning: Option<u64>,
}

/// The `usage` object of the OpenAI chat wire.
pub(super) fn openai(usage: &Value) -> UsageClasses {
    let first = |paths: &[&[&str]]| paths.iter().find_map(|path| usage.u64_at(path));
    let completion = usage.u64_at(&["completion_tokens"]);
    let reasoning = first(&[
        &["completion_tokens_details", "reasoning_tokens"],
        &["reasoning_tokens"],
    ]);
    let input = usage.u64_at(&["prompt_tokens"]);
    let total = usage.u64_at(&["total_tokens"]);
    let audio = usage.u64_at(&["prompt_tokens_details", "audio_tokens"]);
    let input_total = input_total(input, audio, completion, total);
    UsageClasses {
        input_total,
        cache_read: first(&[
            &["prompt_tokens_details", "cached_tokens"],
            // Moonshot; DeepSeek; a gateway that also speaks Anthropic.
            &["cached_tokens"],
            &["prompt_cache_hit_tokens"],
            &["cache_read_input_tokens"],
        ]),
        cache_write: first(&[
            &["prompt_tokens_details", "cache_write_tokens"],
            &["cache_creation_input_tokens"],
        ]),
        output_total: output_total(completion, reasoning, input_total, total),
        reasoning,
    }
}

/// Mistral counts audio beside `prompt_tokens`, not within: its total is the sum of all three (recorded: prompt 11, completion
/// 15, audio 375, total 401).
fn input_total(
    input: Option<u64>,
    audio: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
) -> Option<u64> {
    let beside = input?.checked_add(audio.unwrap_or(0))?;
    match (completion, total) {
        (Some(completion), Some(total)) if beside.checked_add(completion) == Some(total) => {
            Some(beside)
        }
        _ => input,
    }
}

/// xAI counts reasoning beside `completion_tokens`, not within: its total is the sum of all three (seen in every
/// recording of a reasoning model of theirs, e.g. prompt 32, completion 40, reasoning 1141, total 1213).
fn output_total(
    completion: Option<u64>,
    reasoning: Option<u64>,
    input: Option<u64>,
    total: Option<u64>,
) -> Option<u64> {
    let completion = completion?;
    let (Some(reasoning), Some(input), Some(total)) = (reasoning, input, total) else {
        return Some(completion);
    };
    let beside = completion.checked_add(reasoning)?;
    if reasoning > 0 && input.checked_add(beside) == Some(total) {
        return Some(beside);
    }
    Some(completion)
}

/// The `usageMetadata` object of the Gemini wire; `None` where it counts nothing. Thoughts and tool use stand beside the
/// other counts.
pub(super) fn gemini(usage: &Value) -> Option<UsageClasses> {
    let count = |name: &str| usage.u64_at(&[name]);
    let counts = [
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
    ];
    counts.iter().find_map(|name| count(name))?;
    let prompt = count("promptTokenCount").unwrap_or(0);
    let thoughts = count("thoughtsTokenCount").unwrap_or(0);
    Some(UsageClasses {
        input_total: Some(prompt + count("toolUsePromptTokenCount").unwrap_or(0)),
        cache_read: count("cachedContentTokenCount"),
        cache_write: None,
        output_total: Some(count("candidatesTokenCount").unwrap_or(0) + thoughts),
        reasoning: count("thoughtsTokenCount"),
    })
}

/// The `usage` object of the Cohere wire; `None` where it counts nothing. What is billed counts, as on the service's own
/// endpoint for OpenAI's clients; what the cache gave is a part of the other count, and is told only where both agree.
pub(super) fn cohere(usage: &Value) -> Option<UsageClasses> {
    let billed = |name: &str| usage.u64_at(&["billed_units", name]);
    let read = |name: &str| usage.u64_at(&["tokens", name]);
    let input = billed("input_tokens").or(read("input_tokens"));
    let output = billed("output_tokens").or(read("output_tokens"));
    input.or(output)?;
    let cached = usage.u64_at(&["cached_tokens"]);
    Some(UsageClasses {
        input_total: input,
        cache_read: cached.filter(|_| input == read("input_tokens")),
        cache_write: None,
        output_total: output,
        reasoning: read("reasoning_tokens").map(|n| n.min(output.unwrap_or(n))),
    })
}

/// The raw counts of the Anthropic wire, of which a later event may repeat any part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AnthropicCounts {
    fresh_input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl AnthropicCounts {
    /// Takes in a `usage` object: counts are cumulative, so what is given replaces what was.
    pub(super) fn absorb(&mut self, usage: &Value) {
        let update = |own: &mut Option<u64>, path: &[&str]| {
            *own = usage.u64_at(path).or(*own);
        };
        update(&mut self.fresh_input, &["input_tokens"]);
        update(&mut self.cache_read, &["cache_read_input_tokens"]);
        update(&mut self.cache_write, &["cache_creation_input_tokens"]);
        update(&mut self.output, &["output_tokens"]);
        update(
            &mut self.thinking,
            &["output_tokens_details", "thinking_tokens"],
        );
    }

    pub(super) fn classes(&self) -> UsageClasses {
        let cached = self.cache_read.unwrap_or(0) + self.cache_write.unwrap_or(0);
        UsageClasses {
            input_total: self.fresh_input.map(|fresh| fresh + cached),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            output_total: self.output,
            reasoning: self.thinking,
        }
    }
}
