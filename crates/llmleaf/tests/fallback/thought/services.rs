//! Services that think: what they answer, and what they refuse.
//!
//! Each thinks, calls a tool, twice, and is done then. It refuses what the real one refuses: a call whose proof of thought is
//! missing or is not what it said, a proof that it never issued, and an envelope of ours. What each demands, with its source, stands
//! at its check.

#[path = "answers.rs"]
mod answers;

use answers::{details, messages_thought};
use llmleaf_testkit::replay::{Request, Script};
use serde_json::{Value, json};

/// How many calls a service makes before it is done.
pub(super) const LOOPS: usize = 2;
/// What it says in the end.
pub(super) const DONE: &str = "all done";

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name here, three letters; its proofs begin so.
    pub tag: &'static str,
    kind: &'static str,
    model: &'static str,
    /// The path of its endpoint.
    base: &'static str,
    settings: &'static str,
    /// How it thinks on Chat Completions.
    form: Form,
}

/// How thoughts look and come back on Chat Completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// That wire is not spoken, or has none.
    None,
    /// As a text, which must come back.
    Text(&'static str),
    /// As parts of the content.
    Parts,
    /// As `reasoning_details` with this format.
    Details(&'static str),
}

const fn service(tag: &'static str, kind: &'static str, model: &'static str) -> Service {
    Service {
        tag,
        kind,
        model,
        base: "",
        settings: "",
        form: Form::None,
    }
}

const RESPONSES: &str = "chat_api = \"responses\"";
const CHAT: &str = "chat_api = \"chat_completions\"";
const PLACE: &str = "/v1/projects/p/locations/global";

/// Every kind that issues what must come back.
pub(super) const SERVICES: &[Service] = &[
    service("ant", "anthropic", "claude-sonnet-4-5"),
    Service {
        base: "/v1beta",
        ..service("gem", "gemini", "gemini-3-pro-preview")
    },
    Service {
        base: PLACE,
        ..service("ver", "vertex", "gemini-3-pro-preview")
    },
    Service {
        base: PLACE,
        ..service("vcl", "vertex", "claude-sonnet-4-5")
    },
    Service {
        base: "/v1",
        settings: RESPONSES,
        ..service("oai", "openai", "gpt-5.1")
    },
    Service {
        settings: RESPONSES,
        ..service("azr", "azure-openai", "gpt-5.1")
    },
    Service {
        base: "/v1",
        settings: RESPONSES,
        ..service("xai", "xai", "grok-4")
    },
    Service {
        base: "/api/v1",
        settings: CHAT,
        form: Form::Details("anthropic-claude-v1"),
        ..service("orc", "openrouter", "anthropic/claude-sonnet-4.5")
    },
    Service {
        base: "/api/v1",
        settings: CHAT,
        form: Form::Details("google-gemini-v1"),
        ..service("org", "openrouter", "google/gemini-3-pro-preview")
    },
    Service {
        base: "/api/v1",
        settings: CHAT,
        form: Form::Details("openai-responses-v1"),
        ..service("oro", "openrouter", "openai/gpt-5.1")
    },
    Service {
        base: "/api/v1",
        settings: RESPONSES,
        ..service("orr", "openrouter", "openai/gpt-5.1")
    },
    Service {
        form: Form::Text("reasoning_content"),
        ..service("dee", "deepseek", "deepseek-reasoner")
    },
    Service {
        base: "/v1",
        form: Form::Text("reasoning_content"),
        ..service("moo", "moonshot", "kimi-k2-thinking")
    },
    Service {
        form: Form::Text("reasoning_content"),
        ..service("zai", "zai", "glm-4.6")
    },
    Service {
        form: Form::Text("reasoning_content"),
        ..service(
            "fir",
            "fireworks",
            "accounts/fireworks/models/kimi-k2-thinking",
        )
    },
    Service {
        settings: CHAT,
        form: Form::Text("reasoning"),
        ..service("gro", "groq", "openai/gpt-oss-120b")
    },
    Service {
        base: "/v1",
        form: Form::Parts,
        ..service("mis", "mistral", "magistral-medium-latest")
    },
    service("coh", "cohere", "command-a-reasoning-08-2025"),
    service("oll", "ollama", "gpt-oss:20b"),
];

impl Service {
    /// Its part of the configuration.
    pub fn provider(&self, url: &str) -> String {
        let Self {
            tag,
            kind,
            base,
            settings,
            ..
        } = self;
        format!(
            "[[providers]]\nname = \"{tag}\"\nkind = \"{kind}\"\nendpoint = \"{url}/{tag}{base}\"\ncredential = \"ya29.canary\"\n\
             prefix = \"{tag}\"\nhealth = false\nsettings = {{ {settings} }}\n\n"
        )
    }

    /// Its model, as a consumer names it.
    pub fn asked(&self) -> String {
        format!("{}/{}", self.tag, self.model)
    }

    /// Whether it issues something that nobody else can verify.
    pub fn issues(&self) -> bool {
        matches!(self.form, Form::None | Form::Details(_)) && !["coh", "oll"].contains(&self.tag)
    }

    /// The proof of a thought.
    fn proof(&self, turn: usize) -> String {
        format!("{}{turn}+/AB", self.tag)
    }

    /// A thought, with what an encoder may hurt.
    fn thought(&self, turn: usize) -> String {
        format!("{} thinks \"{turn}\" über\n", self.tag)
    }
}

fn call(turn: usize) -> String {
    format!("call_{turn}")
}

/// What a tool says in a turn.
pub(super) fn result(turn: usize) -> String {
    format!("result-{turn}")
}

/// What a tool says whose call was another service's.
pub(super) fn moved(from: &Service) -> String {
    format!("result-1 moved-from-{}", from.tag)
}

/// Answers a request, or refuses it.
pub(super) fn serve(request: &Request) -> Script {
    let tag = request.path.get(1..4).unwrap_or_default();
    let Some(service) = SERVICES.iter().find(|service| service.tag == tag) else {
        return Script::json(
            404,
            format!("{{\"error\":\"no service at {}\"}}", request.path),
        );
    };
    let text = request.text();
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let turn = 1 + text.matches("result-").count();
    let wire = Wire::of(&request.path);
    let stream = body["stream"] == true || request.path.contains(":stream");
    let checked = match text.contains("moved-from-") {
        true => taken_over(service, wire, &body, &text),
        false => own(service, wire, &body, &text, turn),
    };
    match checked {
        Err(why) => {
            let error =
                json!({"error": {"message": why, "type": "invalid_request_error"}, "message": why});
            Script::json(400, error.to_string())
        }
        // It thinks and calls no more, who goes on for another.
        Ok(()) if turn > LOOPS || text.contains("moved-from-") => {
            wire.answer(service, None, stream)
        }
        Ok(()) => wire.answer(service, Some(turn), stream),
    }
}

/// What holds of every request of a conversation that is this service's own.
fn own(service: &Service, wire: Wire, body: &Value, text: &str, turn: usize) -> Result<(), String> {
    only_own(service, text)?;
    wire.thinks(body)?;
    for earlier in 1..turn {
        wire.check(service, body, earlier)?;
    }
    Ok(())
}

/// What holds of a conversation that another service began.
fn taken_over(service: &Service, wire: Wire, body: &Value, text: &str) -> Result<(), String> {
    only_own(service, text)?;
    wire.without_proof(service, body)
}

/// No proof that another service issued, and no envelope.
fn only_own(service: &Service, text: &str) -> Result<(), String> {
    if text.contains("llmleaf.v1.") {
        return Err("an envelope of the gateway".to_owned());
    }
    let others = SERVICES.iter().filter(|other| other.tag != service.tag);
    for other in others.filter(|other| other.issues() && !same_family(other, service)) {
        if text.contains(&other.proof(1)) {
            return Err(format!("{} has issued this proof, not we", other.tag));
        }
    }
    Ok(())
}

/// Services that verify each other's proofs, by the names of families in OpenRouter's OpenAPI document 1.0.0, 2026-08
/// (ReasoningFormat): a maker's own models have one, wherever they are served.
fn same_family(one: &Service, other: &Service) -> bool {
    let family = |service: &Service| match service.tag {
        "ant" | "vcl" | "orc" => "anthropic",
        "gem" | "ver" | "org" => "gemini",
        "oai" | "oro" | "orr" => "openai",
        own => own,
    };
    let router = |service: &Service| service.kind == "openrouter";
    family(one) == family(other) || router(other)
}

/// The wire that a request comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Messages,
    Gemini,
    Responses,
    Chat,
    Cohere,
    Lines,
}

