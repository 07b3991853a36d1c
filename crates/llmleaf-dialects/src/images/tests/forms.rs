//! Forms as JSON, and JSON as forms.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const FILES: ImageWire = ImageWire::OpenAi(Quirks {
    references: References::Files,
    ..Quirks::PLAIN
});

fn part(head: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    [head.as_bytes(), data, b"\r\n"].concat()
}

fn file(name: &str, mime: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("name=\"{name}\"; filename=\"x\"\r\nContent-Type: {mime}");
    part(&head, data)
}

/// What a form says, taken in pieces of that size.
fn read_by(size: usize, body: &[u8]) -> Result<Value, Failure> {
    let mut reader = FormReader::new("b", Some(body.len()));
    for piece in body.chunks(size) {
        reader.push(piece)?;
    }
    Ok(serde_json::from_slice(&reader.finish()?).expect("json"))
}

fn whole(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--b--\r\n".to_vec()].concat()
}

#[test]
fn a_form_is_said_in_json_however_it_comes() {
    let webp = b"RIFF\0\0\0\0WEBPVP8 and more";
    let uri = |mime: &str, data: &[u8]| format!("data:{mime};base64,{}", STANDARD.encode(data));
    let body = whole(&[
        part("name=\"model\"", b"m"),
        file("image[]", "image/webp", b"abc"),
        part("name=\"prompt\"", b"a\r\nb \"c\""),
        part("name=\"n\"", b"2"),
        part("name=\"user\"", b"7"),
        file("mask", "image/png", b"f"),
        file("image[1]", "application/octet-stream", webp),
        part("name=\"stream\"", b"true"),
        file(
            "image",
            "application/octet-stream",
            b"\xff\xd8\xff\xe0 a photograph",
        ),
    ]);
    let images = json!([
        {"image_url": uri("image/webp", b"abc")},
        {"image_url": uri("image/webp", webp)},
        {"image_url": uri("image/jpeg", b"\xff\xd8\xff\xe0 a photograph")},
    ]);
    let mask = json!({"image_url": uri("image/png", b"f")});
    let expected = json!({"model": "m", "prompt": "a\r\nb \"c\"", "n": 2, "user": "7", "stream": true, "mask": mask, "images": images});
    for size in [1, 2, 3, 7, 64, body.len()] {
        assert_eq!(read_by(size, &body).expect("a form"), expected, "{size}");
    }
}

#[test]
fn a_form_without_images_names_none() {
    let body = whole(&[part("name=\"prompt\"", b"a")]);
    assert_eq!(read_by(9, &body).expect("a form"), json!({"prompt": "a"}));
    assert_eq!(read_by(9, b"--b--\r\n").expect("a form"), json!({}));
    // A browser's field of a file that was not chosen.
    let head = "name=\"image\"; filename=\"\"\r\nContent-Type: application/octet-stream";
    let body = whole(&[part(head, b""), part("name=\"prompt\"", b"a")]);
    assert_eq!(read_by(9, &body).expect("a form"), json!({"prompt": "a"}));
    // Where an image lies.
    let body = whole(&[part("name=\"image\"", b"https://x/y.png")]);
    let expected = json!({"images": ["https://x/y.png"]});
    assert_eq!(read_by(9, &body).expect("a form"), expected);
}

#[test]
fn what_is_no_form_is_the_consumers_fault() {
    let fine = whole(&[part("name=\"prompt\"", b"a")]);
    let twice = whole(&[part("name=\"n\"", b"1"), part("name=\"n\"", b"1")]);
    let nameless = whole(&[part("filename=\"x\"", b"a")]);
    let latin = whole(&[part("name=\"prompt\"", b"\xff")]);
    for broken in [
        &b""[..],
        b"--b",
        b"--b--x\r\n--c",
        fine.get(..fine.len() - 6).expect("a beginning"),
        &twice,
        &nameless,
        &latin,
        b"--b\r\nx\r\n--b--",
        b"--bb\r\n\r\n\r\n--b--",
    ] {
        let failure = read_by(5, broken).expect_err("no form");
        assert_eq!(failure.kind, FailureKind::InvalidRequest, "{broken:?}");
    }
}

