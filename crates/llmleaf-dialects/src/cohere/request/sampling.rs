//! How tokens are chosen, both ways.

use crate::cohere::wire::{ObjectWriter, array, write_string};
use crate::level::{Level, wrong};
use crate::object::string;
use llmleaf_model::{ChatRequest, DialectName, Failure, Loss, Sampling};
use serde_json::Number;

/// Most stop texts that the wire takes.
const MAX_STOPS: usize = 5;

/// Reads the fields.
pub(super) fn parse(top: &mut Level<'_>, sampling: &mut Sampling) -> Result<(), Failure> {
    sampling.max_output_tokens = top.integer("max_tokens")?;
    sampling.temperature = top.number("temperature")?;
    sampling.top_p = top.number("p")?;
    sampling.top_k = top.number("k")?;
    sampling.frequency_penalty = top.number("frequency_penalty")?;
    sampling.presence_penalty = top.number("presence_penalty")?;
    sampling.seed = top.number("seed")?;
    sampling.logprobs = top.bool("logprobs")?;
    let stops = top.list("stop_sequences")?.unwrap_or_default();
    for (at, raw) in stops.into_iter().enumerate() {
        let text =
            string(raw).ok_or_else(|| wrong(&format!("stop_sequences[{at}]"), "a string"))?;
        sampling.stop.push(text.into_owned());
    }
    Ok(())
}

/// Writes them; values of other dialects are brought into the ranges of the reference.
pub(super) fn write(body: &mut ObjectWriter<'_>, request: &ChatRequest, losses: &mut Vec<Loss>) {
    let own = request.dialect == DialectName::CohereChat;
    let sampling = &request.sampling;
    if let Some(cap) = sampling.max_output_tokens {
        body.number("max_tokens", cap);
    }
    let ranged = [
        (
            "temperature",
            "temperature",
            &sampling.temperature,
            "0",
            "1",
        ),
        ("p", "top_p", &sampling.top_p, "0.01", "0.99"),
        ("k", "top_k", &sampling.top_k, "0", "500"),
        (
            "frequency_penalty",
            "frequency_penalty",
            &sampling.frequency_penalty,
            "0",
            "1",
        ),
        (
            "presence_penalty",
            "presence_penalty",
            &sampling.presence_penalty,
            "0",
            "1",
        ),
    ];
    for (name, known, value, least, most) in ranged {
        let Some(value) = value else {
            continue;
        };
        match outside(value, least, most).filter(|_| !own) {
            Some(bound) => {
                let why = format!("the target takes {least} to {most}");
                losses.push(Loss::altered(known, why));
                body.raw(name, bound);
            }
            None => {
                body.raw(name, &value.to_string());
            }
        }
    }
    if let Some(seed) = &sampling.seed {
        if own || seed.as_u64().is_some() {
            body.raw("seed", &seed.to_string());
        } else {
            losses.push(Loss::dropped(
                "seed",
                "the target takes whole numbers from 0 on",
            ));
        }
    }
    body.bool_if("logprobs", sampling.logprobs);
    stops(body, sampling, own, losses);
}

fn stops(body: &mut ObjectWriter<'_>, sampling: &Sampling, own: bool, losses: &mut Vec<Loss>) {
    let mut stops = sampling.stop.as_slice();
    if stops.is_empty() {
        return;
    }
    if let Some((first, rest)) = stops.split_at_checked(MAX_STOPS)
        && !rest.is_empty()
        && !own
    {
        let field = format!("stop[{MAX_STOPS}]");
        losses.push(Loss::dropped(field, "the target takes five stop texts"));
        stops = first;
    }
    array(body.key("stop_sequences"), stops, |out, text| {
        write_string(out, text)
    });
}

/// The bound that a value passes.
fn outside<'b>(value: &Number, least: &'b str, most: &'b str) -> Option<&'b str> {
    let value = value.as_f64()?;
    let bound = |text: &str| text.parse::<f64>().unwrap_or(value);
    if value < bound(least) {
        Some(least)
    } else if value > bound(most) {
        Some(most)
    } else {
        None
    }
}
