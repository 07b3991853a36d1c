use super::quirks::{References, Size};
use super::*;
use crate::Frame;
use llmleaf_model::{Event, ImageSource, Usage};
use serde_json::{Value, json};

mod forms;

const OPENAI: ImageWire = ImageWire::OpenAi(Quirks::REFERENCE);
const SIDES: ImageWire = ImageWire::OpenAi(Quirks {
    size: Size::Sides,
    base64: std::borrow::Cow::Borrowed("base64"),
    ..Quirks::PLAIN
});
const TYPED: ImageWire = ImageWire::OpenAi(Quirks {
    size: Size::Ratio,
    references: References::Typed,
    ..Quirks::PLAIN
});
const PARTS: ImageWire = ImageWire::OpenAi(Quirks {
    references: References::Parts,
    base64: std::borrow::Cow::Borrowed(""),
    routes: true,
    ..Quirks::REFERENCE
});

fn sent(wire: &ImageWire, form: ImageForm, body: &str) -> Result<(String, Vec<String>), Failure> {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read_or(&bytes, form.unnamed())?;
    let request = form.parse_request(body, &head.model)?;
    let rendered = wire.prepare(form, (&head, &bytes), &request, ("theirs", "b"))?;
    let rendered = rendered.rendered;
    let lost = rendered
        .losses
        .iter()
        .map(|loss| loss.field.clone())
        .collect();
    Ok((
        String::from_utf8(rendered.body.to_vec()).expect("text"),
        lost,
    ))
}

fn tree(wire: &ImageWire, form: ImageForm, body: &Value) -> (Value, Vec<String>) {
    let (text, lost) = sent(wire, form, &body.to_string()).expect("rendered");
    (serde_json::from_str(&text).expect("json"), lost)
}

