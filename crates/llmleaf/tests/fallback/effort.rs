//! How much models reason where requests say nothing: as provider or route have it, and as before where nobody says it.

use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::{answer, expect_answer, stage};

/// What the provider was sent for a request with these fields in front.
fn sent(stage: &Stage, consumer: Wire, provider: Wire, fields: &str) -> String {
    let asked = stage.first.requests().len();
    stage.first.on(move |_| answer(provider, true, "an answer"));
    let body = consumer.request(&Stage::chain(provider), true);
    let body = format!("{{{fields}{}", &body[1..]);
    let mut request = stage.ask_with(consumer, &body);
    let response = request.connection.response();
    expect_answer(consumer, &response, "an answer", fields);
    let requests = stage.first.requests();
    String::from_utf8_lossy(&requests[asked].body).into_owned()
}

#[test]
fn what_a_request_does_not_say_of_reasoning_the_configuration_does() {
    const LOW: &str = "\"reasoning_effort\":\"low\"";
    let off = stage().start();
    let on = stage()
        .first("settings = { reasoning_effort = \"low\" }\n")
        .start();
    assert!(!sent(&off, Wire::Chat, Wire::Chat, "").contains("reasoning"));
    for consumer in [Wire::Chat, Wire::Messages] {
        let body = sent(&on, consumer, Wire::Chat, "");
        assert!(body.contains(LOW), "{body}");
    }
    let body = sent(&on, Wire::Chat, Wire::Messages, "");
    assert!(
        body.contains("\"thinking\":") || body.contains("\"effort\":\"low\""),
        "{body}"
    );
    // In its own wire too it is asked for as the model takes it, and never in words that the wire has not.
    let body = sent(&on, Wire::Messages, Wire::Messages, "");
    assert!(body.contains("\"thinking\":{\"type\""), "{body}");
    // What the wire refuses together with it gives way: the consumer did not ask for that.
    let body = sent(&on, Wire::Messages, Wire::Messages, "\"temperature\":0.2,");
    let request = json::parse(&body).expect("JSON");
    let number = |path: &[&str]| request.at(path).and_then(Value::as_u64);
    assert!(
        number(&["max_tokens"]) > number(&["thinking", "budget_tokens"])
            && !body.contains("temperature"),
        "{body}"
    );
    let least = stage().first("settings = { reasoning_effort = \"none\" }\n");
    let body = sent(&least.start(), Wire::Messages, Wire::Messages, "");
    assert!(!body.contains("effort"), "{body}");
    // What the request says counts, and goes on as it was written.
    let said = "\"reasoning_effort\": \"high\",";
    let body = sent(&on, Wire::Chat, Wire::Chat, said);
    assert!(body.contains(said) && !body.contains(LOW), "{body}");
    let quiet = "\"thinking\":{\"type\":\"disabled\"},";
    let body = sent(&on, Wire::Messages, Wire::Messages, quiet);
    assert!(body.contains(quiet) && !body.contains("effort"), "{body}");
    // The route is nearer than the provider.
    let routed = stage()
        .first("settings = { reasoning_effort = \"low\" }\n")
        .route("reasoning_effort = \"high\"\n")
        .start();
    let body = sent(&routed, Wire::Chat, Wire::Chat, "");
    assert!(body.contains("\"reasoning_effort\":\"high\""), "{body}");
}
