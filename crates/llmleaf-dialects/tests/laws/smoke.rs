//! The laws over recorded traffic and over mutations of it, the same ones on every run.

use crate::mutate::{Random, mutate};
use crate::{answers, edits, errors, requests, streams};
use llmleaf_dialects::Dialect;
use llmleaf_testkit::recordings::{self, Body};

/// Longest text that is mutated; a longer one only costs more for the same.
const MAX_SEED: usize = 3000;
/// Longest text that is read as it is: the dialects' own tests read all of the long ones.
const MAX_WHOLE: usize = 6000;
/// Mutations of each kind of text.
const ROUNDS: u64 = 500;

/// Texts of one kind: of all dialects mixed, since a service may say anything.
struct Seeds(Vec<Vec<u8>>);

impl Seeds {
    /// Recorded texts of the given wires behind a few of our own, so that there is something without recordings too.
    fn new(own: &[&str], pick: impl Fn(&recordings::Recording) -> Option<String>) -> Self {
        let wires = [
            "openai-chat",
            "anthropic-messages",
            "vertex-anthropic",
            "openai-responses",
            "gemini-generate",
            "ollama-chat",
            "ollama-generate",
            "cohere-v2",
        ];
        let recorded = recordings::load_where("laws", |r| wires.contains(&r.wire.as_str()));
        let recorded = recorded.unwrap_or_default();
        let texts = recorded.iter().filter_map(pick).map(String::into_bytes);
        Self(
            own.iter()
                .map(|s| s.as_bytes().to_vec())
                .chain(texts)
                .collect(),
        )
    }

    /// Calls the law with every seed as it is, then with mutations of the short ones.
    fn hold(&self, law: impl Fn(&mut Random, &[u8])) {
        let mut random = Random::new(1);
        for seed in self.0.iter().filter(|s| s.len() <= MAX_WHOLE) {
            let _shown = Shown(seed);
            law(&mut random, seed);
        }
        let short: Vec<_> = self.0.iter().filter(|s| s.len() <= MAX_SEED).collect();
        for round in 0..ROUNDS {
            let mut random = Random::new(round);
            let mut bytes = mutate(short[random.below(short.len())], &mut random);
            for _ in 0..random.below(3) {
                bytes = mutate(&bytes, &mut random);
            }
            let _shown = Shown(&bytes);
            law(&mut random, &bytes);
        }
    }
}

/// Shows the text that a law was broken by.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken by: {}", String::from_utf8_lossy(self.0));
        }
    }
}

fn byte(random: &mut Random) -> u8 {
    random.next().to_le_bytes()[1]
}

fn dialects() -> [Dialect; 8] {
    crate::wires::DIALECTS
}

const CHAT_STREAM: &str = concat!(
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"b\"}},{\"index\":1,\"delta\":{\"content\":\"c\"}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"cost\":0.1}}\n\ndata: [DONE]\n\n",
);

const MESSAGES_STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"t\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":20}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES_STREAM: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"created_at\":7,\"model\":\"m\",\"status\":\"in_progress\"}}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}}\n\n",
    "data: {\"type\":\"response.reasoning_summary_text.delta\",\"item_id\":\"rs_1\",\"output_index\":0,\"summary_index\":0,\"delta\":\"t\"}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"t\"}],\"encrypted_content\":\"e\"}}\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"delta\":\"a\"}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}}\n\n",
    "data: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_1\",\"output_index\":2,\"delta\":\"{}\"}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}}\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n",
);

const CHAT_REQUEST: &str = r#"{"model":"m","messages":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},{"role":"assistant","content":null,"reasoning_details":[{"type":"reasoning.text","text":"r","signature":"s","format":"anthropic-claude-v1"}],"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"max_tokens":5,"stop":"x","user":"u","seed":1}"#;

const MESSAGES_REQUEST: &str = r#"{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},{"type":"text","text":"t"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"llmleaf.v1.google-gemini-v1.signature.QQ"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}],"thinking":{"type":"enabled","budget_tokens":1024},"tools":[{"name":"f","input_schema":{"type":"object"}}],"metadata":{"user_id":"u"}}"#;