#[test]
fn a_body_keeps_its_bytes_but_for_the_model() {
    for (body, expected) in [
        (
            r#"{ "prompt":"a", "model" : "ours","n":2,"x":1.50}"#,
            r#"{ "prompt":"a", "model" : "theirs","n":2,"x":1.50}"#,
        ),
        (
            r#"{"prompt":"a","stream":true,"partial_images":2}"#,
            r#"{"model":"theirs","prompt":"a","stream":true,"partial_images":2}"#,
        ),
        (
            r#"{"model":null,"prompt":"a"}"#,
            r#"{"model":"theirs","prompt":"a"}"#,
        ),
        (
            r#"{"provider":{"only":["x"]},"prompt":"a"}"#,
            r#"{"model":"theirs","prompt":"a"}"#,
        ),
    ] {
        assert_eq!(
            sent(&OPENAI, ImageForm::Generations, body).expect(body).0,
            expected
        );
    }
    let edit = r#"{"model":"theirs","images":[{"image_url":"https://x/y.png"},{"file_id":"f"}],"prompt":"a"}"#;
    assert_eq!(sent(&OPENAI, ImageForm::Edits, edit).expect("sent").0, edit);
    for (form, body, field) in [
        (ImageForm::Generations, "{}", "prompt"),
        (ImageForm::Generations, r#"{"prompt":3}"#, "prompt"),
        (ImageForm::Generations, r#"{"prompt":"a","n":"b"}"#, "n"),
        (ImageForm::Edits, r#"{"prompt":"a"}"#, "images"),
        (
            ImageForm::Edits,
            r#"{"prompt":"a","images":[3]}"#,
            "images[0]",
        ),
    ] {
        let failure = sent(&OPENAI, form, body).expect_err(body);
        assert_eq!(failure.param.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn services_of_the_form_get_their_own_words() {
    let asked = json!({"model": "m", "prompt": "a", "size": "1024x512", "response_format": "b64_json", "stream": true, "partial_images": 2});
    let (body, lost) = tree(&SIDES, ImageForm::Generations, &asked);
    let expected = json!({"model": "theirs", "prompt": "a", "width": 1024, "height": 512, "response_format": "base64"});
    assert_eq!((body, lost), (expected, vec!["partial_images".to_owned()]));
    let own = json!({"model": "m", "prompt": "a", "width": 8, "response_format": "url"});
    let (body, lost) = tree(&SIDES, ImageForm::Generations, &own);
    assert_eq!(
        body,
        json!({"model": "theirs", "prompt": "a", "width": 8, "response_format": "url"})
    );
    assert!(lost.is_empty());
    let (body, lost) = tree(
        &TYPED,
        ImageForm::Generations,
        &json!({"prompt": "a", "size": "1536x1024"}),
    );
    assert_eq!(
        (body, lost),
        (
            json!({"model": "theirs", "prompt": "a", "aspect_ratio": "3:2"}),
            vec!["size".to_owned()]
        )
    );
    let both = json!({"prompt": "a", "size": "1536x1024", "aspect_ratio": "1:1"});
    let (body, lost) = tree(&TYPED, ImageForm::Generations, &both);
    assert_eq!(
        (body, lost),
        (
            json!({"model": "theirs", "prompt": "a", "aspect_ratio": "1:1"}),
            vec!["size".to_owned()]
        )
    );
    let edit = json!({"prompt": "a", "images": [{"image_url": "data:image/webp;base64,AAAA"}]});
    let (body, _) = tree(&TYPED, ImageForm::Edits, &edit);
    assert_eq!(
        body["images"],
        json!([{"type": "image_url", "url": "data:image/webp;base64,AAAA"}])
    );
    let typed =
        r#"{"model":"theirs","prompt":"a","images":[{"type":"image_url","url":"https://x"}]}"#;
    assert_eq!(
        sent(&TYPED, ImageForm::Edits, typed).expect("sent").0,
        typed
    );
    let (body, lost) = tree(
        &PARTS,
        ImageForm::Edits,
        &json!({"prompt": "a", "image": {"url": "https://x"}, "response_format": "url", "provider": {"only": ["x"]}}),
    );
    let parts = json!([{"type": "image_url", "image_url": {"url": "https://x"}}]);
    assert_eq!(
        body,
        json!({"model": "theirs", "prompt": "a", "input_references": parts, "provider": {"only": ["x"]}})
    );
    assert_eq!(lost, ["response_format"]);
    let masked = r#"{"prompt":"a","images":[{"file_id":"f"}]}"#;
    let failure = sent(&TYPED, ImageForm::Edits, masked).expect_err("a file");
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
}

#[test]
fn a_size_is_of_the_class_of_its_area() {
    for (sides, class) in [
        ((1024, 1024), "1K"),
        ((1792, 1024), "1K"),
        ((512, 4096), "1K"),
        ((2048, 1152), "2K"),
        ((2048, 2048), "2K"),
        ((3072, 1024), "2K"),
        ((3840, 2160), "4K"),
        ((4096, 4096), "4K"),
    ] {
        assert_eq!(size::class(sides), class, "{sides:?}");
    }
}

#[test]
fn googles_methods_are_rendered() {
    let asked = json!({"prompt": "a", "n": 2, "size": "2048x1152", "quality": "hd", "user": "u", "output_format": "jpeg", "seed": 7, "background": "auto"});
    let (body, lost) = tree(&ImageWire::Predict, ImageForm::Generations, &asked);
    let parameters = json!({"sampleCount": 2, "aspectRatio": "16:9", "sampleImageSize": "2K", "seed": 7, "outputOptions": {"mimeType": "image/jpeg"}});
    assert_eq!(
        body,
        json!({"instances": [{"prompt": "a"}], "parameters": parameters})
    );
    assert_eq!(lost, ["size", "quality", "user"]);
    let edit = json!({"prompt": "a", "images": [{"image_url": "data:image/webp;base64,AAAA"}], "size": "1024x1024", "n": 3, "response_format": "url"});
    let (body, lost) = tree(&ImageWire::GenerateContent, ImageForm::Edits, &edit);
    let parts = json!([{"inlineData": {"mimeType": "image/webp", "data": "AAAA"}}, {"text": "a"}]);
    let config =
        json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "1:1"}});
    assert_eq!(
        body,
        json!({"contents": [{"role": "user", "parts": parts}], "generationConfig": config})
    );
    assert_eq!(lost, ["n", "response_format"]);
    for (wire, form, body) in [
        (
            ImageWire::Predict,
            ImageForm::Edits,
            r#"{"prompt":"a","image":"https://x"}"#,
        ),
        (
            ImageWire::GenerateContent,
            ImageForm::Edits,
            r#"{"prompt":"a","image":"https://x"}"#,
        ),
        (
            ImageWire::GenerateContent,
            ImageForm::Variations,
            r#"{"image":"data:image/png;base64,AA=="}"#,
        ),
    ] {
        assert_eq!(
            sent(&wire, form, body).expect_err(body).kind,
            FailureKind::Unsupported
        );
    }
}

fn counts(usage: &Usage) -> (u64, u64, u64, u64, u64) {
    let images = usage.units.images;
    (
        usage.input,
        usage.input_image,
        usage.output,
        usage.output_image,
        images,
    )
}

#[test]
fn answers_are_read_with_what_they_took() {
    let body = br#"{"created":5,"data":[{"b64_json":"AAAA","revised_prompt":"p"},{"url":"https://x"}],"quality":"low","usage":{"input_tokens":14,"input_tokens_details":{"image_tokens":4,"text_tokens":10},"output_tokens":272,"output_tokens_details":{"image_tokens":270,"text_tokens":2},"total_tokens":286}}"#;
    let answer = OPENAI.parse_answer(body).expect("images");
    assert_eq!(
        counts(answer.usage.as_ref().expect("counts")),
        (10, 4, 2, 270, 2)
    );
    let mut told: Value =
        serde_json::from_slice(&ImageForm::Generations.render(&answer, 9)).expect("json");
    let mut expected: Value = serde_json::from_slice(body).expect("json");
    assert_eq!(told["usage"].take(), expected["usage"].take());
    assert_eq!(told, expected);
    let ticks = br#"{"data":[{"url":"https://x","mime_type":"image/jpeg"}],"usage":{"cost_in_usd_ticks":200000000}}"#;
    let usage = TYPED
        .parse_answer(ticks)
        .expect("images")
        .usage
        .expect("counts");
    assert_eq!(
        (usage.cost_nano_usd, counts(&usage)),
        (Some(20_000_000), (0, 0, 0, 0, 1))
    );
    let routed = br#"{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12,"completion_tokens_details":{"image_tokens":9},"cost":0.04}}"#;
    let usage = PARTS
        .parse_answer(routed)
        .expect("images")
        .usage
        .expect("counts");
    assert_eq!(
        (usage.cost_nano_usd, counts(&usage)),
        (Some(40_000_000), (3, 0, 0, 9, 1))
    );
    let predicted = br#"{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"AAAA"},{"raiFilteredReason":"no"}]}"#;
    let answer = ImageWire::Predict.parse_answer(predicted).expect("images");
    let data = ImageSource::Base64("AAAA".into(), Some("image/png".into()));
    assert_eq!(
        answer.images.first().map(|image| &image.source),
        Some(&data)
    );
    let generated = br#"{"candidates":[{"content":{"parts":[{"text":"here"},{"inlineData":{"mimeType":"image/png","data":"BBBB"},"thought":true},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1290,"totalTokenCount":1293,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}}"#;
    let answer = ImageWire::GenerateContent
        .parse_answer(generated)
        .expect("images");
    assert_eq!(answer.images.len(), 1);
    assert_eq!(counts(&answer.usage.expect("counts")), (3, 0, 0, 1290, 1));
}

#[test]
fn answers_in_foreign_words_are_told_in_the_forms_own() {
    let passed = |body: &'static str| {
        let passed = OPENAI.pass(Bytes::from_static(body.as_bytes()));
        String::from_utf8(passed.to_vec()).expect("text")
    };
    for own in [
        r#"{ "created":5,"data":[{"b64_json":"AAAA","image":"x"}],"images":3}"#,
        r#"{"data":[{"url":"https://x","mime_type":"image/png"}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
        "{",
        r#"{"data":[1]}"#,
    ] {
        assert_eq!(passed(own), own);
    }
    assert_eq!(
        passed(r#"{"images":[{"url":"https://x","seed":1.50}],"timings":{"a":1}}"#),
        r#"{"data":[{"url":"https://x","seed":1.50}],"timings":{"a":1}}"#
    );
    assert_eq!(
        passed(
            r#"{"data":[{"image":"AAAA","b64_json":null,"media_type":"image/png"},{"url":"https://x"}]}"#
        ),
        r#"{"data":[{"b64_json":"AAAA","media_type":"image/png"},{"url":"https://x"}]}"#
    );
    let routed = passed(
        r#"{"data":[{"b64_json":"AAAA"}],"usage":{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12,"completion_tokens_details":{"image_tokens":9},"cost":0.04}}"#,
    );
    let routed: Value = serde_json::from_str(&routed).expect("json");
    let expected = json!({
        "total_tokens": 12, "input_tokens": 3, "output_tokens": 9,
        "input_tokens_details": {"text_tokens": 3, "image_tokens": 0},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": 9},
        "prompt_tokens": 3, "completion_tokens": 9, "completion_tokens_details": {"image_tokens": 9}, "cost": 0.04
    });
    assert_eq!(routed["usage"], expected);
}

#[test]
fn no_image_is_no_answer() {
    for (wire, body, kind) in [
        (OPENAI, "[", FailureKind::InvalidResponse),
        (OPENAI, r#"{"data":[]}"#, FailureKind::InvalidResponse),
        (
            OPENAI,
            r#"{"data":[{"b64_json":null}]}"#,
            FailureKind::InvalidResponse,
        ),
        (
            OPENAI,
            r#"{"error":{"message":"m","type":"server_error"}}"#,
            FailureKind::Server,
        ),
        (ImageWire::Predict, "{}", FailureKind::ContentPolicy),
        (
            ImageWire::GenerateContent,
            r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
            FailureKind::ContentPolicy,
        ),
        (
            ImageWire::GenerateContent,
            r#"{"candidates":[{"finishReason":"IMAGE_SAFETY"}]}"#,
            FailureKind::ContentPolicy,
        ),
        (
            ImageWire::GenerateContent,
            r#"{"candidates":[{"content":{"parts":[{"text":"no"}]},"finishReason":"STOP"}]}"#,
            FailureKind::InvalidResponse,
        ),
    ] {
        assert_eq!(
            wire.parse_answer(body.as_bytes()).expect_err(body).kind,
            kind,
            "{body}"
        );
    }
}

fn read(data: &[&str]) -> Vec<Event> {
    let mut decoder = OPENAI.decoder();
    let mut grammar = llmleaf_model::Grammar::new();
    let mut events = Vec::new();
    for one in data {
        let frame = Frame {
            raw: Bytes::copy_from_slice(format!("data: {one}\n\n").as_bytes()),
            event: None,
            data: Bytes::copy_from_slice(one.as_bytes()),
            has_data: true,
        };
        decoder.push(&frame, &mut events);
    }
    decoder.finish(&mut events);
    for event in &events {
        grammar.check(event).expect("lawful");
    }
    events
}

#[test]
fn a_stream_ends_well_with_a_finished_image_only() {
    let partial =
        r#"{"type":"image_generation.partial_image","b64_json":"AA==","partial_image_index":0}"#;
    let done = r#"{"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":3,"output_tokens":7,"total_tokens":10}}"#;
    let error = r#"{"type":"error","error":{"message":"m","type":"server_error"}}"#;
    let ends = |data: &[&str]| match read(data).last() {
        Some(Event::ResponseEnd) => Ok(()),
        Some(Event::Error(failure)) => Err(failure.kind),
        other => panic!("{other:?}"),
    };
    assert_eq!(ends(&[partial, done]), Ok(()));
    assert_eq!(ends(&[partial, done, "[DONE]"]), Ok(()));
    assert_eq!(ends(&[partial]), Err(FailureKind::Truncated));
    assert_eq!(ends(&[]), Err(FailureKind::Truncated));
    assert_eq!(ends(&[partial, error]), Err(FailureKind::Server));
    assert_eq!(ends(&["{"]), Err(FailureKind::InvalidResponse));
    assert!(read(&[partial]).iter().any(Event::bears_content));
    let two = read(&[done, done]);
    let usage = two.iter().rev().find_map(|event| match event {
        Event::UsageReport(usage) => Some(counts(usage)),
        _ => None,
    });
    assert_eq!(usage, Some((6, 0, 0, 14, 2)));
    let thought = r#"{"type":"image_generation.completed","b64_json":"AAAA","usage":{"prompt_tokens":3,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":4,"image_tokens":5},"cost":0.5}}"#;
    let silent = r#"{"type":"image_generation.completed","b64_json":"AAAA","usage":null}"#;
    let three = read(&[thought, silent, thought]);
    let usage = three.iter().rev().find_map(|event| match event {
        Event::UsageReport(usage) => Some(usage),
        _ => None,
    });
    let usage = usage.expect("counts");
    assert_eq!(
        (usage.output_reasoning, usage.cost_nano_usd, counts(usage)),
        (8, Some(1_000_000_000), (6, 0, 0, 10, 3))
    );
}

#[test]
fn a_whole_answer_ends_a_stream() {
    let answer = OPENAI.parse_answer(br#"{"created":5,"data":[{"b64_json":"AAAA"},{"b64_json":"BBBB"}],"usage":{"input_tokens":3,"output_tokens":7,"total_tokens":10}}"#);
    let told = ImageForm::Edits.render_stream(&answer.expect("images"), 9);
    let told = String::from_utf8(told).expect("text");
    assert_eq!(
        told.matches("event: image_edit.completed\ndata: {").count(),
        2
    );
    let data: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert!(
        matches!(read(&data).last(), Some(Event::ResponseEnd)),
        "{told}"
    );
    let error = Failure::upstream(FailureKind::Truncated, "cut");
    let told = String::from_utf8(ImageForm::Edits.render_stream_error(&error)).expect("text");
    assert!(
        told.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"cut\""),
        "{told}"
    );
}
