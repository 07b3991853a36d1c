//! Google's `generateContent` with images in the answer (GenerationConfig and ImageConfig of its discovery document, 2026-08).

use super::predict::{filtered, lose, scaled};
use super::{ImageForm, broken, unsupported};
use crate::object::{Object, items, string};
use crate::writer::ObjectWriter;
use crate::{Rendered, gemini};
use bytes::Bytes;
use llmleaf_model::usage::Units;
use llmleaf_model::{Failure, Image, ImageRequest, ImageSource, Images, Loss};

const RATIOS: [&str; 14] = [
    "1:1", "1:4", "4:1", "1:8", "8:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9",
    "21:9",
];

/// Reasons to end by which an image is withheld.
const WITHHELD: [&str; 6] = [
    "SAFETY",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
];

pub(super) fn render(form: ImageForm, request: &ImageRequest) -> Result<Rendered, Failure> {
    if form == ImageForm::Variations {
        return Err(unsupported(
            "image",
            "the target wants to be told what to make of it",
        ));
    }
    if request.mask.is_some() {
        return Err(unsupported("mask", "the target takes none"));
    }
    let mut losses = Vec::new();
    if request.count.is_some_and(|count| count > 1) {
        let why = "the target makes one image a request";
        losses.push(Loss::altered("n", why));
    }
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    let contents = object.key("contents");
    contents.push(b'[');
    let mut content = ObjectWriter::new(contents);
    content.string("role", "user");
    let parts = content.key("parts");
    parts.push(b'[');
    for image in &request.images {
        let ImageSource::Base64(data, mime) = image else {
            let why = "the target takes images that come with the request";
            return Err(unsupported("images", why));
        };
        let mut part = ObjectWriter::new(parts);
        part.object("inlineData", |inline| {
            inline.string("mimeType", mime.as_deref().unwrap_or("image/png"));
            inline.string("data", data);
        });
        part.end();
        parts.push(b',');
    }
    let mut part = ObjectWriter::new(parts);
    part.string("text", &request.prompt);
    part.end();
    parts.push(b']');
    content.end();
    contents.push(b']');
    object.object("generationConfig", |config| {
        config.raw("responseModalities", r#"["TEXT","IMAGE"]"#);
        if let Some(seed) = request.rest.get("seed") {
            config.raw("seed", seed.as_str());
        }
        scaled(request, &RATIOS, &mut losses, |ratio, class| {
            config.object("imageConfig", |image| {
                image.string("aspectRatio", ratio);
                // Models of one size refuse the field.
                if class != "1K" {
                    image.string("imageSize", class);
                }
            });
        });
    });
    object.end();
    lose(request, &["seed"], &mut losses);
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

pub(super) fn parse(body: &[u8]) -> Result<Images, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let candidates = object.get("candidates").and_then(items).unwrap_or_default();
    let candidates: Vec<Object<'_>> = candidates
        .into_iter()
        .filter_map(Object::from_raw)
        .collect();
    let mut images = Vec::new();
    for candidate in &candidates {
        let content = candidate.get("content").and_then(Object::from_raw);
        let parts = content.and_then(|content| content.get("parts").and_then(items));
        let parts = parts.unwrap_or_default().into_iter();
        images.extend(
            parts
                .filter_map(Object::from_raw)
                .filter_map(|part| image(&part)),
        );
    }
    if images.is_empty() {
        return Err(none(&object, &candidates));
    }
    let report = object.get("usageMetadata");
    let mut usage = report
        .and_then(|raw| gemini::usage::parse(raw, 0))
        .unwrap_or_default();
    usage.units = Units {
        images: images.len() as u64,
        ..Units::default()
    };
    Ok(Images {
        images,
        usage: Some(usage),
        ..Images::default()
    })
}

/// The image of a part. Drafts of a thinking model are none.
fn image(part: &Object<'_>) -> Option<Image> {
    let thought = part.get("thought").is_some_and(|raw| raw.get() == "true");
    let inline = part.get("inlineData").or_else(|| part.get("inline_data"));
    let inline = Object::from_raw(inline.filter(|_| !thought)?)?;
    let mime = inline.get("mimeType").or_else(|| inline.get("mime_type"));
    let mime = mime.and_then(string).map(|mime| mime.into_owned());
    let data = inline.get("data").and_then(string)?.into_owned();
    Some(Image {
        source: ImageSource::Base64(data, mime),
        revised_prompt: None,
    })
}

/// Why there is no image.
fn none(object: &Object<'_>, candidates: &[Object<'_>]) -> Failure {
    let feedback = object.get("promptFeedback").and_then(Object::from_raw);
    let blocked = feedback.and_then(|feedback| feedback.get("blockReason").and_then(string));
    if let Some(reason) = blocked {
        return filtered(&reason);
    }
    let reasons = candidates
        .iter()
        .filter_map(|one| one.get("finishReason").and_then(string));
    match reasons
        .into_iter()
        .find(|reason| WITHHELD.contains(&&**reason))
    {
        Some(reason) => filtered(&reason),
        None => broken("the answer holds no image"),
    }
}
