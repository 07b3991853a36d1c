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

/// A stream of a call in pieces, as the reference has it.
const PIECES: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\
\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\
\"function\":{\"name\":\"look\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\
\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\
\"finish_reason\":\"tool_calls\"}]}\n\n\
data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\
\"completion_tokens\":4,\"total_tokens\":7}}\n\ndata: [DONE]\n\n";

/// The same from a service whose calls come whole.
const WHOLE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\
\"delta\":{\"tool_calls\":[{\"id\":\"call_1\",\"function\":{\"name\":\"look\",\"arguments\":\"{}\"},\"index\":0}]},\
\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7},\"p\":\"x\"}\n\ndata: [DONE]\n\n";

#[test]
fn clients_that_fail_at_pieces_of_calls_get_them_whole() {
    let (pieces, whole) = (Replay::start(), Replay::start());
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n\
         [[providers]]\nname = \"vendor\"\nkind = \"openai-compatible\"\nendpoint = \"{}/v1\"\nprefix = \"vendor\"\n\n\
         [[providers]]\nname = \"own\"\nkind = \"mistral\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-own\"\nprefix = \"own\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n",
        pieces.url(),
        whole.url()
    );
    let leaf = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    let ask = |path: &str, model: &str| {
        let body = format!(
            "{{\"model\":\"{model}/x\",\"stream\":true,\"random_seed\":5,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
        );
        let answer = post(leaf.addr, path, &[KEY], &body);
        assert_eq!(
            (answer.status, answer.end),
            (200, End::Clean),
            "{}",
            answer.text()
        );
        answer.text()
    };
    pieces.push(Script::sse(PIECES.to_owned()));
    let told = ask("/mistral/v1/chat/completions", "vendor");
    let call = "\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"a\\\":1}\"}}]";
    assert!(told.contains(call), "{told}");
    assert_eq!(told.matches("\"tool_calls\":[").count(), 1, "{told}");
    assert!(
        !told.contains("\"choices\":[]") && told.contains("\"total_tokens\":7"),
        "{told}"
    );
    let sent = pieces.take_requests().remove(0).text();
    assert!(
        sent.contains("\"seed\":5") && !sent.contains("random_seed"),
        "{sent}"
    );
    // Elsewhere the provider's pieces are handed on, and what is whole already is handed on here.
    pieces.push(Script::sse(PIECES.to_owned()));
    let told = ask("/v1/chat/completions", "vendor");
    assert_eq!(told.matches("\"tool_calls\":[").count(), 2, "{told}");
    whole.push(Script::sse(WHOLE.to_owned()));
    assert_eq!(ask("/mistral/v1/chat/completions", "own"), WHOLE);
    assert!(
        whole
            .take_requests()
            .remove(0)
            .text()
            .contains("\"random_seed\":5")
    );
}
