//! OpenAI's form at another service that speaks it: the named edits.

use super::quirks::{References, Size};
use super::{ImageForm, Prepared, Quirks, form, size, unsupported};
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
    /// Names, and values in JSON.
    inserted: Vec<(&'static str, String)>,
    losses: Vec<Loss>,
}

impl Edits {
    fn remove(&mut self, name: &str) {
        self.removed.push(name.to_owned());
    }

    fn lose(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

pub(super) fn edit(
    form: ImageForm,
    (head, body): (&Head, &Bytes),
    request: &ImageRequest,
    (model, boundary): (&str, &str),
    quirks: &Quirks,
) -> Result<Prepared, Failure> {
    let text = head::checked(body)?;
    let mut edits = Edits::default();
    for name in quirks.unsupported.iter() {
        if head.field(text, name).is_some() {
            edits.remove(name);
            edits.lose(Loss::dropped(
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
    // JSON is no form of variations anywhere (OpenAI's document).
    let in_form = form == ImageForm::Variations
        || (form == ImageForm::Edits && quirks.references == References::Files);
    resize(request, quirks, &has, &mut edits);
    rename_base64(request, quirks, &mut edits);
    if form != ImageForm::Generations && !own && !in_form {
        refer(request, quirks, &has, &mut edits)?;
    }
    if request.stream && !quirks.streams {
        // The consumer gets the events that end a stream; nothing is lost but what comes on the way.
        edits.remove("stream");
        edits.remove("partial_images");
        if request.partial_images.is_some_and(|count| count > 0) {
            let why = "the target shows the finished image only";
            edits.lose(Loss::dropped("partial_images", why));
        }
    }
    if head.routes() && !quirks.routes {
        let wishes = head.fields().iter().filter(|field| field.is_wish(text));
        for field in wishes {
            let name = field.name(text);
            edits.lose(Loss::dropped(name, "the target does not route"));
            edits.remove(name);
        }
    }
    if in_form {
        return of_form(form, (head, text), request, (model, boundary), edits);
    }
    let rendered = apply(head, text, body, model, edits);
    Ok(Prepared {
        rendered,
        content_type: None,
    })
}

/// The same as a form, whose files are the images.
fn of_form(
    form: ImageForm,
    (head, text): (&Head, &str),
    request: &ImageRequest,
    (model, boundary): (&str, &str),
    edits: Edits,
) -> Result<Prepared, Failure> {
    const OWN: [&str; 4] = ["model", "image", "images", "mask"];
    let removed = |name: &str| edits.removed.iter().any(|gone| gone == name);
    let kept = head.fields().iter().filter_map(|field| {
        let name = field.name(text);
        let stays = !OWN.contains(&name) && !removed(name);
        stays.then_some((name, text.get(field.value.clone())?))
    });
    let inserted = edits.inserted.iter().map(|(name, json)| (*name, &**json));
    let mut fields = vec![("model".to_owned(), model.to_owned())];
    fields.extend(
        kept.chain(inserted)
            .flat_map(|(name, json)| form::fields(name, json)),
    );
    let body = form::write(form, request, &fields, boundary)?;
    Ok(Prepared {
        rendered: Rendered {
            body: Bytes::from(body),
            losses: edits.losses,
            usage_added: false,
        },
        content_type: Some(format!("multipart/form-data; boundary={boundary}")),
    })
}

fn apply(head: &Head, text: &str, body: &Bytes, model: &str, edits: Edits) -> Rendered {
    let Edits {
        removed,
        inserted,
        losses,
    } = edits;
    let mut put = String::new();
    for (name, json) in &inserted {
        for part in [&*quote(name), ":", json, ","] {
            put.push_str(part);
        }
    }
    let mut splices = Splices::new();
    let named = head
        .value(text, "model")
        .is_some_and(|value| value != "null");
    match head.field(text, "model") {
        Some(field) if !named || head.model != model => {
            splices.replace(field.value.clone(), quote(model));
        }
        Some(_) => {}
        None => put.push_str(&["\"model\":", &quote(model), ","].concat()),
    }
    for cut in head.cuts(|field| removed.iter().any(|name| field.is(text, name))) {
        splices.remove(cut);
    }
    if let (false, Some(at)) = (put.is_empty(), head.insertion()) {
        splices.insert(at, put);
    }
    edits::rendered(text, body, splices, losses)
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
    if asked == "auto" {
        return;
    }
    if own {
        let why = "the request says another one in the target's own way";
        edits.lose(Loss::dropped("size", why));
        return;
    }
    let Some(sides) = size::sides(asked) else {
        let why = "the target knows no such size";
        edits.lose(Loss::dropped("size", why));
        return;
    };
    if quirks.size == Size::Sides {
        edits.inserted.push(("width", sides.0.to_string()));
        edits.inserted.push(("height", sides.1.to_string()));
    } else if let Some((ratio, _)) = size::ratio(sides, &RATIOS) {
        edits.inserted.push(("aspect_ratio", quote(ratio)));
        let why = format!("the target takes the ratio {ratio}");
        edits.lose(Loss::approximated("size", why));
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
                    edits.lose(Loss::altered("response_format", why));
                }
            }
        }
        own if asked == Some("b64_json") => {
            edits.remove("response_format");
            edits.inserted.push(("response_format", quote(own)));
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
    edits.inserted.push((name, json));
    Ok(())
}
