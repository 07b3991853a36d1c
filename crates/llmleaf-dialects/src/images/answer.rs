//! Whole answers in OpenAI's form, both ends.

use super::broken;
use crate::chat_completions;
use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array};
use llmleaf_model::usage::Units;
use llmleaf_model::{DialectName, Failure, Image, ImageSource, Images, Json, Usage};
use serde_json::value::RawValue;

/// Facts of all images.
const FACTS: [&str; 4] = ["background", "output_format", "quality", "size"];

pub(super) fn parse(body: &[u8]) -> Result<Images, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let stated = |raw: &&RawValue| !matches!(raw.get(), "null" | "{}" | "\"\"");
    if object.get("error").filter(stated).is_some() {
        return Err(chat_completions::errors::in_band(text));
    }
    // Some services that borrow the path answer `images`.
    let list = object.get("data").or_else(|| object.get("images"));
    let list = list.and_then(items).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| broken("the answer holds no images"))?;
    let images: Vec<Image> = list
        .into_iter()
        .map(image)
        .collect::<Option<_>>()
        .ok_or_else(|| broken("an entry of the answer holds no image"))?;
    let mut rest = llmleaf_model::Rest::default();
    for name in FACTS {
        if let Some(raw) = object.get(name) {
            rest.push(name, Json::from(raw));
        }
    }
    Ok(Images {
        created: object.get("created").and_then(|raw| raw.get().parse().ok()),
        usage: Some(usage(object.get("usage"), images.len() as u64)),
        images,
        rest,
    })
}

fn image(raw: &RawValue) -> Option<Image> {
    let entry = Object::from_raw(raw)?;
    let text = |name: &str| {
        let text = entry.get(name).and_then(string)?;
        (!text.is_empty()).then(|| text.into_owned())
    };
    let mime = || text("mime_type").or_else(|| text("media_type"));
    let data = text("b64_json").or_else(|| text("image"));
    let source = match data {
        Some(data) => ImageSource::Base64(data, mime()),
        None => ImageSource::Url(text("url")?),
    };
    Some(Image {
        source,
        revised_prompt: text("revised_prompt"),
    })
}

/// The counts: tokens where the service counts them, and images always.
pub(super) fn usage(report: Option<&RawValue>, images: u64) -> Usage {
    let object = report.and_then(Object::from_raw);
    let mut usage = match (&object, report) {
        // Routers write the report of chat.
        (Some(object), Some(raw)) if object.get("prompt_tokens").is_some() => {
            chat_completions::usage::parse(raw).unwrap_or_default()
        }
        (Some(object), _) => tokens(object),
        _ => Usage::default(),
    };
    usage.native = report.map(|raw| (DialectName::ChatCompletions, Json::from(raw)));
    usage.units = Units {
        images,
        ..Units::default()
    };
    usage
}

fn tokens(report: &Object<'_>) -> Usage {
    let count = |object: &Object<'_>, name: &str| {
        let count = object.get(name)?.get().parse::<u64>().ok()?;
        (count <= crate::LARGEST_COUNT).then_some(count)
    };
    let inner = |name: &str| report.get(name).and_then(Object::from_raw);
    let mut usage = Usage {
        input: count(report, "input_tokens").unwrap_or_default(),
        output: count(report, "output_tokens").unwrap_or_default(),
        ..Usage::default()
    };
    if let Some(details) = inner("input_tokens_details") {
        let cached = count(&details, "cached_tokens").unwrap_or_default();
        let images = count(&details, "image_tokens").unwrap_or_default();
        usage.set_inclusive_input(usage.input, cached, 0, 0);
        usage.set_input_image(images);
    }
    // Where no details are told, all of it is of the image (ImagesUsage).
    let images = match inner("output_tokens_details") {
        Some(details) => count(&details, "image_tokens").unwrap_or_default(),
        None => usage.output,
    };
    usage.set_output_image(images);
    let cost = report.get("cost").map(RawValue::get);
    let ticks = || Some(count(report, "cost_in_usd_ticks")? / 10);
    usage.cost_nano_usd = cost.and_then(llmleaf_model::usage::nano_usd).or_else(ticks);
    usage
}

pub(super) fn render(answer: &Images, created: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.number("created", answer.created.unwrap_or(created));
    array(object.key("data"), &answer.images, |out, image| {
        let mut entry = ObjectWriter::new(out);
        told(&mut entry, image);
        entry.end();
    });
    for (name, value) in answer.rest.iter() {
        object.raw(name, value.as_str());
    }
    if let Some(usage) = &answer.usage {
        write_usage(&mut object, usage);
    }
    object.end();
    out
}

/// Writes the image itself.
pub(super) fn told(entry: &mut ObjectWriter<'_>, image: &Image) {
    match &image.source {
        ImageSource::Base64(data, mime) => {
            entry.string("b64_json", data);
            entry.string_if("mime_type", mime.as_deref());
        }
        ImageSource::Url(url) => {
            entry.string("url", url);
        }
        ImageSource::Opaque(json) => {
            entry.raw("image", json.as_str());
        }
    }
    entry.string_if("revised_prompt", image.revised_prompt.as_deref());
}

/// Writes the counts, where tokens were counted.
pub(super) fn write_usage(object: &mut ObjectWriter<'_>, usage: &Usage) {
    if usage.total() == 0 {
        return;
    }
    object.object("usage", |report| {
        report
            .number("total_tokens", usage.total())
            .number("input_tokens", usage.input_total())
            .number("output_tokens", usage.output_total());
        report.object("input_tokens_details", |details| {
            let text = usage.input_total().saturating_sub(usage.input_image);
            details
                .number("text_tokens", text)
                .number("image_tokens", usage.input_image);
        });
        report.object("output_tokens_details", |details| {
            let text = usage.output_total().saturating_sub(usage.output_image);
            details
                .number("text_tokens", text)
                .number("image_tokens", usage.output_image);
        });
    });
}
