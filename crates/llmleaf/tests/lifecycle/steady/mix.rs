//! What is asked and answered under mixed load, all by the number of the request, so that a run can be made again.

use llmleaf_testkit::replay::{Request, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::super::soak::mixed;

/// Of a hundred streams, and of a hundred whole answers, so many are left by their consumers.
const LEAVERS: u64 = 5;
/// Of a hundred attempts so many meet a fault.
const FAULTS: u64 = 5;
/// What a prompt says that is answered with half an answer: its consumer leaves.
const HALF: &str = "and wait";

/// A request.
pub struct Ask {
    pub path: String,
    pub body: String,
    pub stream: bool,
    /// Its consumer does not wait for all of it.
    pub leaves: bool,
}

/// What a consumer speaks.
#[derive(Clone, Copy)]
enum Speaks {
    Chat,
    Messages,
    Responses,
    Gemini,
    Cohere,
    Lines,
    Completions,
    Embeddings,
}

const SPOKEN: [Speaks; 8] = [
    Speaks::Chat,
    Speaks::Messages,
    Speaks::Responses,
    Speaks::Gemini,
    Speaks::Cohere,
    Speaks::Lines,
    Speaks::Completions,
    Speaks::Embeddings,
];

fn pick<T: Copy>(of: &[T], chance: u64) -> T {
    let at = usize::try_from(chance % of.len() as u64).expect("small");
    *of.get(at).expect("it is one of them")
}

impl Ask {
    pub fn of(number: u64) -> Self {
        let chance = mixed("ask", number);
        let speaks = pick(&SPOKEN, chance);
        let embeds = matches!(speaks, Speaks::Embeddings);
        // Every second stays within its wire, where it has one there.
        let own = match speaks {
            Speaks::Chat => Some(Wire::Chat),
            Speaks::Messages => Some(Wire::Messages),
            Speaks::Responses => Some(Wire::Responses),
            Speaks::Gemini => Some(Wire::Gemini),
            _ => None,
        };
        let other = pick(&Wire::ALL, chance >> 8);
        let target = own.filter(|_| chance >> 16 & 1 == 0).unwrap_or(other);
        let target = if embeds { Wire::Chat } else { target };
        let stream = !embeds && chance >> 17 & 1 == 0;
        let leaves = !embeds && (chance >> 20) % 100 < LEAVERS;
        let tools = chance >> 18 & 1 == 0;
        let model = Stage::chain(target);
        // Most are short, some are long: 20 to 400 bytes, up to 25 KB, 250 KB.
        let times = match chance >> 30 & 63 {
            0 => 12_000,
            1..8 => (chance >> 40) % 1_200,
            _ => (chance >> 40) % 20,
        };
        let more = "and say why at length ".repeat(usize::try_from(times).expect("small"));
        let end = if leaves { HALF } else { "soon" };
        let text = format!("Say two words {more}{end}");
        let path = match speaks {
            Speaks::Chat => "/v1/chat/completions".to_owned(),
            Speaks::Messages => "/v1/messages".to_owned(),
            Speaks::Responses => "/v1/responses".to_owned(),
            Speaks::Gemini => Wire::Gemini.path_to(&model, stream),
            Speaks::Cohere => "/v2/chat".to_owned(),
            Speaks::Lines => "/api/chat".to_owned(),
            Speaks::Completions => "/v1/completions".to_owned(),
            Speaks::Embeddings => "/v1/embeddings".to_owned(),
        };
        Self {
            path,
            body: speaks.body(&model, stream, &text, tools),
            stream,
            leaves,
        }
    }
}

impl Speaks {
    fn body(self, model: &str, stream: bool, text: &str, tools: bool) -> String {
        let schema =
            r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
        let told = r#""name":"weather","description":"The weather in a city.""#;
        let tools = match self {
            _ if !tools => String::new(),
            Self::Chat | Self::Cohere | Self::Lines => format!(
                r#","tools":[{{"type":"function","function":{{{told},"parameters":{schema}}}}}]"#
            ),
            Self::Messages => format!(r#","tools":[{{{told},"input_schema":{schema}}}]"#),
            Self::Responses => {
                format!(r#","tools":[{{"type":"function",{told},"parameters":{schema}}}]"#)
            }
            Self::Gemini => format!(
                r#","tools":[{{"functionDeclarations":[{{{told},"parameters":{schema}}}]}}]"#
            ),
            Self::Completions | Self::Embeddings => String::new(),
        };
        let head = format!(r#""model":"{model}","stream":{stream}"#);
        let messages = format!(r#""messages":[{{"role":"user","content":"{text}"}}]"#);
        match self {
            Self::Chat | Self::Cohere | Self::Lines => format!("{{{head},{messages}{tools}}}"),
            Self::Messages => format!("{{{head},\"max_tokens\":64,{messages}{tools}}}"),
            Self::Responses => format!(r#"{{{head},"input":"{text}"{tools}}}"#),
            Self::Gemini => format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}],"generationConfig":{{"maxOutputTokens":64}}{tools}}}"#
            ),
            Self::Completions => format!(r#"{{{head},"max_tokens":64,"prompt":"{text}"}}"#),
            Self::Embeddings => format!(r#"{{"model":"{model}","input":["{text}","two"]}}"#),
        }
    }
}

/// What the provider of that number in the chain answers.
pub fn answer(request: &Request, number: usize, asked: u64) -> Script {
    let text = request.text();
    let wire = Wire::of_path(&request.path);
    let chance = mixed("answer", asked * 2 + number as u64);
    if request.path.contains("/embeddings") {
        return match chance % 100 < FAULTS {
            true => Script::json(503, wire.error("overloaded_error", "busy")),
            false => vectors(),
        };
    }
    let stream = text.contains("\"stream\":true") || request.path.contains("stream");
    let content = "word ".repeat(usize::try_from(1 + (chance >> 20) % 60).expect("small"));
    let sample = wire.stream(content.trim_end());
    let body = || match chance >> 30 & 1 {
        0 => Script::sse(sample.body()),
        _ => Script::sse(sample.body()).write_at_once(),
    };
    if text.contains(HALF) {
        return match stream {
            true => body().stall_at(sample.until(1).len()),
            false => Script::silent(),
        };
    }
    match (chance % 100 < FAULTS).then_some(chance >> 8 & 7) {
        Some(0 | 1) => Script::json(503, wire.error("overloaded_error", "busy")),
        Some(2) => Script::json(429, wire.error("rate_limit_error", "slow down")),
        Some(3) => Script::raw(""),
        Some(4) if stream => body().close_at(sample.head().len()),
        Some(5) if stream => body().close_at(sample.until(1).len()),
        Some(6) if stream => body().stall_at(sample.head().len()),
        Some(_) => Script::json(200, "{nope"),
        None if text.contains("\"tools\"") && chance >> 31 & 1 == 0 => calls(wire, stream),
        None if stream => body(),
        None => Script::json(200, wire.whole(content.trim_end())),
    }
}

fn vectors() -> Script {
    let list = |index: u8| {
        let numbers = "0.0125,".repeat(255) + "0.5";
        format!(r#"{{"object":"embedding","index":{index},"embedding":[{numbers}]}}"#)
    };
    Script::json(
        200,
        format!(
            r#"{{"object":"list","model":"m-1","data":[{},{}],"usage":{{"prompt_tokens":11,"total_tokens":11}}}}"#,
            list(0),
            list(1)
        ),
    )
}

/// A call of the tool; of the wires whose samples have none, words.
fn calls(wire: Wire, stream: bool) -> Script {
    let call = r#""id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}"#;
    let usage = r#""usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16}"#;
    match (wire, stream) {
        (Wire::Chat, false) => Script::json(
            200,
            format!(
                r#"{{"id":"c","object":"chat.completion","created":1700000000,"model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":null,"tool_calls":[{{{call}}}]}},"finish_reason":"tool_calls"}}],{usage}}}"#
            ),
        ),
        (Wire::Chat, true) => {
            let chunk = |choices: &str, more: &str| {
                format!(
                    "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m-1\",\"choices\":[{choices}]{more}}}\n\n"
                )
            };
            let delta = |delta: &str, finish: &str| {
                chunk(
                    &format!(r#"{{"index":0,"delta":{delta},"finish_reason":{finish}}}"#),
                    "",
                )
            };
            let start = format!(r#"{{"role":"assistant","tool_calls":[{{"index":0,{call}}}]}}"#);
            let events = delta(&start, "null") + &delta("{}", r#""tool_calls""#);
            Script::sse(events + &chunk("", &format!(",{usage}")) + "data: [DONE]\n\n")
        }
        (Wire::Messages, false) => Script::json(
            200,
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":5}}"#,
        ),
        (Wire::Messages, true) => {
            let event = |kind: &str, rest: &str| {
                format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n")
            };
            let events = [
                event(
                    "message_start",
                    r#","message":{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":1}}"#,
                ),
                event(
                    "content_block_start",
                    r#","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}"#,
                ),
                event(
                    "content_block_delta",
                    r#","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Oslo\"}"}"#,
                ),
                event("content_block_stop", r#","index":0"#),
                event(
                    "message_delta",
                    r#","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":5}"#,
                ),
                event("message_stop", ""),
            ];
            Script::sse(events.concat())
        }
        (_, true) => Script::sse(wire.stream("no words").body()),
        (_, false) => Script::json(200, wire.whole("no words")),
    }
}
