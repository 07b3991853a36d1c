use super::*;
use crate::embeddings::OpenAiQuirks;
use llmleaf_model::{Json, Vector, VectorEncoding};
use proptest::prelude::*;

mod forms;

const OPENAI: EmbeddingWire = EmbeddingWire::OpenAi(OpenAiQuirks::REFERENCE);
const PLAIN: EmbeddingWire = EmbeddingWire::OpenAi(OpenAiQuirks::PLAIN);
const GEMINI: EmbeddingWire = EmbeddingWire::BatchEmbedContents;

fn read(form: EmbeddingForm, body: &str) -> EmbeddingRequest {
    form.parse_request(body, "m")
        .unwrap_or_else(|f| panic!("{}", f.message))
}

fn sent(rendered: &Rendered) -> String {
    String::from_utf8(rendered.body.to_vec()).expect("text")
}

fn edited(wire: &EmbeddingWire, body: &str) -> Result<Rendered, Failure> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read(&body).expect("a head");
    let request = read(
        EmbeddingForm::Embeddings,
        std::str::from_utf8(&body).expect("text"),
    );
    wire.edit(&head, &body, &request, "theirs")
}

#[test]
fn the_same_form_keeps_its_bytes_but_for_named_edits() {
    let body = r#"{ "input" : ["a", "b"],"model":"ours", "encoding_format":"base64","dimensions":3,"new":1.50}"#;
    let rendered = edited(&OPENAI, body).expect("rendered");
    assert_eq!(sent(&rendered), body.replace("ours", "theirs"));
    // A service that writes no base64 is asked for numbers.
    let rendered = edited(&PLAIN, body).expect("rendered");
    let expected = body.replace("ours", "theirs").replace("base64", "float");
    assert_eq!(sent(&rendered), expected);
    let mistral = EmbeddingWire::OpenAi(OpenAiQuirks {
        dimensions: "output_dimension".into(),
        ..OpenAiQuirks::REFERENCE
    });
    let rendered = edited(&mistral, body).expect("rendered");
    let expected = body
        .replace("ours", "theirs")
        .replace("dimensions", "output_dimension");
    assert_eq!(sent(&rendered), expected);
    // Wishes for this gateway's routing go to those who route only.
    let wishing = r#"{"model":"ours","provider":{"order":["x"]},"input":"a"}"#;
    let rendered = edited(&OPENAI, wishing).expect("rendered");
    assert_eq!(sent(&rendered), r#"{"model":"theirs","input":"a"}"#);
    assert_eq!(rendered.losses.len(), 1);
}

#[test]
fn what_a_target_cannot_embed_goes_to_the_next() {
    for input in ["[1,2,3]", "[[1],[2]]"] {
        let body = format!("{{\"model\":\"ours\",\"input\":{input}}}");
        assert!(edited(&OPENAI, &body).is_ok());
        let failure = edited(&PLAIN, &body).expect_err("no tokens");
        assert_eq!(
            (failure.kind, failure.retry),
            (FailureKind::Unsupported, Retry::NextTarget)
        );
        let request = read(EmbeddingForm::Embeddings, &body);
        assert!(GEMINI.render_request(&request, "g").is_err());
    }
    let image =
        r#"{"content":{"parts":[{"inline_data":{"mime_type":"image/png","data":"AA=="}}]}}"#;
    let request = read(EmbeddingForm::EmbedContent, image);
    assert!(OPENAI.render_request(&request, "o").is_err());
    let rendered = GEMINI.render_request(&request, "g").expect("rendered");
    assert!(
        sent(&rendered).contains("inlineData"),
        "{}",
        sent(&rendered)
    );
}

#[test]
fn geminis_form_becomes_openais_and_back() {
    let batch = r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING","outputDimensionality":2},{"model":"models/m","content":{"parts":[{"text":"b"},{"text":"c"}]},"taskType":"CLUSTERING","outputDimensionality":2}]}"#;
    let request = read(EmbeddingForm::BatchEmbedContents, batch);
    let rendered = OPENAI.render_request(&request, "o").expect("rendered");
    assert_eq!(
        sent(&rendered),
        r#"{"model":"o","input":["a","bc"],"dimensions":2,"encoding_format":"float"}"#
    );
    let lost: Vec<&str> = rendered
        .losses
        .iter()
        .map(|loss| loss.field.as_str())
        .collect();
    assert_eq!(lost, ["taskType"]);
    let body = Bytes::from_static(batch.as_bytes());
    let head = Head::addressed(&body, "m", false).expect("a head");
    let same = GEMINI.edit(&head, &body, &request, "g").expect("edited");
    assert_eq!(sent(&same), batch.replace("models/m", "models/g"));
    // What differs from input to input only that form can say.
    let mixed = batch.replacen("CLUSTERING", "CLASSIFICATION", 1);
    let request = read(EmbeddingForm::BatchEmbedContents, &mixed);
    assert!(request.mixed && OPENAI.render_request(&request, "o").is_err());
    let one = r#"{"content":{"parts":[{"text":"a"}]},"embedContentConfig":{"autoTruncate":true}}"#;
    let request = read(EmbeddingForm::EmbedContent, one);
    assert_eq!(
        sent(&GEMINI.render_request(&request, "g").expect("rendered")),
        r#"{"requests":[{"model":"models/g","content":{"parts":[{"text":"a"}]},"embedContentConfig":{"autoTruncate":true}}]}"#
    );
}

#[test]
fn an_answer_must_be_one_to_the_request() {
    let request = read(
        EmbeddingForm::Embeddings,
        r#"{"model":"m","input":["a","b"],"dimensions":2}"#,
    );
    let of = |data: &str| {
        let body =
            format!("{{\"data\":[{data}],\"usage\":{{\"prompt_tokens\":3,\"total_tokens\":3}}}}");
        OPENAI.parse_answer(body.as_bytes(), &request)
    };
    let answer = of(r#"{"index":1,"embedding":[3,4]},{"index":0,"embedding":"AACAPwAAAEA="}"#);
    let answer = answer.expect("an answer");
    assert_eq!(
        vector::numbers(&answer.vectors[0]).ok().as_deref(),
        Some("[1.0,2.0]")
    );
    assert_eq!(answer.usage.map(|usage| usage.input), Some(3));
    for wrong in [
        "",
        r#"{"embedding":[1,2]}"#,
        r#"{"embedding":[1,2]},{"embedding":[]}"#,
        r#"{"embedding":[1,2]},{"embedding":"AAA="}"#,
        r#"{"embedding":[1,2]},{"embedding":[[1],2]}"#,
        r#"{"index":1,"embedding":[1,2]},{"index":1,"embedding":[1,2]}"#,
        r#"{"embedding":[1,2]},{"embedding":null}"#,
    ] {
        let failure = of(wrong).expect_err(wrong);
        assert_eq!(failure.kind, FailureKind::InvalidResponse, "{wrong}");
    }
    // A server that does not know the field is not at fault: the next target may know it.
    let failure = of(r#"{"embedding":[1,2]},{"embedding":[1,2,3]}"#).expect_err("too long");
    let told = (failure.kind, failure.retry, failure.possibly_billed);
    assert_eq!(told, (FailureKind::Unsupported, Retry::NextTarget, true));
    let mixed = r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"outputDimensionality":2},{"content":{"parts":[{"text":"b"}]},"outputDimensionality":3}]}"#;
    let request = read(EmbeddingForm::BatchEmbedContents, mixed);
    let answer = br#"{"embeddings":[{"values":[1,2]},{"values":[1,2,3]}]}"#;
    assert!(GEMINI.parse_answer(answer, &request).is_ok());
}

