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

/// The counts of a report.
const COUNTS: [&str; 5] = [
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "input_tokens_details",
    "output_tokens_details",
];

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

/// The answer in the form's own words, for a consumer who reads no others; `None` where it has them, and goes through as it came. What has
/// no word in the form stays as it is.
pub(super) fn renamed(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let object = Object::parse(text).ok()?;
    let data = object.get("data");
    let list = data.or_else(|| object.get("images"));
    let entries: Vec<&RawValue> = list.and_then(items)?;
    let entries: Option<Vec<Object<'_>>> = entries.into_iter().map(Object::from_raw).collect();
    let entries = entries?;
    let report = object.get("usage");
    let counts = report.and_then(Object::from_raw);
    let counts = counts.filter(|counts| counts.get("prompt_tokens").is_some());
    if data.is_some() && counts.is_none() && !entries.iter().any(is_foreign) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() + 256);
    let mut whole = ObjectWriter::new(&mut out);
    for (name, value) in &object.fields {
        match (&**name, &counts) {
            ("data", _) => write_entries(whole.key("data"), &entries),
            ("images", _) if data.is_none() => write_entries(whole.key("data"), &entries),
            ("usage", Some(counts)) => {
                let said = usage(report, entries.len() as u64);
                let mut told = ObjectWriter::new(whole.key("usage"));
                write_counts(&mut told, &said);
                let others = counts.fields.iter();
                for (name, value) in others.filter(|(name, _)| !COUNTS.contains(&&**name)) {
                    told.raw(name, value.get());
                }
                told.end();
            }
            _ => {
                whole.raw(name, value.get());
            }
        }
    }
    whole.end();
    Some(out)
}

/// An entry that calls the image itself `image`.
fn is_foreign(entry: &Object<'_>) -> bool {
    let told = |name: &str| {
        let raw = entry.get(name).map(RawValue::get);
        raw.is_some_and(|raw| !matches!(raw, "null" | "\"\""))
    };
    told("image") && !told("b64_json")
}

fn write_entries(out: &mut Vec<u8>, entries: &[Object<'_>]) {
    array(out, entries, |out, entry| {
        let foreign = is_foreign(entry);
        let mut one = ObjectWriter::new(out);
        for (name, value) in &entry.fields {
            match &**name {
                "image" if foreign => one.raw("b64_json", value.get()),
                // Empty, or it would be told.
                "b64_json" if foreign => &mut one,
                name => one.raw(name, value.get()),
            };
        }
        one.end();
    });
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
    let inner = |name: &str| report.get(name).and_then(Object::from_raw);
    let mut usage = Usage {
        input: report.count("input_tokens").unwrap_or_default(),
        output: report.count("output_tokens").unwrap_or_default(),
        ..Usage::default()
    };
    if let Some(details) = inner("input_tokens_details") {
        let cached = details.count("cached_tokens").unwrap_or_default();
        let images = details.count("image_tokens").unwrap_or_default();
        usage.set_inclusive_input(usage.input, cached, 0, 0);
        usage.set_input_image(images);
    }
    // Where no details are told, all of it is of the image (ImagesUsage).
    let images = match inner("output_tokens_details") {
        Some(details) => details.count("image_tokens").unwrap_or_default(),
        None => usage.output,
    };
    usage.set_output_image(images);
    let cost = report.get("cost").map(RawValue::get);
    let ticks = || Some(report.count("cost_in_usd_ticks")? / 10);
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
    object.object("usage", |report| write_counts(report, usage));
}

fn write_counts(report: &mut ObjectWriter<'_>, usage: &Usage) {
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
}
