use super::*;
use llmleaf_model::{Json, Loss};
use proptest::prelude::*;

const B: &str = "bnd";

fn field(name: &str, value: &str) -> String {
    format!("--{B}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{B}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\nX-Own: kept\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn form(parts: &[&[u8]]) -> Vec<u8> {
    [&parts.concat()[..], format!("--{B}--\r\n").as_bytes()].concat()
}

fn fields(list: &[(&str, &str)], sound: &[u8]) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = vec![file(sound)];
    all.extend(
        list.iter()
            .map(|(name, value)| field(name, value).into_bytes()),
    );
    form(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// What a service gets of a form that comes in such pieces.
fn edited(body: &[u8], piece: usize, quirks: &FormQuirks) -> Result<(String, Vec<Loss>), Failure> {
    let change = Change {
        model: "theirs",
        quirks,
    };
    let mut editor = Editor::new(B, &change);
    let mut out = Vec::new();
    for bytes in body.chunks(piece) {
        editor.push(bytes, &mut out)?;
    }
    editor.finish()?;
    assert_eq!(editor.length(None, true), Some(out.len() as u64));
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok((text, editor.losses().to_vec()))
}

fn list(names: &[&'static str]) -> Cow<'static, [Cow<'static, str>]> {
    names.iter().map(|name| Cow::Borrowed(*name)).collect()
}

#[test]
fn the_reference_gets_all_but_the_model_as_it_came_wherever_it_stands() {
    let sound = b"\x00\r\n--bn\r\n--bndx is none? \xff".to_vec();
    // A line that begins with the boundary would be refused.
    let sound = [&sound[..7], b"\xff\r\n"].concat();
    let model = field("model", "ours");
    let more = [
        field("include[]", "logprobs"),
        field("stream", "true"),
        field("own", "x"),
    ]
    .concat();
    for parts in [
        [model.as_bytes(), &file(&sound), more.as_bytes()],
        [&file(&sound), more.as_bytes(), model.as_bytes()],
        [more.as_bytes(), &file(&sound), model.as_bytes()],
    ] {
        let body = form(&parts);
        let expected = String::from_utf8_lossy(&body).replace("\r\n\r\nours", "\r\n\r\ntheirs");
        for piece in [1, 3, 50, 10_000] {
            let (sent, losses) = edited(&body, piece, &FormQuirks::REFERENCE).expect("a form");
            assert_eq!(sent, expected);
            assert_eq!(losses, []);
        }
    }
}

#[test]
fn the_length_is_known_as_soon_as_the_model_is() {
    let body = form(&[
        field("model", "ours").as_bytes(),
        &file(&[b'x'; 500]),
        field("stream", "true").as_bytes(),
    ]);
    let change = Change {
        model: "theirs",
        quirks: &FormQuirks::REFERENCE,
    };
    let whole = edited(&body, 9, &FormQuirks::REFERENCE)
        .expect("a form")
        .0
        .len() as u64;
    let mut early = false;
    for cut in 0..body.len() {
        let mut editor = Editor::new(B, &change);
        let mut out = Vec::new();
        editor.push(&body[..cut], &mut out).expect("well begun");
        let length = editor.length(Some(body.len() as u64), false);
        assert!(
            length.is_none_or(|length| length == whole),
            "{cut}: {length:?}"
        );
        early |= length.is_some() && cut < 300;
        assert_eq!(editor.length(None, false), None);
    }
    assert!(early, "before the file is there");
}

#[test]
fn a_service_of_fewer_fields_gets_those_and_what_stands_for_the_format() {
    let narrow = FormQuirks {
        takes: Some(list(&[
            "language",
            "response_format",
            "timestamp_granularities[]",
        ])),
        formats: list(&["json", "verbose_json"]),
        streams: Streams::No,
        ..FormQuirks::REFERENCE
    };
    let asked = |format: &str| {
        let body = fields(
            &[
                ("model", "m"),
                ("response_format", format),
                ("stream", "true"),
                ("prompt", "p"),
                ("language", "en"),
            ],
            b"sound",
        );
        edited(&body, 7, &narrow)
    };
    for (format, sent) in [
        ("json", "json"),
        ("text", "json"),
        ("verbose_json", "verbose_json"),
        ("srt", "verbose_json"),
        ("vtt", "verbose_json"),
    ] {
        let (form, losses) = asked(format).expect("it can");
        assert!(
            form.contains(&format!("name=\"response_format\"\r\n\r\n{sent}\r\n")),
            "{form}"
        );
        assert!(form.contains("en\r\n") && !form.contains("stream") && !form.contains("prompt"));
        assert!(form.starts_with("--bnd\r\n") && form.ends_with("--bnd--\r\n"));
        assert_eq!(
            losses,
            [Loss::dropped("prompt", "the target has no such field")]
        );
    }
    let failure = asked("diarized_json").expect_err("it cannot");
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
}

#[test]
fn a_service_with_one_answer_is_asked_for_what_a_format_needs() {
    let own = FormQuirks {
        takes: Some(list(&["language", "diarize", "timestamp_granularities"])),
        formats: list(&[]),
        streams: Streams::Typed,
        segments: Some("timestamp_granularities[]".into()),
        diarize: Some("diarize".into()),
        ..FormQuirks::REFERENCE
    };
    for (format, added) in [
        ("json", &[][..]),
        ("vtt", &[("timestamp_granularities[]", "segment")]),
        (
            "diarized_json",
            &[
                ("timestamp_granularities[]", "segment"),
                ("diarize", "true"),
            ],
        ),
    ] {
        let body = fields(
            &[
                ("model", "m"),
                ("response_format", format),
                ("stream", "true"),
            ],
            b"sound",
        );
        let (form, losses) = edited(&body, 11, &own).expect("it can");
        let added: String = added
            .iter()
            .map(|(name, value)| field(name, value))
            .collect();
        let end = format!(
            "{}{}{added}--bnd--\r\n",
            field("model", "theirs"),
            field("stream", "true")
        );
        assert!(form.ends_with(&end), "{form}");
        assert!(!form.contains("response_format"));
        assert_eq!(losses, []);
    }
}

#[test]
fn what_decides_is_said_once_and_a_file_is_there() {
    let sound = file(b"x");
    for (parts, param) in [
        (
            vec![
                field("model", "a").into_bytes(),
                sound.clone(),
                field("model", "b").into_bytes(),
            ],
            Some("model"),
        ),
        (
            vec![field("stream", "maybe").into_bytes(), sound.clone()],
            Some("stream"),
        ),
        (
            vec![
                field("model", "a").into_bytes(),
                sound.clone(),
                sound.clone(),
            ],
            Some("file"),
        ),
        (vec![field("model", "a").into_bytes()], Some("file")),
    ] {
        let body = form(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for wire in [true, false] {
            let failure = match wire {
                true => edited(&body, 5, &FormQuirks::REFERENCE).map(drop),
                false => inlined(&body, 5).map(drop),
            };
            let failure = failure.expect_err("refused");
            assert_eq!(failure.param.as_deref(), param, "{}", failure.message);
        }
    }
}

fn inlined(body: &[u8], piece: usize) -> Result<serde_json::Value, Failure> {
    let mut inline = Inline::new(B, Task::Transcribe);
    let mut out = Vec::new();
    for bytes in body.chunks(piece) {
        inline.push(bytes, &mut out)?;
    }
    inline.finish()?;
    Ok(serde_json::from_slice(&out).expect("it is JSON"))
}

proptest! {
    #[test]
    fn sound_inside_json_is_the_sound(sound in prop::collection::vec(any::<u8>(), 1..400), piece in 1usize..64, last in any::<bool>()) {
        use base64::Engine as _;
        prop_assume!(!sound.windows(5).any(|w| w == b"--bnd"));
        let mut list = vec![("language", "de"), ("temperature", "0.5"), ("model", "m"), ("include[]", "x")];
        if last {
            list.reverse();
        }
        let body = fields(&list, &sound);
        let json = inlined(&body, piece).expect("a form");
        let data = &json["contents"][0]["parts"][0]["inlineData"];
        let decoded = base64::engine::general_purpose::STANDARD.decode(data["data"].as_str().expect("text"));
        prop_assert_eq!(decoded.expect("base64"), sound);
        prop_assert_eq!(&data["mimeType"], "audio/mpeg");
        prop_assert_eq!(&json["generationConfig"]["temperature"], 0.5);
        let text = json["contents"][0]["parts"][1]["text"].as_str().expect("text");
        prop_assert!(text.ends_with("is: de"));
    }
}

#[test]
fn json_becomes_a_form_or_stays_inside_json() {
    let body = r#"{"model":"m","input_audio":{"data":"UklGRg==","format":"wav"},"language":"en","temperature":0.2,"timestamp_granularities":["word","segment"],"provider":{"a":1},"models":["n"],"route":"fallback"}"#;
    let json = parse_json(body).expect("a request");
    assert!(json.request.words && json.request.segments);
    let change = Change {
        model: "theirs",
        quirks: &FormQuirks::REFERENCE,
    };
    let whole = render_form(&json, "xyz", &change).expect("a form");
    assert_eq!(whole.content_type, "multipart/form-data; boundary=xyz");
    let form = String::from_utf8_lossy(&whole.rendered.body).into_owned();
    for part in [
        "name=\"model\"\r\n\r\ntheirs\r\n--xyz",
        "name=\"temperature\"\r\n\r\n0.2\r\n--xyz",
        "name=\"timestamp_granularities[]\"\r\n\r\nsegment\r\n--xyz",
        "name=\"file\"; filename=\"audio.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--xyz--",
    ] {
        assert!(form.contains(part), "{part:?} in {form:?}");
    }
    for wish in ["provider", "models", "route"] {
        assert!(!form.contains(wish), "what routing is asked: {form:?}");
    }
    assert_eq!(whole.rendered.losses, []);
    let whole = json.render_generate(Task::Translate).expect("it can");
    let sent: serde_json::Value = serde_json::from_slice(&whole.rendered.body).expect("JSON");
    assert_eq!(
        sent["contents"][0]["parts"][0]["inlineData"]["data"],
        "UklGRg=="
    );
    let lost: Vec<String> = whole
        .rendered
        .losses
        .iter()
        .map(|loss| loss.field.clone())
        .collect();
    assert_eq!(
        lost,
        ["timestamp_granularities[]", "timestamp_granularities[]"]
    );
    for (body, param) in [
        (r#"{"model":"m"}"#, "input_audio"),
        (r#"{"input_audio":{"data":"a"}}"#, "input_audio.format"),
        (
            r#"{"input_audio":{"data":"?","format":"wav"}}"#,
            "input_audio.data",
        ),
    ] {
        let failure = parse_json(body).and_then(|json| render_form(&json, "b", &change).map(drop));
        assert_eq!(failure.expect_err("refused").param.as_deref(), Some(param));
    }
}

#[test]
fn what_goes_nowhere_is_told_however_it_is_named_and_however_much_it_is() {
    let change = Change {
        model: "theirs",
        quirks: &FormQuirks::REFERENCE,
    };
    let body = r#"{"model":"m","input_audio":{"data":"UklG","format":"wav","sample_rate":8000},"no field":1,"provider":"a word"}"#;
    let json = parse_json(body).expect("a request");
    let lost = |whole: &Whole| -> Vec<String> {
        let losses = whole.rendered.losses.iter();
        losses.map(|loss| loss.field.clone()).collect()
    };
    let form = render_form(&json, "xyz", &change).expect("a form");
    assert_eq!(lost(&form), ["no field", "input_audio.sample_rate"]);
    let text = String::from_utf8_lossy(&form.rendered.body).into_owned();
    assert!(
        text.contains("name=\"provider\"\r\n\r\na word\r\n"),
        "{text}"
    );
    let generated = json.render_generate(Task::Transcribe).expect("it can");
    let all = ["no field", "provider", "input_audio.sample_rate"];
    assert_eq!(lost(&generated), all);
    let names: Vec<String> = (0..500)
        .map(|at| format!("{at}{}", "\u{e4}".repeat(2000)))
        .collect();
    let list: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let mut inline = Inline::new(B, Task::Transcribe);
    inline
        .push(&fields(&list, b"sound"), &mut Vec::new())
        .expect("a form");
    let losses = inline.losses();
    assert_eq!(losses.len(), 65);
    assert!(losses.iter().all(|loss| loss.field.len() < 140));
}

#[test]
fn long_sound_in_json_is_decoded_in_pieces() {
    use base64::Engine as _;
    for length in [49_151usize, 49_152, 49_153, 200_000, 200_001] {
        let sound: Vec<u8> = b"sound ".iter().copied().cycle().take(length).collect();
        let data = base64::engine::general_purpose::STANDARD.encode(&sound);
        let body = format!(r#"{{"model":"m","input_audio":{{"data":"{data}","format":"wav"}}}}"#);
        let json = parse_json(&body).expect("a request");
        let change = Change {
            model: "theirs",
            quirks: &FormQuirks::REFERENCE,
        };
        let whole = render_form(&json, "xyz", &change).expect("a form");
        let expected = [b"\r\n\r\n", &sound[..], b"\r\n--xyz--\r\n"].concat();
        assert!(whole.rendered.body.ends_with(&expected), "{length}");
    }
}

#[test]
fn a_format_that_nobody_knows_goes_only_to_those_who_answer_as_the_reference_does() {
    let body = fields(&[("model", "m"), ("response_format", "tsv")], b"sound");
    let own = FormQuirks {
        formats: list(&[]),
        ..FormQuirks::REFERENCE
    };
    assert!(edited(&body, 9, &FormQuirks::REFERENCE).is_ok());
    let edited = edited(&body, 9, &own).map(drop);
    let inlined = Inline::new(B, Task::Transcribe).push(&body, &mut Vec::new());
    for refused in [edited, inlined] {
        let failure = refused.expect_err("it cannot");
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert_eq!(failure.retry, Retry::NextTarget);
    }
}

/// An answer with times, as several services write it.
const TIMED: &str = r#"{"text":"One. Two.","language":"en","duration":3723.5,"segments":[{"id":0,"seek":0,"start":0.0,"end":1.25,"text":" One.","tokens":[1],"temperature":0.0,"avg_logprob":-0.1,"compression_ratio":1.0,"no_speech_prob":0.01},{"start":3722,"end":3723.4567,"text":"Two -->\n\n2","speaker_id":"speaker_1"}],"words":[{"word":"One","start":0,"end":1}],"usage":{"prompt_audio_seconds":3724,"prompt_tokens":3,"total_tokens":389,"completion_tokens":11,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":375}}}"#;

#[test]
fn one_answer_is_written_in_every_format() {
    let transcript = parse_answer(TIMED.as_bytes()).expect("an answer");
    let usage = transcript.usage.clone().expect("counts");
    assert_eq!((usage.input, usage.input_audio, usage.output), (3, 375, 11));
    assert_eq!(usage.units.audio_ms, 3_723_500);
    let written =
        |format| String::from_utf8(render(&transcript, format, Task::Transcribe)).expect("text");
    assert_eq!(written(Format::Text), "One. Two.\n");
    assert_eq!(
        written(Format::Srt),
        "1\n00:00:00,000 --> 00:00:01,250\nOne.\n\n2\n01:02:02,000 --> 01:02:03,457\nTwo ->\n2\n\n"
    );
    assert_eq!(
        written(Format::Vtt),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nOne.\n\n01:02:02.000 --> 01:02:03.457\nTwo ->\n2\n\n"
    );
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).expect("JSON");
    assert_eq!(json["usage"]["total_tokens"], 389);
    assert_eq!(json["usage"]["input_token_details"]["audio_tokens"], 375);
    let verbose: serde_json::Value = serde_json::from_str(&written(Format::Verbose)).expect("JSON");
    assert_eq!(verbose["duration"], 3723.5);
    assert_eq!(verbose["segments"][1]["id"], 1);
    assert_eq!(verbose["segments"][0]["avg_logprob"], -0.1);
    assert_eq!(verbose["words"][0]["word"], "One");
    let diarized: serde_json::Value =
        serde_json::from_str(&written(Format::Diarized)).expect("JSON");
    assert_eq!(diarized["segments"][1]["speaker"], "speaker_1");
    assert_eq!(diarized["segments"][0]["type"], "transcript.text.segment");
    for broken in ["", "[]", "{}", r#"{"text":1}"#] {
        assert_eq!(
            parse_answer(broken.as_bytes()).expect_err("none").kind,
            FailureKind::InvalidResponse
        );
    }
}

#[test]
fn usage_is_read_under_every_name() {
    for (json, tokens, audio_ms, cost) in [
        (r#"{"type":"duration","seconds":6}"#, 0, 6000, None),
        (r#"{"seconds":6,"cost":0.0006}"#, 0, 6000, Some(600_000)),
        (
            r#"{"type":"tokens","input_tokens":54,"output_tokens":16,"total_tokens":70,"input_token_details":{"audio_tokens":54,"text_tokens":0}}"#,
            70,
            0,
            None,
        ),
        (
            r#"{"total_tokens":49,"input_tokens":37,"output_tokens":12,"cost":0.00010625}"#,
            49,
            0,
            Some(106_250),
        ),
    ] {
        let json = Json::parse(json).expect("JSON");
        let usage = usage::of_object(json.raw()).expect("counts");
        assert_eq!(
            (usage.total(), usage.units.audio_ms, usage.cost_nano_usd),
            (tokens, audio_ms, cost)
        );
    }
    assert_eq!(
        usage::of_object(Json::parse("{}").expect("JSON").raw()),
        None
    );
}

#[test]
fn streams_of_both_kinds_say_the_same() {
    let read = |events: &[&str]| -> Vec<Step> {
        let mut framer = llmleaf_framing::SseFramer::new(llmleaf_framing::SseLimits::default());
        framer.push(
            events
                .iter()
                .map(|data| format!("data: {data}\n\n"))
                .collect::<String>()
                .into(),
        );
        let mut steps = Vec::new();
        while let Some(frame) = framer.next() {
            steps.push(Step::of(&frame.expect("a frame")));
        }
        steps
    };
    let theirs = read(&[
        r#"{"type":"transcription.language","audio_language":"en"}"#,
        r#"{"type":"transcription.text.delta","text":"One"}"#,
        r#"{"type":"transcription.done","text":"One","usage":{"prompt_audio_seconds":2}}"#,
    ]);
    let ours = read(&[
        r#"{"type":"transcript.text.delta","delta":"One"}"#,
        r#"{"type":"transcript.text.done","text":"One","usage":{"type":"duration","seconds":2}}"#,
        "[DONE]",
    ]);
    assert_eq!(theirs[0], Step::Other);
    assert_eq!(theirs[1], ours[0]);
    let mut written = Vec::new();
    for step in &theirs {
        render_event(step, "One", 0, &mut written);
    }
    let text = String::from_utf8(written).expect("text");
    assert_eq!(
        text,
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"One\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"One\",\"usage\":{\"type\":\"duration\",\"seconds\":2}}\n\n"
    );
    let failed = read(&[
        r#"{"error":{"message":"no room","code":"busy"}}"#,
        "no json",
    ]);
    assert!(
        failed.iter().all(|step| matches!(step, Step::Failed(_))),
        "{failed:?}"
    );
}