impl Wire {
    fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        match path {
            p if p.ends_with("/messages") || p.to_lowercase().ends_with("rawpredict") => {
                Self::Messages
            }
            p if p.ends_with(":generateContent") || p.ends_with(":streamGenerateContent") => {
                Self::Gemini
            }
            p if p.ends_with("/responses") => Self::Responses,
            p if p.ends_with("/v2/chat") => Self::Cohere,
            p if p.ends_with("/api/chat") => Self::Lines,
            _ => Self::Chat,
        }
    }

    /// It was asked to think: a request that asks for no thoughts would have nothing to prove.
    fn thinks(self, body: &Value) -> Result<(), String> {
        let asked = match self {
            Self::Messages => ["enabled", "adaptive"]
                .iter()
                .any(|kind| body["thinking"]["type"] == *kind),
            Self::Gemini => body["generationConfig"]["thinkingConfig"].is_object(),
            // Its models think unless they are asked not to.
            Self::Responses => {
                list(&body["include"]).contains(&json!("reasoning.encrypted_content"))
                    && body["reasoning"]["effort"] != "none"
            }
            Self::Cohere => body["thinking"]["type"] == "enabled",
            Self::Lines => !body["think"].is_null() && body["think"] != false,
            Self::Chat => true,
        };
        need(asked, || format!("nobody asked for thoughts: {body}"))
    }

    /// The proof of an earlier call is there, as it was said.
    fn check(self, service: &Service, body: &Value, turn: usize) -> Result<(), String> {
        let (proof, thought, id) = (service.proof(turn), service.thought(turn), call(turn));
        match self {
            // 400 "Expected `thinking` or `redacted_thinking`, but found `tool_use`"; 400 "Invalid `signature` in `thinking` block":
            // docs.anthropic.com/en/docs/build-with-claude/extended-thinking, 2026-11.
            Self::Messages => {
                let blocks = with(body, "messages", |m| holds(&m["content"], "id", &id))?;
                let first = &blocks["content"][0];
                let expected = messages_thought(&proof, &thought, turn);
                need(*first == expected, || {
                    format!("messages: {first} is not {expected}")
                })
            }
            // 400 "Function call is missing a thought_signature in functionCall parts": ai.google.dev/gemini-api/docs/thought-signatures, 2026-11.
            Self::Gemini => {
                let parts = list(&body["contents"])
                    .iter()
                    .flat_map(|c| list(&c["parts"]));
                let calls: Vec<&Value> = parts.filter(|p| p["functionCall"].is_object()).collect();
                let at = calls.get(turn - 1).ok_or("a call is missing")?;
                need(at["thoughtSignature"] == proof.as_str(), || {
                    format!("missing a thought_signature in functionCall parts: {at}")
                })
            }
            // 400 "Item 'fc_…' of type 'function_call' was provided without its required 'reasoning' item"; 400 "The encrypted content … could
            // not be verified": platform.openai.com/docs/guides/reasoning, 2026-11.
            Self::Responses => {
                let items = list(&body["input"]);
                let place = items
                    .iter()
                    .position(|i| i["type"] == "function_call" && i["call_id"] == id.as_str());
                let place = place.ok_or("a call is missing")?;
                let before = place.checked_sub(1).and_then(|at| items.get(at));
                let good = before.is_some_and(|i| {
                    i["type"] == "reasoning" && i["encrypted_content"] == proof.as_str()
                });
                need(good, || {
                    format!("function_call without its required reasoning item: {before:?}")
                })
            }
            Self::Chat => {
                let message = with(body, "messages", |m| holds(&m["tool_calls"], "id", &id))?;
                service.check_chat(message, &proof, &thought, &id)
            }
            // AssistantMessage of the OpenAPI document 1.0.0: thoughts are items of the content, and go back with the calls.
            Self::Cohere => {
                let message = with(body, "messages", |m| holds(&m["tool_calls"], "id", &id))?;
                let first = &message["content"][0];
                let good = *first == json!({"type": "thinking", "thinking": thought});
                // The summary of one is this wire's plan.
                let good = good || message["tool_plan"] == thought.as_str();
                need(good, || format!("the thought is gone: {message}"))
            }
            // "thinking" of a message: docs.ollama.com/capabilities/thinking, 2026-11; templates of models show it between calls.
            Self::Lines => {
                let calls = list(&body["messages"])
                    .iter()
                    .filter(|m| m["tool_calls"].is_array());
                let message = calls.clone().nth(turn - 1).ok_or("a call is missing")?;
                need(message["thinking"] == thought.as_str(), || {
                    format!("the thought is gone: {message}")
                })
            }
        }
    }

    /// What this wire takes where nothing can be proven.
    fn without_proof(self, service: &Service, body: &Value) -> Result<(), String> {
        match self {
            // Thinking is on, and the turn goes on with a call that has no thought before it.
            Self::Messages if body["thinking"]["type"] == "enabled" => {
                let turn = with(body, "messages", |m| m["role"] == "assistant")?;
                let first = &turn["content"][0];
                need(first["type"] == "thinking", || {
                    format!("expected `thinking`, but found {first}: {body}")
                })
            }
            Self::Gemini => {
                let parts = list(&body["contents"])
                    .iter()
                    .flat_map(|c| list(&c["parts"]));
                let mut calls = parts.filter(|p| p["functionCall"].is_object());
                let first = calls.next().ok_or("the call is missing")?;
                need(first["thoughtSignature"].is_string(), || {
                    format!("missing a thought_signature in functionCall parts: {first}")
                })
            }
            Self::Chat if service.form == Form::Text("reasoning_content") => {
                let message = with(body, "messages", |m| m["tool_calls"].is_array())?;
                need(message["reasoning_content"].is_string(), || {
                    format!("reasoning_content must be passed back: {message}")
                })
            }
            _ => Ok(()),
        }
    }

    fn answer(self, service: &Service, turn: Option<usize>, stream: bool) -> Script {
        let said = turn.map(|turn| (turn, service.proof(turn), service.thought(turn), call(turn)));
        match self {
            Self::Messages => answers::messages(said, stream),
            Self::Gemini => answers::gemini(said, stream),
            Self::Responses => answers::responses(service.kind == "openrouter", said, stream),
            Self::Chat => answers::chat(service.form, said, stream),
            Self::Cohere => answers::cohere(said, stream),
            Self::Lines => answers::lines(said, stream),
        }
    }
}

