//! A consumer's request.

use super::ImageForm;
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use llmleaf_model::{DialectName, Failure, ImageRequest, ImageSource, Json};
use serde_json::value::RawValue;

pub(super) fn parse(form: ImageForm, body: &str, model: &str) -> Result<ImageRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let prompt = match form {
        ImageForm::Variations => top.string("prompt")?.unwrap_or_default(),
        ImageForm::Generations | ImageForm::Edits => top.required("prompt")?,
    };
    let mut images = Vec::new();
    if form != ImageForm::Generations {
        let list = top
            .raw("images")
            .map(|raw| items(raw).unwrap_or_else(|| vec![raw]));
        let list = list.or_else(|| Some(vec![top.raw("image")?]));
        let list = list.filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| top.missing("images"))?;
        let each = list.into_iter().enumerate();
        let each = each.map(|(at, raw)| {
            source(raw).ok_or_else(|| wrong(&format!("images[{at}]"), "an image reference"))
        });
        images = each.collect::<Result<_, _>>()?;
    }
    let mask = match top.raw("mask") {
        Some(raw) => Some(source(raw).ok_or_else(|| wrong("mask", "an image reference"))?),
        None => None,
    };
    Ok(ImageRequest {
        dialect: DialectName::ChatCompletions,
        model: model.to_owned(),
        prompt,
        images,
        mask,
        count: top.integer("n")?,
        size: top.string("size")?,
        told_as: top.string("response_format")?,
        stream: top.bool("stream")?.unwrap_or_default(),
        partial_images: top.integer("partial_images")?,
        rest: top.into_rest(),
    })
}

/// An image by its address, or by a file's id; services differ in how they write it.
fn source(raw: &RawValue) -> Option<ImageSource> {
    if let Some(text) = string(raw) {
        return Some(of_url(&text));
    }
    let object = Object::from_raw(raw)?;
    let url = object.get("image_url").or_else(|| object.get("url"));
    let Some(url) = url else {
        return Some(ImageSource::Opaque(Json::from(raw)));
    };
    match Object::from_raw(url) {
        Some(inner) => Some(of_url(&string(inner.get("url")?)?)),
        None => Some(of_url(&string(url)?)),
    }
}

fn of_url(url: &str) -> ImageSource {
    let data = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','));
    match data.and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data))) {
        Some((mime, data)) => {
            let mime = Some(mime.to_owned()).filter(|mime| !mime.is_empty());
            ImageSource::Base64(data.to_owned(), mime)
        }
        None => ImageSource::Url(url.to_owned()),
    }
}