const RESPONSES_REQUEST: &str = r#"{"model":"m","instructions":"s","input":[{"role":"user","content":[{"type":"input_text","text":"t"},{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"}]},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"x"}],"encrypted_content":"gAAA"},{"type":"function_call","call_id":"c","name":"f","namespace":"g","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"},{"type":"custom_tool_call","call_id":"d","name":"p","input":"free"},{"type":"custom_tool_call_output","call_id":"d","output":[{"type":"input_text","text":"r"}]}],"tools":[{"type":"namespace","name":"g","description":"d","tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}]},{"type":"custom","name":"p","format":{"type":"grammar","syntax":"lark","definition":"x"}},{"type":"web_search"}],"reasoning":{"effort":"low","summary":"auto"},"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}},"verbosity":"low"},"include":["reasoning.encrypted_content"],"store":false,"max_output_tokens":99,"prompt_cache_key":"k","safety_identifier":"u"}"#;
const GEMINI_STREAM: &str = concat!(
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"t\",\"thought\":true}],\"role\":\"model\"},\"index\":0}],\"responseId\":\"r\",\"modelVersion\":\"m\"}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"functionCall\":{\"name\":\"f\",\"args\":{\"x\":1}},\"thoughtSignature\":\"s\"}]},\"index\":0},{\"index\":1}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"g\",\"willContinue\":true}}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":\"b\"}]}}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"z\"}]},\"finishReason\":\"STOP\",\"index\":0},{\"index\":1,\"finishReason\":\"SAFETY\"}],",
    "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":1,\"totalTokenCount\":6}}\r\n\r\n",
);

const GEMINI_REQUEST: &str = r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"t"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]},{"role":"model","parts":[{"text":"h","thought":true},{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"r"}}}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}]},{"googleSearch":{}}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},"generationConfig":{"temperature":0.5,"maxOutputTokens":9,"responseMimeType":"application/json","responseSchema":{"type":"STRING"},"thinkingConfig":{"thinkingBudget":1024,"includeThoughts":true},"speechConfig":{}},"safetySettings":[]}"#;

const OLLAMA_STREAM: &str = concat!(
    "{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00.5Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"t\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"logprobs\":[{\"token\":\"a\",\"logprob\":-1}],\"done\":false}\n",
    "{\"model\":\"m\",\"response\":\"b\",\"done\":false}\r\n",
    "{\"model\":\"m\",\"message\":{\"content\":\"\",\"images\":[\"iVBORw0KGgo=\"],\"tool_calls\":[{\"id\":\"c\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{\"x\":1}}},{\"function\":{\"name\":\"g\",\"arguments\":{}}}]},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,\"total_duration\":9,\"prompt_eval_count\":3,\"eval_count\":2}\n",
);

const OLLAMA_REQUEST: &str = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"q","images":["iVBORw0KGgo="]},{"role":"assistant","content":"","thinking":"h","tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":{"a":1}}},{"function":{"name":"g","arguments":{}}}],"signatures":["llmleaf.v1.anthropic-claude-v1.signature.QQ..aA"]},{"role":"tool","content":"r","tool_name":"f"},{"role":"tool","content":"r","tool_call_id":"leaf_1"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"x":1}}],"format":{"type":"object"},"options":{"temperature":0.5,"num_predict":-1,"num_ctx":4096,"stop":"x"},"think":"high","keep_alive":"5m"}"#;

const OLLAMA_PROMPT: &str = r#"{"model":"m","prompt":"q","system":"s","images":["iVBORw0KGgo="],"raw":false,"context":[1],"suffix":"z","format":"json","stream":false,"options":{"num_predict":9}}"#;

const COHERE_STREAM: &str = concat!(
    "event: message-start\ndata: {\"id\":\"c\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n",
    "event: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}}}\n\n",
    "data: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"thinking\":\"t\"}}}}\n\n",
    "data: {\"type\":\"content-end\",\"index\":0}\n\n",
    "data: {\"type\":\"content-start\",\"index\":1,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
    "data: {\"type\":\"content-delta\",\"index\":1,\"delta\":{\"message\":{\"content\":{\"text\":\"a\"}}},\"logprobs\":{\"text\":\"a\",\"token_ids\":[1],\"logprobs\":[-0.5]}}\n\n",
    "data: {\"type\":\"citation-start\",\"index\":0,\"delta\":{\"message\":{\"citations\":{\"start\":0,\"end\":1,\"text\":\"a\",\"sources\":[{\"type\":\"document\",\"id\":\"d\",\"document\":{\"title\":\"t\",\"url\":\"u\"}}],\"type\":\"TEXT_CONTENT\",\"content_index\":1}}}}\n\n",
    "data: {\"type\":\"citation-end\",\"index\":0}\n\ndata: {\"type\":\"content-end\",\"index\":1}\n\n",
    "data: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"p\"}}}\n\n",
    "data: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"f_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}}\n\n",
    "data: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}}}\n\n",
    "data: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
    "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"billed_units\":{\"input_tokens\":1,\"output_tokens\":2},\"tokens\":{\"input_tokens\":3,\"output_tokens\":4}}}}\n\ndata: [DONE]\n\n",
);

