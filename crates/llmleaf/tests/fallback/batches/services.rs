//! Services that take batches, each in its own way, as their documents describe them (2026). A request whose text has `refuse` in it is
//! refused, one with `late` runs out of time; all others are answered with their own text.

use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Replay, Request, Script};
use std::collections::HashMap;

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Files,
    Wrapped,
    OfOneModel,
    Messages,
    Gemini,
    Added,
}

/// Every kind of provider that takes batches, its form, and the path below its address.
pub const KINDS: [(&str, Form, &str); 9] = [
    ("openai", Form::Files, "/v1"),
    ("azure-openai", Form::Files, ""),
    ("groq", Form::Files, "/openai/v1"),
    ("moonshot", Form::Files, "/v1"),
    ("together", Form::Wrapped, "/v1"),
    ("mistral", Form::OfOneModel, "/v1"),
    ("anthropic", Form::Messages, ""),
    ("gemini", Form::Gemini, "/v1beta"),
    ("xai", Form::Added, "/v1"),
];

/// What a service remembers.
#[derive(Default)]
struct State {
    files: HashMap<String, String>,
    requests: Vec<(String, Value)>,
    label: String,
    cancelled: bool,
    deleted: bool,
}

/// Has a fake service take batches.
pub fn serve(replay: &Replay, form: Form) {
    let mut state = State::default();
    replay.on(move |request| answer(&mut state, form, request));
}

