//! One wire's requests at another's door: answered in the form that the door's clients read, or refused with the way to the right one.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{End, post};
use llmleaf_testkit::replay::{Replay, Script};
use llmleaf_testkit::samples::Wire;

const KEY: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");

fn start(replay: &Replay) -> Llmleaf {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n\
         [[providers]]\nname = \"vendor\"\nkind = \"openai\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-vendor\"\nprefix = \"vendor\"\n\n\
         [[providers]]\nname = \"plain\"\nkind = \"echo\"\nprefix = \"plain\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n",
        replay.url()
    );
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start()
}

/// A request as Cursor's agent posts it to the chat path: flat tools, tools of free text, no messages.
fn body(model: &str, stream: bool) -> String {
    format!(
        "{{\"model\":\"{model}\",\"stream\":{stream},\"instructions\":\"be brief\",\"input\":[{{\"role\":\"user\",\"content\":\
         [{{\"type\":\"input_text\",\"text\":\"hello there\"}}]}}],\"tools\":[{{\"type\":\"function\",\"name\":\"look\",\
         \"parameters\":{{\"type\":\"object\",\"properties\":{{}}}}}},{{\"type\":\"custom\",\"name\":\"patch\"}}],\"store\":false}}"
    )
}

#[test]
fn requests_of_responses_at_the_chat_path_are_answered_as_chat() {
    let replay = Replay::start();
    let leaf = start(&replay);
    for stream in [false, true] {
        let answer = post(
            leaf.addr,
            "/v1/chat/completions",
            &[KEY],
            &body("plain/x", stream),
        );
        assert_eq!(
            (answer.status, answer.end),
            (200, End::Clean),
            "{}",
            answer.text()
        );
        let digest = Wire::Chat.read(&answer);
        assert!(digest.text().contains("hello there"), "{}", answer.text());
        assert!(
            digest.terminal && digest.error.is_none(),
            "{}",
            answer.text()
        );
    }
    // Who speaks Responses gets the request as it came; its answer is told as chat.
    replay.push(Script::json(
        200,
        "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"x\",\"output\":[{\"type\":\"function_call\",\
         \"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":\"look\",\"arguments\":\"{}\",\"status\":\"completed\"}],\
         \"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}",
    ));
    let answer = post(
        leaf.addr,
        "/v1/chat/completions",
        &[KEY],
        &body("vendor/x", false),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(told.text_at(&["object"]), "chat.completion");
    let choice = &told.elements_at(&["choices"])[0];
    let call = &choice.elements_at(&["message", "tool_calls"])[0];
    assert_eq!(call.text_at(&["function", "name"]), "look");
    let sent = replay.take_requests().remove(0);
    assert_eq!(sent.path, "/v1/responses");
    assert_eq!(sent.text(), body("x", false));
    // A failure comes in the form of the path.
    replay.push(Script::json(
        400,
        "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\"}}",
    ));
    let refused = post(
        leaf.addr,
        "/v1/chat/completions",
        &[KEY],
        &body("vendor/x", true),
    );
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json().text_at(&["error", "message"]), "no");
}

#[test]
fn messages_sent_to_responses_are_told_where_they_belong() {
    let replay = Replay::start();
    let leaf = start(&replay);
    let body = "{\"model\":\"vendor/x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    let refused = post(leaf.addr, "/v1/responses", &[KEY], body);
    assert_eq!(refused.status, 400);
    let error = refused.json();
    assert_eq!(error.text_at(&["error", "param"]), "messages");
    let message = error.text_at(&["error", "message"]).to_owned();
    assert!(
        message.contains("/v1/chat/completions") && message.contains("`input`"),
        "{message}"
    );
    // With neither, the chat path asks for its own field.
    let refused = post(
        leaf.addr,
        "/v1/chat/completions",
        &[KEY],
        "{\"model\":\"vendor/x\"}",
    );
    assert_eq!(refused.json().text_at(&["error", "param"]), "messages");
    assert!(replay.requests().is_empty());
}