const COHERE_REQUEST: &str = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]},{"role":"assistant","tool_plan":"p","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"signature":"llmleaf.v1.google-gemini-v1.call-signature.QQ.Yw"}]},{"role":"tool","tool_call_id":"c","content":[{"type":"document","document":{"id":"d","data":{"title":"t","text":"x"}}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"llmleaf.v1.anthropic-claude-v1.encrypted.QQ"},{"type":"text","text":"a b"}],"citations":[{"start":0,"end":1,"text":"a","sources":[{"type":"tool","id":"c:0","tool_output":{"x":"1"}}],"type":"TEXT_CONTENT","content_index":1}]},{"role":"user","content":"u"}],"documents":["d",{"data":{"k":"v"},"id":"1"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","required":["a"]}}}],"strict_tools":true,"tool_choice":"REQUIRED","thinking":{"type":"enabled","token_budget":9},"response_format":{"type":"json_object","json_schema":{"type":"object"}},"p":0.5,"k":3,"seed":1,"stop_sequences":["x"],"safety_mode":"STRICT","citation_options":{"mode":"FAST"},"stream":true}"#;

#[test]
fn streams_keep_their_laws() {
    let sse = |r: &recordings::Recording| match &r.body {
        Body::Sse(text) | Body::Ndjson(text) => Some(text.clone()),
        _ => None,
    };
    Seeds::new(
        &[
            CHAT_STREAM,
            MESSAGES_STREAM,
            RESPONSES_STREAM,
            GEMINI_STREAM,
            OLLAMA_STREAM,
            COHERE_STREAM,
        ],
        sse,
    )
    .hold(|random, bytes| {
        let lengths = [1 + random.below(9), 1 + random.below(200)];
        for dialect in dialects() {
            streams::hold(dialect, byte(random), &lengths, bytes);
        }
    });
}

#[test]
fn requests_keep_their_laws() {
    Seeds::new(
        &[
            CHAT_REQUEST,
            MESSAGES_REQUEST,
            RESPONSES_REQUEST,
            GEMINI_REQUEST,
            OLLAMA_REQUEST,
            OLLAMA_PROMPT,
            COHERE_REQUEST,
        ],
        |r| r.request_body.clone(),
    )
    .hold(|random, bytes| {
        for dialect in dialects() {
            requests::hold(dialect, byte(random), bytes);
            edits::hold(dialect, byte(random), bytes);
        }
    });
}

#[test]
fn answers_and_errors_keep_their_laws() {
    let own = [
        r#"{"id":"c","choices":[{"index":0,"message":{"content":"a","tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#,
        r#"{"type":"message","id":"m","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"t","name":"f","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}"#,
        r#"{"id":"resp_1","object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"message","id":"m","content":[{"type":"output_text","text":"a","annotations":[]}]},{"type":"function_call","call_id":"t","name":"f","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}"#,
        r#"{"error":{"message":"m","type":"t","param":"p","code":429}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"id":"t","name":"f","args":{}}},{"executableCode":{"code":"1"}}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"t"}}]}}],"usageMetadata":{"promptTokenCount":1},"responseId":"r"}"#,
        r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"a","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true,"done_reason":"length","prompt_eval_count":1,"eval_count":2}"#,
        r#"{"error":"the input length exceeds the context length"}"#,
        r#"{"id":"c","message":{"role":"assistant","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"}],"tool_plan":"p","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}],"citations":[{"start":0,"end":1,"text":"a","sources":[{"type":"tool","id":"t:0","tool_output":{"url":"u"}},{"type":"document","id":"d"}],"content_index":1}]},"finish_reason":"TOOL_CALL","logprobs":[{"text":"a","token_ids":[1,2],"logprobs":[-1,-0.5]}],"usage":{"billed_units":{"input_tokens":1}}}"#,
        r#"{"id":"r","message":"too many tokens: m","error_type":"TOO_MANY_TOKENS"}"#,
        r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#,
    ];
    let whole = |r: &recordings::Recording| match &r.body {
        Body::Json(text) | Body::Text(text) => Some(text.clone()),
        _ => None,
    };
    Seeds::new(&own, whole).hold(|random, bytes| {
        let status = 300 + u16::try_from(random.below(300)).unwrap();
        let header = [
            "1",
            "0.5",
            "-1",
            "1e400",
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "6m0s",
        ];
        let header = header.get(random.below(header.len() + 1)).copied();
        for dialect in dialects() {
            answers::hold(dialect, byte(random), bytes);
            errors::hold(dialect, byte(random), status, header, bytes);
        }
    });
}
