use super::*;
use llmleaf_model::{FailureKind, LossKind, Retry};
use proptest::prelude::*;

const PLAIN: RerankWire = RerankWire::Plain(PlainQuirks::REFERENCE);

fn read(form: RerankForm, body: &str) -> RerankRequest {
    form.parse_request(body, "m")
        .unwrap_or_else(|f| panic!("{}", f.message))
}

fn sent(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).expect("text")
}

fn edited(wire: &RerankWire, body: &str) -> Rendered {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read(&body).expect("a head");
    wire.edit(&head, &body, "theirs").expect("edited")
}

fn lost(rendered: &Rendered) -> Vec<(&str, LossKind)> {
    let losses = rendered.losses.iter();
    losses
        .map(|loss| (loss.field.as_str(), loss.kind))
        .collect()
}

#[test]
fn the_same_form_keeps_its_bytes_but_for_named_edits() {
    let body = r#"{ "documents" : ["a", {"text":"b","x":1.50}],"model":"ours", "top_n":3,"query":"q","provider":{"order":["x"]}}"#;
    let rendered = edited(&PLAIN, body);
    let expected = body
        .replace("ours", "theirs")
        .replace(r#","provider":{"order":["x"]}"#, "");
    assert_eq!(sent(&rendered), expected);
    assert_eq!(lost(&rendered), [("provider", LossKind::Dropped)]);
    let router = RerankWire::Plain(PlainQuirks {
        routes: true,
        top_n: "top_k".into(),
        ..PlainQuirks::REFERENCE
    });
    let rendered = edited(&router, body);
    let expected = body.replace("ours", "theirs").replace("top_n", "top_k");
    assert_eq!((sent(&rendered), lost(&rendered)), (&*expected, vec![]));
    let texts = r#"{"model":"ours","query":"q","documents":[],"priority":1}"#;
    let rendered = edited(&RerankWire::Texts, texts);
    assert_eq!(sent(&rendered), texts.replace("ours", "theirs"));
}

#[test]
fn the_plain_form_becomes_texts() {
    let body = r#"{"model":"ours","query":{"text":"q"},"documents":["a",{"text":"b"},{"text":"c","title":"t"},{"title":"d","n":1}],"top_n":2,"return_documents":true,"max_chunks_per_doc":3}"#;
    let request = read(RerankForm::Plain, body);
    let rendered = RerankWire::Texts.render_request(&request, "o");
    let rendered = rendered.expect("rendered");
    assert_eq!(
        sent(&rendered),
        r#"{"model":"o","query":"q","documents":["a","b","c","title: d\nn: 1"],"top_n":2}"#
    );
    let expected = [
        ("documents", LossKind::Approximated),
        ("max_chunks_per_doc", LossKind::Dropped),
    ];
    assert_eq!(lost(&rendered), expected);
    // The fields that are named count, in their order.
    let body = body.replace("\"top_n\":2", r#""rank_fields":["title","text"]"#);
    let request = read(RerankForm::Plain, &body);
    let rendered = RerankWire::Texts.render_request(&request, "o");
    let rendered = rendered.expect("rendered");
    assert!(
        sent(&rendered).contains(r#"["a","b","title: t\ntext: c","title: d"]"#),
        "{}",
        sent(&rendered)
    );
    let image =
        r#"{"model":"ours","query":"q","documents":[{"image":"https://example.com/a.png"}]}"#;
    let request = read(RerankForm::Plain, image);
    let failure = RerankWire::Texts
        .render_request(&request, "o")
        .expect_err("no images");
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
}

#[test]
fn texts_become_the_plain_form() {
    let body = r#"{"model":"ours","query":"q","documents":["a"],"top_n":1,"max_tokens_per_doc":9,"priority":2}"#;
    let request = read(RerankForm::Texts, body);
    let rendered = PLAIN.render_request(&request, "o").expect("rendered");
    assert_eq!(
        sent(&rendered),
        r#"{"model":"o","query":"q","documents":["a"],"top_n":1,"return_documents":false}"#
    );
    let expected = [
        ("max_tokens_per_doc", LossKind::Dropped),
        ("priority", LossKind::Dropped),
    ];
    assert_eq!(lost(&rendered), expected);
}

#[test]
fn a_request_says_what_is_wrong_with_it() {
    for (form, body, param) in [
        (RerankForm::Plain, r#"{"documents":["a"]}"#, "query"),
        (RerankForm::Plain, r#"{"query":"q"}"#, "documents"),
        (RerankForm::Texts, r#"{"query":7,"documents":[]}"#, "query"),
        (
            RerankForm::Texts,
            r#"{"query":"q","documents":"a"}"#,
            "documents",
        ),
        (
            RerankForm::Plain,
            r#"{"query":"q","documents":["a",1]}"#,
            "documents[1]",
        ),
        (
            RerankForm::Plain,
            r#"{"query":"q","documents":[],"top_n":-1}"#,
            "top_n",
        ),
    ] {
        let failure = form.parse_request(body, "m").expect_err(body);
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn an_answer_must_be_one_to_the_request() {
    let request = read(
        RerankForm::Texts,
        r#"{"query":"q","documents":["a","b"],"top_n":1}"#,
    );
    let of = |results: &str| {
        let body = format!("{{\"results\":[{results}]}}");
        PLAIN.parse_answer(body.as_bytes(), &request)
    };
    for wrong in [
        "",
        "1",
        r#"{"relevance_score":1}"#,
        r#"{"index":0}"#,
        r#"{"index":0,"relevance_score":"1"}"#,
        r#"{"index":2,"relevance_score":1}"#,
        r#"{"index":-1,"relevance_score":1}"#,
        r#"{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}"#,
    ] {
        let failure = of(wrong).expect_err(wrong);
        assert_eq!(failure.kind, FailureKind::InvalidResponse, "{wrong}");
    }
    assert!(PLAIN.parse_answer(b"{}", &request).is_err());
    let good = of(r#"{"index":1,"relevance_score":1}"#).expect("good");
    assert!(is_as_asked(&good, &request));
    // One that ignores how many are wanted is cut, the best of them first.
    let more = of(r#"{"index":0,"relevance_score":-2e-1},{"index":1,"relevance_score":0.50}"#);
    let more = more.expect("good");
    assert!(!is_as_asked(&more, &request));
    let told = RerankForm::Texts.render(&more, &request);
    let told = String::from_utf8(told).expect("text");
    assert_eq!(
        told,
        r#"{"results":[{"index":1,"relevance_score":0.50}],"meta":{"api_version":{"version":"2"}}}"#
    );
}

#[test]
fn documents_are_repeated_where_that_was_asked_for() {
    let body = r#"{"query":"q","documents":["a",{"text":"b","n":1},"c"],"return_documents":true}"#;
    let mut request = read(RerankForm::Plain, body);
    let answer = br#"{"id":"i","object":"list","data":[{"index":2,"score":3,"document":"c"},{"index":1,"score":2,"document":{}},{"index":0,"score":1}],"usage":{"total_tokens":7,"search_units":2,"cost":0.002}}"#;
    let answer = PLAIN.parse_answer(answer, &request).expect("an answer");
    assert!(answer.renamed && !is_as_asked(&answer, &request));
    let usage = answer.usage.as_ref().expect("counts");
    assert_eq!((usage.input, usage.units.searches), (7, 2));
    assert_eq!(usage.cost_nano_usd, Some(2_000_000));
    let told = RerankForm::Plain.render(&answer, &request);
    assert_eq!(
        String::from_utf8(told).expect("text"),
        concat!(
            r#"{"id":"i","object":"list","model":"m","results":[{"index":2,"relevance_score":3,"document":{"text":"c"}},"#,
            r#"{"index":1,"relevance_score":2,"document":{"text":"b","n":1}},{"index":0,"relevance_score":1,"document":{"text":"a"}}],"#,
            r#""usage":{"prompt_tokens":7,"total_tokens":7,"search_units":2,"cost":0.002000000},"#,
            r#""meta":{"api_version":{"version":"1"},"billed_units":{"search_units":2},"tokens":{"input_tokens":7}}}"#
        )
    );
    request.return_documents = None;
    let told = RerankForm::Plain.render(&answer, &request);
    assert!(!String::from_utf8(told).expect("text").contains("document"));
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(body in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-z0-9.e-]{0,80}") {
        let request = read(RerankForm::Plain, r#"{"query":"q","documents":["a"],"return_documents":true}"#);
        for body in [&body[..], text.as_bytes(), format!("{{\"results\":[{{\"index\":0,\"relevance_score\":1,\"document\":[{text}]}}]}}").as_bytes()] {
            if let Ok(answer) = PLAIN.parse_answer(body, &request) {
                prop_assert_eq!(answer.results.len(), 1);
                for form in [RerankForm::Plain, RerankForm::Texts] {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&form.render(&answer, &request)).is_ok());
                }
            }
        }
        for form in [RerankForm::Plain, RerankForm::Texts] {
            let _ = form.parse_request(&text, "m");
        }
    }
}
