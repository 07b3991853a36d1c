//! Any bytes, read as a consumer's request, and what was read, rendered for providers of all wires.

use crate::{json, wires};
use llmleaf_dialects::chat_completions::quirks::{ReasoningEcho, ReasoningRequest};
use llmleaf_dialects::{ChatWire, Dialect, Head, Target, head, messages};
use llmleaf_model::{ChatRequest, Failure, FailureKind, ReasoningMode};

/// All laws of a request.
pub fn hold(dialect: Dialect, choice: u8, body: &[u8]) {
    let Ok(text) = head::text(body) else {
        assert!(Head::read(body).is_err(), "a head of what is no text");
        return;
    };
    let head = wires::head(dialect, body, "asked", false);
    // White space is ours to choose: frames and requests are written in one line.
    let text = &text.replace(['\n', '\r'], " ");
    let doubles = json::has_doubles(text.as_bytes());
    if let Ok(request) = dialect.parse_request(text) {
        // Where the path says both, the body says neither for sure.
        if let Ok(head) = &head
            && dialect != Dialect::GenerateContent
        {
            assert_eq!(
                (&head.model, head.stream),
                (&request.model, request.stream),
                "head and body differ"
            );
        }
        // A number of as many digits as a float holds, or far from 1, is read as a near one: within one unit of the last
        // place, and that only here, where the dialects are different.
        let long = |piece: &[u8]| piece.iter().all(u8::is_ascii_digit);
        let far = |piece: &[u8]| {
            piece[0].is_ascii_digit()
                && piece[1].eq_ignore_ascii_case(&b'e')
                && matches!(piece[2], b'+' | b'-' | b'0'..=b'9')
        };
        let near = text.as_bytes().windows(14).any(long) || text.as_bytes().windows(3).any(far);
        if !near {
            same(dialect, text, &request);
        }
        for to in wires::DIALECTS {
            across(
                &wires::pick(to, choice),
                &request,
                choice & 0x10 != 0,
                doubles,
            );
        }
    }
    if let Ok(request) = dialect.parse_count(text) {
        counted(&request, choice, doubles);
    }
}

/// Read, rendered for a service that takes everything, and read again, a request is the same.
fn same(dialect: Dialect, text: &str, request: &ChatRequest) {
    let wire = fitting(dialect, text);
    let target = Target {
        model: &request.model,
        stream: request.stream,
    };
    let rendered = match wire.render_request(request, target) {
        Ok(rendered) => rendered,
        Err(failure) => return refused(&failure),
    };
    if !rendered.losses.is_empty() {
        return;
    }
    let written = std::str::from_utf8(&rendered.body).unwrap();
    let mut again = match dialect.parse_request(written) {
        Ok(again) => again,
        Err(failure) => panic!("{failure:?} in {written}"),
    };
    // The usage flag is the one thing that is added, and means nothing where nothing streams.
    assert!(!rendered.usage_added || request.stream && !request.stream_usage);
    if rendered.usage_added || !request.stream {
        again.stream_usage = request.stream_usage;
    }
    let mut request = request.clone();
    if dialect == Dialect::GenerateContent {
        // It goes into the path.
        again.model.clone_from(&request.model);
    }
    if matches!(dialect, Dialect::ChatCompletions | Dialect::TextCompletions) && !request.stream {
        // Refused by services where nothing streams.
        request.rest.take("stream_options");
    }
    // To ask for reasoning in any words is to switch it on, where the service has a switch.
    if let (Some(asked), Some(read)) = (&mut request.reasoning, &again.reasoning)
        && asked.mode.is_none()
        && read.mode == Some(ReasoningMode::Enabled)
    {
        asked.mode = read.mode;
    }
    assert_eq!(again, request, "{written}");
}

/// A request may be one for other targets, or hold a schema that no target can take.
fn refused(failure: &Failure) {
    let schema = failure
        .param
        .as_deref()
        .is_some_and(|param| param.starts_with("tools[") || param.starts_with("response_format"));
    let invalid = failure.kind == FailureKind::InvalidRequest && schema;
    assert!(
        failure.kind == FailureKind::Unsupported || invalid,
        "{failure:?}"
    );
}

/// A service of the dialect that takes what this request says.
fn fitting(dialect: Dialect, text: &str) -> ChatWire {
    match dialect {
        Dialect::Messages
        | Dialect::GenerateContent
        | Dialect::Ollama(_)
        | Dialect::CohereChat
        | Dialect::TextCompletions => return wires::reference(dialect),
        Dialect::Responses => return wires::holder(),
        Dialect::ChatCompletions => {}
    }
    let fields = json::fields(text.as_bytes());
    let has = |name: &str| fields.iter().any(|(n, v)| n == name && v.get() != "null");
    let request = if has("thinking") {
        ReasoningRequest::Thinking
    } else if has("reasoning") || has("include_reasoning") {
        ReasoningRequest::Object
    } else {
        ReasoningRequest::Effort
    };
    let parts = ["\"type\":\"thinking\"", "\"type\": \"thinking\""];
    let parts = parts.iter().any(|part| text.contains(part)) && !has("thinking");
    let echo = if parts {
        ReasoningEcho::ContentParts
    } else {
        ReasoningEcho::Details
    };
    wires::generous(request, echo)
}

/// Names under which something comes from outside as it is.
const PASSED: &[&str] = &[
    "input",
    "input_schema",
    "parameters",
    "schema",
    "metadata",
    "args",
    "response",
    "parametersJsonSchema",
    "responseJsonSchema",
    "format",
    "data",
    "json_schema",
    "citations",
];

/// A rendered request is one that its own wire reads.
fn across(wire: &ChatWire, request: &ChatRequest, stream: bool, doubles: bool) {
    let target = Target {
        model: "other \"model\"",
        stream,
    };
    let rendered = match wire.render_request(request, target) {
        Ok(rendered) => rendered,
        Err(failure) => return refused(&failure),
    };
    if !doubles {
        json::assert_strict(&rendered.body, PASSED);
    }
    let head = wires::head(wire.dialect(), &rendered.body, target.model, stream).unwrap();
    assert_eq!((head.model.as_str(), head.stream), (target.model, stream));
    let written = std::str::from_utf8(&rendered.body).unwrap();
    if let Err(failure) = wire.dialect().parse_request(written) {
        panic!("{failure:?} in {written}\nfrom {request:?}");
    }
}

fn counted(request: &ChatRequest, choice: u8, doubles: bool) {
    let ChatWire::Messages(quirks) = wires::pick(Dialect::Messages, choice) else {
        return;
    };
    let rendered = match messages::count::render_request(request, "m", &quirks) {
        Ok(rendered) => rendered,
        Err(failure) => return refused(&failure),
    };
    if !doubles {
        json::assert_strict(&rendered.body, PASSED);
    }
    let written = std::str::from_utf8(&rendered.body).unwrap();
    if let Err(failure) = messages::count::parse_request(written) {
        panic!("{failure:?} in {written}\nfrom {request:?}");
    }
}