fn answer(state: &mut State, form: Form, request: &Request) -> Script {
    let path = request.path.split('?').next().unwrap_or_default();
    let tail = path.rsplit_once("batch").map_or(path, |(_, tail)| tail);
    match (&*request.method, form) {
        ("POST", _) if path.contains("/files") => upload(state, request),
        ("GET", _) if path.ends_with("/content") => content(state, path),
        ("GET" | "DELETE", _) if path.contains("/files/") => Script::json(200, file(path)),
        ("DELETE", _) => {
            state.deleted = true;
            Script::json(200, r#"{"id":"x","type":"message_batch_deleted"}"#)
        }
        ("POST", _) if tail.ends_with("cancel") => {
            state.cancelled = true;
            match form {
                Form::Gemini => Script::json(200, "{}"),
                _ => Script::json(200, object(state, form, false)),
            }
        }
        ("POST", Form::Added) if path.ends_with("/requests") => {
            let body = request.json().expect("JSON");
            for item in body.elements_at(&["batch_requests"]) {
                let id = item.text_at(&["batch_request_id"]).to_owned();
                let own = item.at(&["batch_request", "chat_get_completion"]);
                state.requests.push((id, own.expect("a call").clone()));
            }
            Script::json(200, "null")
        }
        ("POST", _) => make(state, form, request),
        ("GET", Form::Added) if path.ends_with("/results") => {
            Script::json(200, pages(state, request))
        }
        ("GET", Form::Messages) if path.ends_with("/results") => {
            Script::body(200, "application/x-jsonl", results(state, form))
        }
        // Ids end in what they are.
        ("GET", _) if path.ends_with("batch_own") || path.ends_with("own") => {
            Script::json(200, object(state, form, true))
        }
        ("GET", Form::Files | Form::OfOneModel) => Script::json(
            200,
            format!(
                r#"{{"object":"list","data":[{},{{"id":"batch_foreign","status":"completed","object":"batch","metadata":{{"llmleaf":"llmleaf-00-c"}}}}],"has_more":false}}"#,
                object(state, form, true)
            ),
        ),
        ("GET", Form::Wrapped) => Script::json(200, format!("[{}]", object(state, form, true))),
        ("GET", Form::Messages) => Script::json(
            200,
            format!(
                r#"{{"data":[{}],"has_more":false}}"#,
                object(state, form, true)
            ),
        ),
        ("GET", Form::Gemini) => Script::json(
            200,
            format!(r#"{{"operations":[{}]}}"#, object(state, form, true)),
        ),
        ("GET", Form::Added) => Script::json(
            200,
            format!(r#"{{"batches":[{}]}}"#, object(state, form, true)),
        ),
        _ => Script::json(405, "{}"),
    }
}

fn upload(state: &mut State, request: &Request) -> Script {
    let text = request.text();
    let head = request.header("content-type").expect("a type").to_owned();
    let boundary = head.split_once("boundary=").expect("a boundary").1;
    assert!(text.contains("name=\"purpose\""), "{text}");
    let part = text
        .split(boundary)
        .find(|part| part.contains("name=\"file\""))
        .expect("a file");
    let lines = part.split_once("\r\n\r\n").expect("a body").1;
    let lines = lines.trim_end_matches("--").trim_end_matches("\r\n");
    state.files.insert("file-own".to_owned(), lines.to_owned());
    Script::json(200, file("/files/file-own"))
}

fn file(path: &str) -> String {
    let id = path.rsplit('/').next().unwrap_or_default();
    format!(
        r#"{{"object":"file","id":"{id}","purpose":"batch","filename":"batch.jsonl","bytes":7,"created_at":1,"status":"processed"}}"#
    )
}

fn make(state: &mut State, form: Form, request: &Request) -> Script {
    let body = request.json().expect("JSON");
    let items = |path: &[&str]| body.elements_at(path).to_vec();
    match form {
        Form::Messages => {
            for item in items(&["requests"]) {
                let id = item.text_at(&["custom_id"]).to_owned();
                let own = item.at(&["params"]).expect("params").clone();
                state.requests.push((id, own));
            }
        }
        Form::Gemini => {
            state.label = body.text_at(&["batch", "displayName"]).to_owned();
            for item in items(&["batch", "inputConfig", "requests", "requests"]) {
                let id = item.text_at(&["metadata", "key"]).to_owned();
                let own = item.at(&["request"]).expect("a request").clone();
                state.requests.push((id, own));
            }
        }
        Form::Added => state.label = body.text_at(&["name"]).to_owned(),
        Form::Files | Form::Wrapped | Form::OfOneModel => {
            state.label = body.text_at(&["metadata", "llmleaf"]).to_owned();
            let lines = state.files.get("file-own").expect("a file").clone();
            for line in lines.lines().filter(|line| !line.is_empty()) {
                let item = llmleaf_testkit::json::parse(line).expect("a line of JSON");
                let id = item.text_at(&["custom_id"]).to_owned();
                let own = item.at(&["body"]).expect("a body").clone();
                state.requests.push((id, own));
            }
        }
    }
    let object = object(state, form, false);
    match form {
        Form::Wrapped => Script::json(201, format!(r#"{{"job":{object}}}"#)),
        _ => Script::json(200, object),
    }
}

/// The batch, as it runs or as it has ended.
fn object(state: &State, form: Form, done: bool) -> String {
    let total = state.requests.len();
    let (bad, late) = (count(state, "refuse"), count(state, "late"));
    let good = total - bad - late;
    let label = &state.label;
    let word = |running: &'static str, done_word: &'static str, stopped: &'static str| match (
        done,
        state.cancelled,
    ) {
        (_, true) => stopped,
        (true, _) => done_word,
        (false, _) => running,
    };
    match form {
        Form::Files | Form::Wrapped => {
            let status = word("in_progress", "completed", "cancelled");
            by_files(state, form, done, status)
        }
        Form::OfOneModel => format!(
            r#"{{"id":"batch_own","object":"batch","status":"{}","created_at":1795651200,"input_files":["file-own"],"endpoint":"/v1/chat/completions","errors":[],"metadata":{{"llmleaf":"{label}"}},"output_file":{},"error_file":{},"total_requests":{total},"completed_requests":{total},"succeeded_requests":{good},"failed_requests":{}}}"#,
            word("RUNNING", "SUCCESS", "CANCELLED"),
            if done { "\"file-out\"" } else { "null" },
            if done && bad + late > 0 {
                "\"file-err\""
            } else {
                "null"
            },
            bad + late,
        ),
        Form::Messages => format!(
            r#"{{"id":"msgbatch_own", "type":"message_batch","x":1.0,"processing_status":"{}","request_counts":{{"processing":{},"succeeded":{},"errored":{bad},"canceled":0,"expired":{late}}},"ended_at":{},"created_at":"2026-11-26T00:00:00Z","expires_at":"2026-11-27T00:00:00Z","archived_at":null,"cancel_initiated_at":null,"results_url":{}}}"#,
            word("in_progress", "ended", "canceling"),
            if done { 0 } else { total },
            if done { good } else { 0 },
            if done {
                "\"2026-11-26T01:00:00Z\""
            } else {
                "null"
            },
            if done {
                "\"https://api.example/v1/messages/batches/msgbatch_own/results\""
            } else {
                "null"
            },
        ),
        Form::Gemini => format!(
            r#"{{"name":"batches/own","metadata":{{"displayName":"{label}","createTime":"2026-11-26T00:00:00Z","state":"{}","batchStats":{{"requestCount":"{total}","successfulRequestCount":"{good}","failedRequestCount":"{}"}}{}}}}}"#,
            word(
                "BATCH_STATE_RUNNING",
                "BATCH_STATE_SUCCEEDED",
                "BATCH_STATE_CANCELLED"
            ),
            bad + late,
            match done {
                true => format!(
                    r#","output":{{"inlinedResponses":{{"inlinedResponses":[{}]}}}}"#,
                    results(state, form).trim_end_matches(',')
                ),
                false => String::new(),
            },
        ),
        Form::Added => added(state, done, (total, good, bad + late)),
    }
}

fn by_files(state: &State, form: Form, done: bool, status: &str) -> String {
    let total = state.requests.len();
    let (bad, late) = (count(state, "refuse"), count(state, "late"));
    let (good, label) = (total - bad - late, &state.label);
    let status = match form {
        Form::Wrapped => status.to_ascii_uppercase(),
        _ => status.to_owned(),
    };
    let created = match form {
        Form::Wrapped => "\"2026-11-26T00:00:00Z\"",
        _ => "1795651200",
    };
    let files = match done {
        true if bad + late > 0 => r#","output_file_id":"file-out","error_file_id":"file-err""#,
        true => r#","output_file_id":"file-out","error_file_id":null"#,
        false => "",
    };
    format!(
        r#"{{"id":"batch_own", "object":"batch","x":1.0,"endpoint":"/v1/chat/completions","status":"{status}","created_at":{created},"input_file_id":"file-own"{files},"metadata":{{"llmleaf":"{label}","mine":"1"}},"request_counts":{{"total":{total},"completed":{good},"failed":{}}}}}"#,
        bad + late,
    )
}

fn added(state: &State, done: bool, (total, good, bad): (usize, usize, usize)) -> String {
    let label = &state.label;
    format!(
        r#"{{"batch_id":"batch_own","name":"{label}","create_time":"2026-11-26","cancel_time":{},"state":{{"num_requests":{total},"num_pending":{},"num_success":{good},"num_error":{},"num_cancelled":0}}}}"#,
        if state.cancelled {
            "\"2026-11-26\""
        } else {
            "null"
        },
        if done { 0 } else { total },
        bad,
    )
}

fn count(state: &State, word: &str) -> usize {
    let has = |(_, body): &&(String, Value)| body.to_string().contains(word);
    state.requests.iter().filter(has).count()
}

/// All results: lines, or the items of a list with a comma each.
fn results(state: &State, form: Form) -> String {
    let each = state.requests.iter();
    each.map(|(id, body)| result(form, id, body)).collect()
}

fn result(form: Form, id: &str, body: &Value) -> String {
    let text = body.to_string();
    let (bad, late) = (text.contains("refuse"), text.contains("late"));
    let said = format!("re: {id}");
    match form {
        Form::Messages if late => {
            format!("{{\"custom_id\":\"{id}\",\"result\":{{\"type\":\"expired\"}}}}\n")
        }
        Form::Messages if bad => format!(
            "{{\"custom_id\":\"{id}\",\"result\":{{\"type\":\"errored\",\"error\":{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"refused\"}}}}}}}}\n"
        ),
        Form::Messages => format!(
            "{{\"custom_id\":\"{id}\", \"result\":{{\"type\":\"succeeded\",\"message\":{{\"id\":\"msg_{id}\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m-1\",\"content\":[{{\"type\":\"text\",\"text\":\"{said}\"}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{{\"input_tokens\":5,\"output_tokens\":7}}}}}}}}\n"
        ),
        Form::Gemini if bad || late => format!(
            "{{\"error\":{{\"code\":{},\"message\":\"refused\"}},\"metadata\":{{\"key\":\"{id}\"}}}},",
            if late { 4 } else { 3 }
        ),
        Form::Gemini => format!(
            "{{\"response\":{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{said}\"}}],\"role\":\"model\"}},\"finishReason\":\"STOP\"}}],\"usageMetadata\":{{\"promptTokenCount\":5,\"candidatesTokenCount\":7,\"totalTokenCount\":12}},\"modelVersion\":\"m-1\",\"responseId\":\"r-{id}\"}},\"metadata\":{{\"key\":\"{id}\"}}}},"
        ),
        Form::Added if bad || late => format!(
            "{{\"batch_request_id\":\"{id}\",\"batch_result\":{{\"error\":{{\"message\":\"refused\"}}}}}},"
        ),
        Form::Added => format!(
            "{{\"batch_request_id\":\"{id}\",\"batch_result\":{{\"response\":{{\"chat_get_completion\":{}}}}}}},",
            completion(id, &said)
        ),
        Form::Files | Form::Wrapped | Form::OfOneModel if late => format!(
            "{{\"id\":\"batch_req_{id}\",\"custom_id\":\"{id}\",\"response\":null,\"error\":{{\"code\":\"batch_expired\",\"message\":\"too late\"}}}}\n"
        ),
        Form::Files | Form::Wrapped | Form::OfOneModel if bad => format!(
            "{{\"id\":\"batch_req_{id}\",\"custom_id\":\"{id}\",\"response\":{{\"status_code\":400,\"request_id\":\"r\",\"body\":{{\"error\":{{\"message\":\"refused\",\"type\":\"invalid_request_error\"}}}}}},\"error\":null}}\n"
        ),
        Form::Files | Form::Wrapped | Form::OfOneModel => format!(
            "{{\"id\":\"batch_req_{id}\", \"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"request_id\":\"r\",\"body\":{}}},\"error\":null}}\n",
            completion(id, &said)
        ),
    }
}

fn completion(id: &str, said: &str) -> String {
    format!(
        "{{\"id\":\"chatcmpl-{id}\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{said}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}}}"
    )
}

fn content(state: &State, path: &str) -> Script {
    let is = |error: bool| {
        let each = state.requests.iter().filter(move |(_, body)| {
            let text = body.to_string();
            (text.contains("refuse") || text.contains("late")) == error
        });
        each.map(|(id, body)| result(Form::Files, id, body))
            .collect::<String>()
    };
    let text = match path {
        _ if path.contains("file-out") => is(false),
        _ if path.contains("file-err") => is(true),
        _ => state.files.get("file-own").cloned().unwrap_or_default(),
    };
    Script::body(200, "application/octet-stream", text)
}

/// One result a page.
fn pages(state: &State, request: &Request) -> String {
    let token = request.path.split_once("pagination_token=");
    let at: usize = token.map_or(0, |(_, at)| at.parse().expect("a number"));
    let item = state.requests.get(at);
    let text = item.map(|(id, body)| result(Form::Added, id, body));
    let text = text.unwrap_or_default();
    let next = match at + 1 < state.requests.len() {
        true => format!("\"{}\"", at + 1),
        false => "null".to_owned(),
    };
    format!(
        r#"{{"results":[{}],"pagination_token":{next}}}"#,
        text.trim_end_matches(',')
    )
}
