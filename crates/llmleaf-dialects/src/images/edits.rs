//! OpenAI's form at another service that speaks it: the named edits.

use super::quirks::{References, Size};
use super::{ImageForm, Quirks, size, unsupported};
use crate::object::{Object, items};
use crate::splice::{Splices, quote};
use crate::writer::{ObjectWriter, array};
use crate::{Head, Rendered, edits, head};
use bytes::Bytes;
use llmleaf_model::{Failure, ImageRequest, ImageSource, Loss};
use serde_json::value::RawValue;

/// The ratios that are known by `aspect_ratio` (docs.x.ai, image generation, read 2026-11).
const RATIOS: [&str; 13] = [
    "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2", "19.5:9", "9:19.5", "20:9",
    "9:20",
];

/// What is taken out of a body, and what is put in.
#[derive(Default)]
struct Edits {
    removed: Vec<String>,
    inserted: String,
    losses: Vec<Loss>,
}

impl Edits {
    fn remove(&mut self, name: &str) {
        self.removed.push(name.to_owned());
    }

    fn insert(&mut self, name: &str, json: &str) {
        for part in [&*quote(name), ":", json, ","] {
            self.inserted.push_str(part);
        }
    }
}

pub(super) fn edit(
    form: ImageForm,
    head: &Head,
    body: &Bytes,
    request: &ImageRequest,
    model: &str,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut edits = Edits::default();
    for name in quirks.unsupported.iter() {
        if head.field(text, name).is_some() {
            edits.remove(name);
            edits.losses.push(Loss::dropped(
                &**name,
                "the provider does not know this field",
            ));
        }
    }
    let has = |name: &str| head.field(text, name).is_some();
    let own = is_own(
        head.value(text, "images").unwrap_or_default(),
        quirks.references,
    );
    resize(request, quirks, &has, &mut edits);
    rename_base64(request, quirks, &mut edits);
    if form != ImageForm::Generations && !own {
        refer(request, quirks, &has, &mut edits)?;
    }
    if request.stream && !quirks.streams {
        // The consumer gets the events that end a stream; nothing is lost but what comes on the way.
        edits.remove("stream");
        edits.remove("partial_images");
        if request.partial_images.is_some_and(|count| count > 0) {
            let why = "the target shows the finished image only";
            edits.losses.push(Loss::dropped("partial_images", why));
        }
    }
    apply(head, text, body, model, quirks, edits)
}

fn apply(
    head: &Head,
    text: &str,
    body: &Bytes,
    model: &str,
    quirks: &Quirks,
    edits: Edits,
) -> Result<Rendered, Failure> {
    let Edits {
        mut removed,
        mut inserted,
        mut losses,
    } = edits;
    let mut splices = Splices::new();
    let named = head
        .value(text, "model")
        .is_some_and(|value| value != "null");
    match head.field(text, "model") {
        Some(field) if !named || head.model != model => {
            splices.replace(field.value.clone(), quote(model));
        }
        Some(_) => {}
        None => inserted.push_str(&["\"model\":", &quote(model), ","].concat()),
    }
    if head.routes() && !quirks.routes {
        let wishes = head.fields().iter().filter(|field| field.is_wish(text));
        for field in wishes {
            let name = field.name(text);
            losses.push(Loss::dropped(name, "the target does not route"));
            removed.push(name.to_owned());
        }
    }
    for cut in head.cuts(|field| removed.iter().any(|name| field.is(text, name))) {
        splices.remove(cut);
    }
    if let (false, Some(at)) = (inserted.is_empty(), head.insertion()) {
        splices.insert(at, inserted);
    }
    Ok(edits::rendered(text, body, splices, losses))
}

/// The size in the service's way. What is there in that way already stays, and comes first.
fn resize(request: &ImageRequest, quirks: &Quirks, has: &dyn Fn(&str) -> bool, edits: &mut Edits) {
    let Some(asked) = request
        .size
        .as_deref()
        .filter(|_| quirks.size != Size::Text)
    else {
        return;
    };
    edits.remove("size");
    let own = match quirks.size {
        Size::Sides => has("width") || has("height"),
        Size::Ratio | Size::Text => has("aspect_ratio"),
    };
    if own || asked == "auto" {
        return;
    }
    let Some(sides) = size::sides(asked) else {
        let why = "the target knows no such size";
        edits.losses.push(Loss::dropped("size", why));
        return;
    };
    if quirks.size == Size::Sides {
        edits.insert("width", &sides.0.to_string());
        edits.insert("height", &sides.1.to_string());
    } else if let Some((ratio, _)) = size::ratio(sides, &RATIOS) {
        edits.insert("aspect_ratio", &quote(ratio));
        let why = format!("the target takes the ratio {ratio}");
        edits.losses.push(Loss::approximated("size", why));
    }
}

fn rename_base64(request: &ImageRequest, quirks: &Quirks, edits: &mut Edits) {
    let asked = request.told_as.as_deref();
    match &*quirks.base64 {
        "b64_json" => {}
        "" => {
            if let Some(asked) = asked {
                edits.remove("response_format");
                if asked != "b64_json" {
                    let why = "the target tells images in base64";
                    edits.losses.push(Loss::altered("response_format", why));
                }
            }
        }
        own if asked == Some("b64_json") => {
            edits.remove("response_format");
            edits.insert("response_format", &quote(own));
        }
        _ => {}
    }
}

/// Whether a list of images is written in the service's way already.
fn is_own(list: &str, references: References) -> bool {
    let raw = serde_json::from_str::<&RawValue>(list).ok();
    let list = raw.and_then(items).unwrap_or_default();
    let typed = |raw: &&RawValue| Object::from_raw(raw).is_some_and(|one| one.get("url").is_some());
    references == References::Typed && !list.is_empty() && list.iter().all(typed)
}

/// The images to go on from, in the service's way.
fn refer(
    request: &ImageRequest,
    quirks: &Quirks,
    has: &dyn Fn(&str) -> bool,
    edits: &mut Edits,
) -> Result<(), Failure> {
    if quirks.references == References::ImageUrl {
        return Ok(());
    }
    if request.mask.is_some() {
        return Err(unsupported("mask", "the target takes none"));
    }
    let mut out = Vec::new();
    let mut urls = Vec::with_capacity(request.images.len());
    for image in &request.images {
        urls.push(match image {
            ImageSource::Url(url) => url.clone(),
            ImageSource::Base64(data, mime) => {
                let mime = mime.as_deref().unwrap_or("image/png");
                ["data:", mime, ";base64,", data].concat()
            }
            ImageSource::Opaque(_) => {
                let why = "the target cannot know another service's files";
                return Err(unsupported("images", why));
            }
        });
    }
    let typed = quirks.references == References::Typed;
    array(&mut out, &urls, |out, url| {
        let mut image = ObjectWriter::new(out);
        image.string("type", "image_url");
        match typed {
            true => image.string("url", url),
            false => image.object("image_url", |inner| {
                inner.string("url", url);
            }),
        };
        image.end();
    });
    let (name, json) = (
        if typed { "images" } else { "input_references" },
        String::from_utf8(out).unwrap_or_default(),
    );
    for old in ["image", "images"].into_iter().filter(|old| has(old)) {
        edits.remove(old);
    }
    edits.insert(name, &json);
    Ok(())
}