fn formed(wire: &ImageWire, form: ImageForm, body: &Value) -> Result<(String, Vec<u8>), Failure> {
    let bytes = Bytes::from(body.to_string());
    let head = Head::read_or(&bytes, form.unnamed())?;
    let request = form.parse_request(std::str::from_utf8(&bytes).expect("text"), &head.model)?;
    let prepared = wire.prepare(form, (&head, &bytes), &request, ("theirs", "b"))?;
    let kind = prepared.content_type.unwrap_or_default();
    Ok((kind, prepared.rendered.body.to_vec()))
}

#[test]
fn services_that_take_forms_only_get_one() {
    let png = "data:image/png;base64,AAD/";
    let body = json!({
        "model": "m", "prompt": "a \"hat\"", "n": 2, "user": null, "stream": true, "tags": ["x", 1],
        "images": [{"image_url": png}, {"image_url": "data:image/webp;base64,UklG"}], "mask": {"image_url": png}
    });
    let (kind, sent) = formed(&FILES, ImageForm::Edits, &body).expect("a form");
    assert_eq!(kind, "multipart/form-data; boundary=b");
    let named = |name: &str, mime: &str, data: &[u8]| {
        let ending = mime.trim_start_matches("image/");
        let head = format!("name=\"{name}\"; filename=\"image.{ending}\"\r\nContent-Type: {mime}");
        part(&head, data)
    };
    let mut parts = vec![part("name=\"model\"", b"theirs")];
    // In the order of the body; it does not stream.
    let mut fields = vec![
        ("n", &b"2"[..]),
        ("prompt", b"a \"hat\""),
        ("tags[]", b"x"),
        ("tags[]", b"1"),
    ];
    fields.sort_by_key(|(name, _)| *name);
    for (name, value) in fields {
        parts.push(part(&format!("name=\"{name}\""), value));
    }
    parts.push(named("image[]", "image/png", b"\0\0\xff"));
    parts.push(named("image[]", "image/webp", b"RIF"));
    parts.push(named("mask", "image/png", b"\0\0\xff"));
    assert_eq!(
        String::from_utf8_lossy(&sent),
        String::from_utf8_lossy(&whole(&parts))
    );
    // What it was made of comes back out of it.
    let read = read_by(16, &sent).expect_err("`tags[]` stands twice");
    assert_eq!(read.param.as_deref(), Some("tags[]"));
    let one = json!({"prompt": "a", "image": png});
    let (_, sent) = formed(&FILES, ImageForm::Edits, &one).expect("a form");
    let expected = json!({"model": "theirs", "prompt": "a", "images": [{"image_url": png}]});
    assert_eq!(read_by(16, &sent).expect("a form"), expected);
    // A text alone is JSON for everybody.
    let (kind, _) = formed(&FILES, ImageForm::Generations, &json!({"prompt": "a"})).expect("sent");
    assert_eq!(kind, "");
}

#[test]
fn variations_are_a_form_for_every_service_and_files_must_come_along() {
    let body = json!({"image": "data:image/png;base64,AAD/", "n": 2, "size": "256x256"});
    for wire in [OPENAI, FILES] {
        let (kind, sent) = formed(&wire, ImageForm::Variations, &body).expect("a form");
        assert_eq!(kind, "multipart/form-data; boundary=b");
        let expected = json!({"model": "theirs", "n": 2, "size": "256x256", "images": [{"image_url": "data:image/png;base64,AAD/"}]});
        assert_eq!(read_by(16, &sent).expect("a form"), expected);
    }
    for (image, kind) in [
        (json!("https://x/y.png"), FailureKind::Unsupported),
        (json!({"file_id": "f"}), FailureKind::Unsupported),
        (
            json!("data:image/png;base64,A*=="),
            FailureKind::InvalidRequest,
        ),
    ] {
        let body = json!({"prompt": "a", "image": image});
        let failure = formed(&FILES, ImageForm::Edits, &body).expect_err("no file");
        assert_eq!(failure.kind, kind, "{body}");
    }
}
