//! Media parts, written.

use super::super::json::ObjectWriter;
use super::super::rendering::{Rendering, join};
use super::audio_format;
use llmleaf_model::{Media, MediaKind, MediaSource, Part};

/// Writes a medium as a part; false where nothing was written (and the loss is told).
pub(in super::super) fn write_media(
    rendering: &mut Rendering<'_>,
    media: &Media,
    part: &Part,
    path: &str,
    out: &mut Vec<u8>,
) -> bool {
    let mut one = Vec::new();
    let written = match media.kind {
        MediaKind::Image => image(rendering, media, part, path, &mut one),
        MediaKind::Audio => audio(rendering, media, part, path, &mut one),
        MediaKind::Video => video(rendering, media, part, path, &mut one),
        MediaKind::Document | MediaKind::File => file(rendering, media, part, path, &mut one),
    };
    if !written {
        let kind = media.kind.as_str();
        rendering.dropped(
            path,
            ["the service takes no ", kind, " of this form"].concat(),
        );
        return false;
    }
    lose_beside(rendering, media, path);
    out.append(&mut one);
    true
}

/// Tells what a document says beside its content and this wire has no place for.
pub(in super::super) fn lose_beside(rendering: &mut Rendering<'_>, media: &Media, path: &str) {
    let as_text = matches!(media.source, MediaSource::Text(_) | MediaSource::Parts(_));
    if as_text && media.name.as_deref().is_some_and(|name| !name.is_empty()) {
        rendering.dropped(&join(path, "title"), "text has no title");
    }
    if media.context.is_some() {
        rendering.dropped(&join(path, "context"), "the wire has no place for it");
    }
    if media.citations == Some(true) {
        rendering.dropped(
            &join(path, "citations"),
            "the wire has no citations into documents",
        );
    }
}

/// The address of a medium, inline data as a data URL.
fn address(rendering: &mut Rendering<'_>, media: &Media, path: &str) -> Option<String> {
    match &media.source {
        MediaSource::Url(url) => Some(url.clone()),
        MediaSource::Base64(data) => {
            let mime = media.mime.as_deref().unwrap_or_else(|| {
                // Data needs a type in its address; services look at the bytes in the end.
                rendering.approximated(path, "the type of the data is not known");
                match media.kind {
                    MediaKind::Image => "image/png",
                    MediaKind::Video => "video/mp4",
                    _ => "application/octet-stream",
                }
            });
            Some(["data:", mime, ";base64,", data].concat())
        }
        _ => None,
    }
}

fn close(
    rendering: &mut Rendering<'_>,
    mut object: ObjectWriter<'_>,
    key: &str,
    part: &Part,
    path: &str,
) {
    rendering.cache(&mut object, part.cache.as_ref(), path);
    rendering.rest(&mut object, &part.rest, Some(key), path);
    object.end();
}

fn url_object(
    rendering: &mut Rendering<'_>,
    key: &str,
    url: &str,
    (media, part): (&Media, &Part),
    path: &str,
    out: &mut Vec<u8>,
) {
    let mut object = ObjectWriter::begin(out);
    object.string("type", key);
    let mut inner = ObjectWriter::begin(object.key(key));
    inner.string("url", url);
    inner.string_if("detail", media.detail.as_deref());
    rendering.inner_rest(&mut inner, &part.rest, key);
    inner.end();
    close(rendering, object, key, part, path);
}

fn image(
    rendering: &mut Rendering<'_>,
    media: &Media,
    part: &Part,
    path: &str,
    out: &mut Vec<u8>,
) -> bool {
    if matches!(media.source, MediaSource::FileId(_)) && rendering.quirks.request.files {
        rendering.approximated(path, "an image by file id goes as a file");
        return file(rendering, media, part, path, out);
    }
    let Some(url) = address(rendering, media, path) else {
        return false;
    };
    url_object(rendering, "image_url", &url, (media, part), path, out);
    true
}

fn video(
    rendering: &mut Rendering<'_>,
    media: &Media,
    part: &Part,
    path: &str,
    out: &mut Vec<u8>,
) -> bool {
    // Not in the reference; where a consumer of this wire writes it, the service is meant to know it.
    if !rendering.quirks.request.extended && !rendering.own() {
        return false;
    }
    let Some(url) = address(rendering, media, path) else {
        return false;
    };
    url_object(rendering, "video_url", &url, (media, part), path, out);
    true
}

fn audio(
    rendering: &mut Rendering<'_>,
    media: &Media,
    part: &Part,
    path: &str,
    out: &mut Vec<u8>,
) -> bool {
    const KEY: &str = "input_audio";
    let url = matches!(media.source, MediaSource::Url(_)) && rendering.own();
    let (MediaSource::Base64(text) | MediaSource::Url(text)) = &media.source else {
        return false;
    };
    if !url && matches!(media.source, MediaSource::Url(_)) {
        return false;
    }
    let mut object = ObjectWriter::begin(out);
    object.string("type", KEY);
    if url {
        object.string(KEY, text);
    } else {
        let mut inner = ObjectWriter::begin(object.key(KEY));
        inner.string("data", text);
        inner.string_if("format", media.mime.as_deref().map(audio_format));
        rendering.inner_rest(&mut inner, &part.rest, KEY);
        inner.end();
    }
    close(rendering, object, KEY, part, path);
    true
}

fn file(
    rendering: &mut Rendering<'_>,
    media: &Media,
    part: &Part,
    path: &str,
    out: &mut Vec<u8>,
) -> bool {
    const KEY: &str = "file";
    let (key, value) = match &media.source {
        MediaSource::Text(text) => {
            rendering.approximated(path, "a text document goes as text");
            let mut object = ObjectWriter::begin(out);
            object.string("type", "text");
            object.string("text", text);
            close(rendering, object, KEY, part, path);
            return true;
        }
        _ if !rendering.quirks.request.files => return false,
        MediaSource::FileId(id) => ("file_id", id.clone()),
        // The reference takes data only; a router fetches addresses.
        MediaSource::Url(_) if !rendering.quirks.request.extended && !rendering.own() => {
            return false;
        }
        MediaSource::Base64(data) if media.mime.is_none() => ("file_data", data.clone()),
        MediaSource::Url(_) | MediaSource::Base64(_) => match address(rendering, media, path) {
            Some(url) => ("file_data", url),
            None => return false,
        },
        MediaSource::Parts(_) => return false,
    };
    let mut object = ObjectWriter::begin(out);
    object.string("type", KEY);
    let mut inner = ObjectWriter::begin(object.key(KEY));
    inner.string(key, &value);
    match &media.name {
        Some(name) => inner.string("filename", name),
        // The reference refuses data without a name.
        None if key == "file_data" && !rendering.own() => {
            inner.string("filename", default_name(media))
        }
        None => {}
    }
    rendering.inner_rest(&mut inner, &part.rest, KEY);
    inner.end();
    close(rendering, object, KEY, part, path);
    true
}

fn default_name(media: &Media) -> &'static str {
    match media.mime.as_deref() {
        Some("application/pdf") => "document.pdf",
        _ => "document",
    }
}