proptest! {
    #[test]
    fn base64_and_numbers_are_the_same_vector(floats in prop::collection::vec(-1e30f32..1e30, 1..40)) {
        let numbers = Vector::Numbers(Json::from_value(&floats));
        let coded = Vector::Base64(vector::base64(&numbers).unwrap());
        prop_assert_eq!(vector::length(&numbers), Some(floats.len() as u64));
        prop_assert_eq!(vector::length(&coded), Some(floats.len() as u64));
        let back: Vec<f32> = serde_json::from_str(&vector::numbers(&coded).unwrap()).unwrap();
        prop_assert_eq!(back, floats);
        prop_assert_eq!(vector::encoding(&coded), VectorEncoding::Base64);
    }

    #[test]
    fn no_answer_is_too_strange(body in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-z0-9.e-]{0,80}") {
        let request = read(EmbeddingForm::Embeddings, r#"{"input":"a"}"#);
        let more = [EmbeddingWire::Typed, EmbeddingWire::Lines, EmbeddingWire::Predict { most: 1 }];
        for wire in [OPENAI, GEMINI].into_iter().chain(more) {
            for body in [&body[..], text.as_bytes(), format!("{{\"data\":[{text}],\"embeddings\":[{text}]}}").as_bytes()] {
                if let Ok(answer) = wire.parse_answer(body, &request) {
                    prop_assert_eq!(answer.vectors.len(), 1);
                }
            }
        }
        for form in [EmbeddingForm::Embeddings, EmbeddingForm::EmbedContent, EmbeddingForm::BatchEmbedContents, EmbeddingForm::Typed, EmbeddingForm::Lines, EmbeddingForm::LinesPrompt] {
            let _ = form.parse_request(&text, "m");
        }
    }
}
