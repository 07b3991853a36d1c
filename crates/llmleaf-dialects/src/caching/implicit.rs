//! Services that keep prompts by themselves: a key that groups requests, and a longer lifetime.
//!
//! Source: "Prompt caching", developers.openai.com/docs/guides/prompt-caching, and the OpenAPI document 2.3.0 of 2026-08
//! (`prompt_cache_key`, at most 64 characters; `prompt_cache_retention`, for 5.5 and later always `24h`).

use super::{Body, Lifetime};
use crate::splice::{Splices, quote};

/// The field of the key.
pub(super) const KEY: &str = "prompt_cache_key";

/// What a family of models takes. The first row whose prefix fits counts.
struct Rule {
    /// Beginning of the model's name, the part behind the last slash.
    prefix: &'static str,
    /// It takes a longer retention than its default.
    retention: bool,
    /// Requests that begin alike may be told to belong together.
    key: bool,
}

const fn rule(prefix: &'static str, retention: bool, key: bool) -> Rule {
    Rule {
        prefix,
        retention,
        key,
    }
}

/// The models with extended retention are listed one by one in the guide: small ones are not among them.
const RULES: &[Rule] = &[
    rule("gpt-oss", false, false),
    rule("gpt-5-mini", false, true),
    rule("gpt-5-nano", false, true),
    rule("gpt-5-pro", false, true),
    rule("gpt-5.1", true, true),
    rule("gpt-5.2", true, true),
    rule("gpt-5.4-mini", false, true),
    rule("gpt-5.4-nano", false, true),
    rule("gpt-5.4", true, true),
    rule("gpt-5.", false, true),
    rule("gpt-5", true, true),
    rule("gpt-4.1-mini", false, true),
    rule("gpt-4.1-nano", false, true),
    rule("gpt-4.1", true, true),
    rule("gpt-", false, true),
];

/// Sets what is not there yet. `takes` says whether the service takes a field at all.
pub(super) fn fields<'a>(
    body: &Body<'_>,
    model: &str,
    lifetime: Lifetime,
    key: u64,
    takes: impl Fn(&str) -> bool,
) -> Splices<'a> {
    let mut splices = Splices::new();
    let name = model.rsplit('/').next().unwrap_or(model);
    let Some(rule) = RULES
        .iter()
        .find(|rule| crate::ladder::begins(name, rule.prefix))
    else {
        return splices;
    };
    let long = lifetime == Lifetime::OneHour && rule.retention;
    let asked = [
        (KEY, rule.key, format!("llmleaf-{key:016x}")),
        ("prompt_cache_retention", long, "24h".to_owned()),
    ];
    let start = body.text.find('{').map_or(0, |at| at + 1);
    for (name, wanted, value) in asked {
        if !wanted || body.get(name).is_some() || !takes(name) {
            continue;
        }
        match body.body.get(name).and_then(|null| body.range(null)) {
            Some(null) => splices.replace(null, quote(&value)),
            None => {
                let comma = if body.body.fields.is_empty() { "" } else { "," };
                splices.insert(start, format!("\"{name}\":{}{comma}", quote(&value)));
            }
        }
    }
    splices
}