impl Service {
    fn check_chat(
        &self,
        message: &Value,
        proof: &str,
        thought: &str,
        id: &str,
    ) -> Result<(), String> {
        match self.form {
            Form::None => Ok(()),
            // 400 "The `reasoning_content` in the thinking mode must be passed back to the API": api-docs.deepseek.com/guides/thinking_mode; 400 "thinking is enabled
            // but reasoning_content is missing in assistant tool call message": platform.moonshot.ai; "complete, unmodified": docs.z.ai/guides/capabilities/thinking-mode. 2026-11.
            Form::Text(key) => need(message[key] == thought, || {
                format!("{key} must be passed back: {message}")
            }),
            // ThinkChunk of AssistantMessage: OpenAPI document 1.0.0.
            Form::Parts => {
                let expected =
                    json!({"type": "thinking", "thinking": [{"type": "text", "text": thought}]});
                let first = &message["content"][0];
                let same =
                    first["type"] == expected["type"] && first["thinking"] == expected["thinking"];
                need(same, || format!("the thought is gone: {message}"))
            }
            // "must be passed back unmodified": openrouter.ai/docs/use-cases/reasoning-tokens, 2026-11. What proves is held to that; readable
            // thoughts are told of by their words alone, since other wires have no name for their kind and no order beside proofs.
            Form::Details(format) => {
                let expected = details(format, proof, thought, id);
                let got = list(&message["reasoning_details"]);
                let all = proofs(&expected)
                    .iter()
                    .all(|one| proofs(got).contains(one));
                let same = all
                    && proofs(got).len() == proofs(&expected).len()
                    && said(got) == said(&expected);
                need(same, || {
                    format!("reasoning_details: {got:?} are not {expected:?}")
                })
            }
        }
    }
}

