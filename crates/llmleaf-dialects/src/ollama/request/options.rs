//! `options`, both ways.

use super::turns::object_of;
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use crate::ollama::quirks::is_kin;
use crate::ollama::wire::{ObjectWriter, array, write_string};
use llmleaf_model::{ChatRequest, Failure, Loss};
use serde_json::value::RawValue;

/// Reads them; what the model has no place for stays in the request's rest, under `options`.
pub(super) fn parse(mut options: Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let sampling = &mut request.sampling;
    sampling.temperature = options.number("temperature")?;
    sampling.top_p = options.number("top_p")?;
    sampling.top_k = options.number("top_k")?;
    sampling.min_p = options.number("min_p")?;
    sampling.frequency_penalty = options.number("frequency_penalty")?;
    sampling.presence_penalty = options.number("presence_penalty")?;
    sampling.repetition_penalty = options.number("repeat_penalty")?;
    sampling.seed = options.number("seed")?;
    // Below 0 it is no cap: -1 is endless, -2 fills the window.
    let cap = options.peek("num_predict").map(RawValue::get);
    if let Some(cap) = cap.and_then(|text| text.parse().ok()) {
        sampling.max_output_tokens = Some(cap);
        options.raw("num_predict");
    }
    if let Some(raw) = options.raw("stop") {
        sampling.stop =
            stops(raw).ok_or_else(|| wrong(&options.at("stop"), "a list of strings"))?;
    }
    let rest = options.into_rest();
    if !rest.is_empty() {
        request.rest.push("options", object_of(&rest));
    }
    Ok(())
}

fn stops(raw: &RawValue) -> Option<Vec<String>> {
    if let Some(one) = string(raw) {
        return Some(vec![one.into_owned()]);
    }
    let list = items(raw)?.into_iter();
    list.map(|raw| string(raw).map(|text| text.into_owned()))
        .collect()
}

/// Writes them, where there are any.
pub(super) fn write(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    let sampling = &request.sampling;
    let mut out = Vec::new();
    let mut options = ObjectWriter::new(&mut out);
    let numbers = [
        ("temperature", sampling.temperature.as_ref()),
        ("top_p", sampling.top_p.as_ref()),
        ("top_k", sampling.top_k.as_ref()),
        ("min_p", sampling.min_p.as_ref()),
        ("frequency_penalty", sampling.frequency_penalty.as_ref()),
        ("presence_penalty", sampling.presence_penalty.as_ref()),
        ("repeat_penalty", sampling.repetition_penalty.as_ref()),
        ("seed", sampling.seed.as_ref()),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            options.raw(name, &value.to_string());
        }
    }
    if let Some(cap) = sampling.max_output_tokens {
        options.number("num_predict", cap);
    }
    if !sampling.stop.is_empty() {
        array(options.key("stop"), &sampling.stop, |out, one| {
            write_string(out, one)
        });
    }
    // The two forms of this wire have the same options.
    let kept = request
        .rest
        .get("options")
        .filter(|_| is_kin(request.dialect));
    if let Some(kept) = kept.and_then(|json| Object::from_raw(json.raw())) {
        options.rest(&kept.into_rest());
    }
    options.end();
    if out.len() > 2 {
        body.key("options").extend_from_slice(&out);
    }
    body.bool_if("logprobs", sampling.logprobs.filter(|on| own || *on));
    if let Some(count) = sampling.top_logprobs.filter(|count| own || *count > 0) {
        body.number("top_logprobs", count);
    }
    if sampling.choices.is_some_and(|count| count > 1) {
        losses.push(Loss::dropped("n", "this wire gives one answer"));
    }
    if sampling.logit_bias.is_some() {
        losses.push(Loss::dropped("logit_bias", "not on this wire"));
    }
}
