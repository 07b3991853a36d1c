//! The forms beside OpenAI's and Gemini's, there and back.

use super::*;
use llmleaf_model::LossKind;

const TYPED: EmbeddingWire = EmbeddingWire::Typed;
const LINES: EmbeddingWire = EmbeddingWire::Lines;
const PREDICT: EmbeddingWire = EmbeddingWire::Predict { most: 250 };
const ROUTER: EmbeddingWire = EmbeddingWire::OpenAi(OpenAiQuirks {
    inputs: OpenAiInputs::Parts,
    ..OpenAiQuirks::REFERENCE
});

fn rendered(
    wire: &EmbeddingWire,
    form: EmbeddingForm,
    body: &str,
) -> (String, Vec<(String, LossKind)>) {
    let rendered = wire.render_request(&read(form, body), "o");
    let rendered = rendered.unwrap_or_else(|f| panic!("{}", f.message));
    let losses = rendered.losses.iter();
    let losses = losses.map(|loss| (loss.field.clone(), loss.kind)).collect();
    (sent(&rendered), losses)
}

#[test]
fn every_form_says_the_same_to_every_wire() {
    let asked = [
        (
            EmbeddingForm::Embeddings,
            r#"{"input":["a","b"],"dimensions":2,"input_type":"search_query"}"#,
        ),
        (
            EmbeddingForm::Typed,
            r#"{"texts":["a","b"],"input_type":"search_query","output_dimension":2}"#,
        ),
        (
            EmbeddingForm::BatchEmbedContents,
            r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2},{"content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2}]}"#,
        ),
    ];
    for (form, body) in asked {
        for (wire, expected) in [
            (
                &TYPED,
                r#"{"model":"o","texts":["a","b"],"input_type":"search_query","embedding_types":["float"],"output_dimension":2}"#,
            ),
            (
                &PREDICT,
                r#"{"instances":[{"content":"a","task_type":"RETRIEVAL_QUERY"},{"content":"b","task_type":"RETRIEVAL_QUERY"}],"parameters":{"outputDimensionality":2}}"#,
            ),
            (
                &ROUTER,
                r#"{"model":"o","input":["a","b"],"dimensions":2,"encoding_format":"float","input_type":"search_query"}"#,
            ),
        ] {
            assert_eq!(
                rendered(wire, form, body),
                (expected.to_owned(), vec![]),
                "{form:?}"
            );
        }
        let (lines, losses) = rendered(&LINES, form, body);
        assert_eq!(lines, r#"{"model":"o","input":["a","b"],"dimensions":2}"#);
        assert_eq!(losses.len(), 1, "{form:?}: {losses:?}");
    }
    let lines = r#"{"input":"a","truncate":false,"keep_alive":"5m"}"#;
    let (typed, losses) = rendered(&TYPED, EmbeddingForm::Lines, lines);
    assert_eq!(
        typed,
        r#"{"model":"o","texts":["a"],"input_type":"search_document","embedding_types":["float"],"truncate":"NONE"}"#
    );
    assert_eq!(losses, [("keep_alive".to_owned(), LossKind::Dropped)]);
}

#[test]
fn a_task_that_a_target_does_not_tell_apart_is_the_nearest() {
    let body =
        r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"taskType":"QUESTION_ANSWERING"}]}"#;
    let (sent, losses) = rendered(&TYPED, EmbeddingForm::BatchEmbedContents, body);
    assert!(sent.contains(r#""input_type":"search_query""#), "{sent}");
    assert_eq!(losses, [("taskType".to_owned(), LossKind::Approximated)]);
}

#[test]
fn texts_and_images_reach_targets_that_have_both() {
    let uri = "data:image/png;base64,AA==";
    let inputs = format!(
        r#"{{"inputs":[{{"content":[{{"type":"text","text":"a"}},{{"type":"image_url","image_url":{{"url":"{uri}"}}}}]}}]}}"#
    );
    let gemini = r#"{"content":{"parts":[{"text":"a"},{"inline_data":{"mime_type":"image/png","data":"AA=="}}]}}"#;
    let same = read(EmbeddingForm::Typed, &inputs);
    assert_eq!(
        same.inputs,
        read(EmbeddingForm::EmbedContent, gemini).inputs
    );
    let (router, _) = rendered(&ROUTER, EmbeddingForm::EmbedContent, gemini);
    let expected = inputs.replacen("{\"inputs\"", "{\"model\":\"o\",\"input\"", 1);
    let expected = expected.replacen("]}]}", "]}],\"encoding_format\":\"float\"}", 1);
    assert_eq!(router, expected);
    let (one, _) = rendered(&EmbeddingWire::EmbedContent, EmbeddingForm::Typed, &inputs);
    assert_eq!(
        one,
        r#"{"content":{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}"#
    );
    // Images alone have a field of their own.
    let images = format!(r#"{{"images":["{uri}"],"input_type":"image"}}"#);
    let (typed, losses) = rendered(&TYPED, EmbeddingForm::Typed, &images);
    assert!(
        typed.contains(&format!(r#""images":["{uri}"],"input_type":"image""#)),
        "{typed}"
    );
    assert_eq!(losses, []);
    // What they are for has one word there.
    let gemini = r#"{"content":{"parts":[{"inline_data":{"mime_type":"image/png","data":"AA=="}}]},"taskType":"CLUSTERING"}"#;
    let (_, losses) = rendered(&TYPED, EmbeddingForm::EmbedContent, gemini);
    assert_eq!(losses, [("taskType".to_owned(), LossKind::Dropped)]);
    for wire in [OPENAI, LINES, PREDICT] {
        let failure = wire.render_request(&same, "o").expect_err("texts only");
        assert_eq!(failure.kind, FailureKind::Unsupported, "{wire:?}");
    }
}

#[test]
fn types_of_numbers_are_made_of_floats_or_left_to_their_own_service() {
    let body = r#"{"texts":["a"],"embedding_types":["float","base64"]}"#;
    let request = read(EmbeddingForm::Typed, body);
    let answer = br#"{"data":[{"index":0,"embedding":[1,2.5]}],"usage":{"prompt_tokens":3}}"#;
    let mut answer = OPENAI.parse_answer(answer, &request).expect("an answer");
    answer.id = Some("i".to_owned());
    let told = EmbeddingForm::Typed.render(&answer, &request);
    assert_eq!(
        String::from_utf8(told.expect("rendered")).expect("text"),
        concat!(
            r#"{"id":"i","texts":["a"],"embeddings":{"float":[[1,2.5]],"base64":["AACAPwAAIEA="]},"#,
            r#""meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":3}},"response_type":"embeddings_by_type"}"#
        )
    );
    let first = read(EmbeddingForm::TypedFirst, r#"{"texts":["a"]}"#);
    let told = EmbeddingForm::TypedFirst.render(&answer, &first);
    let told = String::from_utf8(told.expect("rendered")).expect("text");
    assert!(told.contains(r#""embeddings":[[1,2.5]]"#), "{told}");
    let int8 = read(
        EmbeddingForm::Typed,
        r#"{"texts":["a"],"embedding_types":["ubinary"],"output_dimension":256}"#,
    );
    assert!(OPENAI.render_request(&int8, "o").is_err() && makeable(&int8).is_err());
    let own = br#"{"embeddings":{"ubinary":[[1,2]]},"meta":{"billed_units":{"input_tokens":2.0,"image_tokens":1,"images":1}}}"#;
    let own = TYPED.parse_answer(own, &int8).expect("an answer");
    let usage = own.usage.expect("counts");
    assert_eq!(
        (usage.input, usage.input_image, usage.units.images),
        (2, 1, 1)
    );
}

#[test]
fn an_answer_by_type_is_as_asked_and_floats_stand_under_no_other_name() {
    let body = r#"{"texts":["a"],"embedding_types":["int8","base64"]}"#;
    let request = read(EmbeddingForm::Typed, body);
    let own = br#"{"embeddings":{"int8":[[1,2]],"base64":["AACAPwAAIEA="]}}"#;
    let own = TYPED.parse_answer(own, &request).expect("an answer");
    assert!(is_as_asked(&own, &request), "it goes through as it came");
    let told = EmbeddingForm::Typed.render(&own, &request);
    let failure = told.expect_err("int8 is not made of floats");
    assert_eq!(failure.kind, FailureKind::Unsupported);
    // OpenAI's form has one way for all of them, and a service may have written another.
    let coded = read(
        EmbeddingForm::Embeddings,
        r#"{"input":"a","encoding_format":"base64"}"#,
    );
    let numbers = OPENAI.parse_answer(br#"{"data":[{"index":0,"embedding":[1]}]}"#, &coded);
    assert!(!is_as_asked(&numbers.expect("an answer"), &coded));
}

#[test]
fn ollamas_empty_input_asks_for_no_vectors() {
    for (form, wire, body, answer) in [
        (
            EmbeddingForm::Lines,
            LINES,
            r#"{"input":""}"#,
            r#"{"model":"m","embeddings":[]}"#,
        ),
        (
            EmbeddingForm::Lines,
            LINES,
            r#"{"input":[]}"#,
            r#"{"model":"m","embeddings":[]}"#,
        ),
        (
            EmbeddingForm::LinesPrompt,
            EmbeddingWire::LinesPrompt,
            r#"{"prompt":""}"#,
            r#"{"embedding":[]}"#,
        ),
        (
            EmbeddingForm::LinesPrompt,
            EmbeddingWire::LinesPrompt,
            "{}",
            r#"{"embedding":[]}"#,
        ),
    ] {
        let request = read(form, body);
        assert_eq!(request.inputs, [], "{body}");
        let read = wire.parse_answer(answer.as_bytes(), &request);
        let told = form.render(&read.expect("an answer"), &request);
        let told = String::from_utf8(told.expect("rendered")).expect("text");
        assert_eq!(told, answer, "{body}");
        let asked = form.parse_request(r#"{"input":["a"],"prompt":"a"}"#, "m");
        let none = wire.parse_answer(answer.as_bytes(), &asked.expect("a request"));
        let failure = none.expect_err("a text has a vector");
        assert_eq!(failure.kind, FailureKind::InvalidResponse, "{body}");
    }
    // An empty text in a list is embedded.
    let listed = read(EmbeddingForm::Lines, r#"{"input":[""]}"#);
    assert_eq!(listed.inputs.len(), 1);
}

#[test]
fn counts_that_make_no_sense_are_none() {
    let request = read(EmbeddingForm::Lines, r#"{"input":["a"]}"#);
    for (count, input) in [
        ("7", Some(7)),
        ("7.0", Some(7)),
        ("-1", None),
        ("1e3", None),
        ("9007199254740993", None),
        ("null", None),
    ] {
        for (wire, body) in [
            (
                OPENAI,
                format!(r#"{{"data":[{{"embedding":[1]}}],"usage":{{"prompt_tokens":{count}}}}}"#),
            ),
            (
                GEMINI,
                format!(
                    r#"{{"embeddings":[{{"values":[1]}}],"usageMetadata":{{"promptTokenCount":{count}}}}}"#
                ),
            ),
            (
                PREDICT,
                format!(
                    r#"{{"predictions":[{{"embeddings":{{"values":[1],"statistics":{{"token_count":{count}}}}}}}]}}"#
                ),
            ),
            (
                TYPED,
                format!(
                    r#"{{"embeddings":[[1]],"meta":{{"billed_units":{{"input_tokens":{count}}}}}}}"#
                ),
            ),
            (
                LINES,
                format!(r#"{{"embeddings":[[1]],"prompt_eval_count":{count}}}"#),
            ),
        ] {
            let answer = wire
                .parse_answer(body.as_bytes(), &request)
                .expect("an answer");
            assert_eq!(answer.usage.map(|usage| usage.input), input, "{body}");
        }
    }
}

#[test]
fn answers_of_every_wire_are_read() {
    let request = read(EmbeddingForm::Lines, r#"{"input":["a","b"]}"#);
    let vertex = br#"{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":2}}},{"embeddings":{"values":[2],"statistics":{"token_count":3.0}}}]}"#;
    let lines = br#"{"model":"x","embeddings":[[1],[2]],"prompt_eval_count":5}"#;
    for (wire, body) in [(PREDICT, &vertex[..]), (LINES, &lines[..])] {
        let answer = wire.parse_answer(body, &request).expect("an answer");
        let told = EmbeddingForm::Lines
            .render(&answer, &request)
            .expect("rendered");
        let told = String::from_utf8(told).expect("text");
        assert!(
            told.ends_with(r#""embeddings":[[1],[2]],"prompt_eval_count":5}"#),
            "{told}"
        );
    }
    let prompt = read(EmbeddingForm::LinesPrompt, r#"{"prompt":"a"}"#);
    let answer = EmbeddingWire::LinesPrompt.parse_answer(br#"{"embedding":[1.50]}"#, &prompt);
    let told = EmbeddingForm::LinesPrompt.render(&answer.expect("an answer"), &prompt);
    assert_eq!(told.ok().as_deref(), Some(&br#"{"embedding":[1.50]}"#[..]));
    for (form, body, param) in [
        (EmbeddingForm::Lines, "{}", "input"),
        (EmbeddingForm::Lines, r#"{"input":[1]}"#, "input"),
        (EmbeddingForm::Typed, r#"{"texts":[]}"#, "texts"),
        (EmbeddingForm::Typed, r#"{"texts":[1]}"#, "texts"),
    ] {
        let failure = form.parse_request(body, "m").expect_err(body);
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    }
}