/// The entries that prove something. The name of a thought is lost on wires that tell it before they know it.
fn proofs(details: &[Value]) -> Vec<Value> {
    let entries = details
        .iter()
        .filter(|one| one.get("data").or(one.get("signature")).is_some());
    let bare = |one: &Value| {
        let mut one = one.clone();
        let nameless = one["format"] == "openai-responses-v1";
        if let Some(fields) = one.as_object_mut() {
            fields.retain(|key, _| key != "index" && !(nameless && key == "id"));
        }
        one
    };
    entries.map(bare).collect()
}

fn said(details: &[Value]) -> String {
    let texts = details
        .iter()
        .map(|one| one["text"].as_str().or(one["summary"].as_str()));
    texts.flatten().collect()
}

/// A consumer that speaks the wire of both gets the proofs of both as they are, bytes that go through: nobody can tell later
/// whose they were, where the wire itself does not say it.
pub(super) fn unmarked(consumer: super::Consumer, first: &Service, second: &Service) -> bool {
    let bare = |service: &Service| ["oai", "azr", "xai", "oro", "orr"].contains(&service.tag);
    consumer == super::Consumer::Responses && bare(first) && bare(second) && first.tag != second.tag
}

fn need(good: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(why()) }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The first entry of a list in a body that is so.
fn with<'a>(body: &'a Value, key: &str, is: impl Fn(&Value) -> bool) -> Result<&'a Value, String> {
    let found = list(&body[key]).iter().find(|entry| is(entry));
    found.ok_or_else(|| format!("the call is missing: {body}"))
}

fn holds(entries: &Value, key: &str, value: &str) -> bool {
    list(entries).iter().any(|entry| entry[key] == value)
}
