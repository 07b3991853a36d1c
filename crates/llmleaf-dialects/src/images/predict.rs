//! Google's `predict` for its Imagen models ("Imagen API", cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api, read
//! 2026-11; the Gemini API has the same method).

use super::{ImageForm, broken, size, unsupported};
use crate::Rendered;
use crate::object::{Object, items, string};
use crate::writer::ObjectWriter;
use bytes::Bytes;
use llmleaf_model::usage::Units;
use llmleaf_model::{
    Failure, FailureKind, Image, ImageRequest, ImageSource, Images, Loss, Origin, Usage,
};

/// Ratios of Imagen 3 and 4.
const RATIOS: [&str; 5] = ["1:1", "3:4", "4:3", "9:16", "16:9"];

pub(super) fn render(form: ImageForm, request: &ImageRequest) -> Result<Rendered, Failure> {
    if form != ImageForm::Generations {
        return Err(unsupported(
            "images",
            "the target makes images of texts only",
        ));
    }
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    let instances = object.key("instances");
    instances.push(b'[');
    let mut instance = ObjectWriter::new(instances);
    instance.string("prompt", &request.prompt);
    instance.end();
    instances.push(b']');
    object.object("parameters", |parameters| {
        // Left out, it is four.
        parameters.number("sampleCount", request.count.unwrap_or(1));
        scaled(request, &RATIOS, &mut losses, |ratio, class| {
            parameters.string("aspectRatio", ratio);
            if class != "1K" {
                parameters.string("sampleImageSize", class);
            }
        });
        for (name, own) in [("seed", "seed"), ("negative_prompt", "negativePrompt")] {
            if let Some(value) = request.rest.get(name) {
                parameters.raw(own, value.as_str());
            }
        }
        format(request, parameters, &mut losses);
    });
    object.end();
    let known = [
        "seed",
        "negative_prompt",
        "output_format",
        "output_compression",
    ];
    lose(request, &known, &mut losses);
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

fn format(request: &ImageRequest, parameters: &mut ObjectWriter<'_>, losses: &mut Vec<Loss>) {
    let format = request
        .rest
        .get("output_format")
        .and_then(|json| string(json.raw()));
    let quality = request.rest.get("output_compression");
    let mime = match format.as_deref() {
        Some("jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some(_) => {
            let why = "the target makes png and jpeg";
            return losses.push(Loss::dropped("output_format", why));
        }
        None => return,
    };
    parameters.object("outputOptions", |options| {
        options.string("mimeType", mime);
        if let Some(quality) = quality.filter(|_| mime == "image/jpeg") {
            options.raw("compressionQuality", quality.as_str());
        }
    });
}

/// Tells the size as the nearest of the ratios, and a class.
pub(super) fn scaled(
    request: &ImageRequest,
    ratios: &[&str],
    losses: &mut Vec<Loss>,
    tell: impl FnOnce(&str, &str),
) {
    let Some(asked) = request.size.as_deref().filter(|size| *size != "auto") else {
        return;
    };
    let known = size::sides(asked).and_then(|sides| Some((sides, size::ratio(sides, ratios)?)));
    let Some((sides, (ratio, _))) = known else {
        return losses.push(Loss::dropped("size", "the target knows no such size"));
    };
    let class = size::class(sides);
    tell(ratio, class);
    if !size::is_exact(sides) {
        let why = format!("the target takes a ratio and a class: {ratio}, {class}");
        losses.push(Loss::approximated("size", why));
    }
}

/// Names what is asked beside that. What leaves the choice to the service is no loss.
pub(super) fn lose(request: &ImageRequest, known: &[&str], losses: &mut Vec<Loss>) {
    const WHY: &str = "the target has no such field";
    if request
        .told_as
        .as_deref()
        .is_some_and(|form| form != "b64_json")
    {
        let why = "the target tells images in base64";
        losses.push(Loss::altered("response_format", why));
    }
    if request.stream && request.partial_images.is_some_and(|count| count > 0) {
        let why = "the target shows the finished image only";
        losses.push(Loss::dropped("partial_images", why));
    }
    let idle = |json: &str| matches!(json, "\"auto\"" | "null" | "\"standard\"");
    let rest = request.rest.iter();
    let gone = rest.filter(|(name, json)| !known.contains(name) && !idle(json.as_str()));
    losses.extend(gone.map(|(name, _)| Loss::dropped(name, WHY)));
}

pub(super) fn parse(body: &[u8]) -> Result<Images, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let list = object
        .get("predictions")
        .and_then(items)
        .unwrap_or_default();
    let mut images = Vec::with_capacity(list.len());
    let mut refused = None;
    for entry in list.into_iter().filter_map(Object::from_raw) {
        let word = |name: &str| Some(entry.get(name).and_then(string)?.into_owned());
        match word("bytesBase64Encoded") {
            Some(data) => images.push(Image {
                source: ImageSource::Base64(data, word("mimeType")),
                revised_prompt: word("prompt"),
            }),
            None => refused = refused.or_else(|| word("raiFilteredReason")),
        }
    }
    if images.is_empty() {
        // All filtered: the list is empty, or says why.
        return Err(filtered(
            refused.as_deref().unwrap_or("no image passed its filters"),
        ));
    }
    let units = Units {
        images: images.len() as u64,
        ..Units::default()
    };
    Ok(Images {
        usage: Some(Usage {
            units,
            ..Usage::default()
        }),
        images,
        ..Images::default()
    })
}

/// The service made none, by its policy.
pub(super) fn filtered(why: &str) -> Failure {
    let why = format!("the provider made no image: {why}");
    Failure::new(Origin::Consumer, FailureKind::ContentPolicy, why)
}
