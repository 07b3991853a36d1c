//! The named edits between two ends of the same dialect, as the providers' documents demand them.

use llmleaf_testkit::json::{self, Value};
use llmleaf_testkit::jsondiff::{self, Edit, Kind};
use llmleaf_testkit::sse::SseEvent;

use super::reading::Spoken;

/// Services whose cap on output is `max_tokens`; all others take both names.
const OLD_CAP: &[&str] = &[
    "deepseek",
    "mistral",
    "together",
    "zai",
    "openai-compatible",
];
/// Services that know no `developer` role.
const SYSTEM_ONLY: &[&str] = &[
    "deepseek",
    "mistral",
    "moonshot",
    "openai-compatible",
    "together",
    "zai",
];
/// Services that report usage unasked and take no `stream_options`.
const USAGE_UNASKED: &[&str] = &["fireworks", "mistral", "together"];

/// What the edits of one request were.
#[derive(Default)]
pub struct Edited {
    /// Names of the edits, for counting.
    pub names: Vec<String>,
    /// Edits that nothing explains.
    pub unexplained: Vec<Edit>,
    /// The program asked for usage on its own account.
    pub usage_added: bool,
}

/// Explains what became of a request. `kind` is the configured kind, `losses` the loss header.
pub fn explain(spoken: Spoken, kind: &str, before: &str, after: &str, losses: &str) -> Edited {
    let asked = json::parse(before).expect("the consumer sent JSON");
    let rules = rules(spoken, kind, &asked, before);
    let all = jsondiff::diff(before, after).expect("JSON on both sides");
    let left = jsondiff::unexplained(before, after, &rules).expect("JSON on both sides");
    let lost = |edit: &Edit| edit.kind == Kind::Removed && losses.contains(&edit.path);
    let mut edited = Edited::default();
    for edit in &all {
        let name = if left.contains(edit) {
            if !lost(edit) {
                edited.unexplained.push(edit.clone());
                continue;
            }
            format!("edit: {kind}: `{}` dropped and reported", edit.path)
        } else if edit.path.ends_with("].role") {
            if edit.before.as_deref() != Some("\"developer\"")
                || edit.after.as_deref() != Some("\"system\"")
            {
                edited.unexplained.push(edit.clone());
            }
            format!("edit: {kind}: role developer is system")
        } else {
            format!("edit: {:?} {}", edit.kind, edit.path)
        };
        edited.names.push(name);
    }
    let wants = |text: &str| {
        json::parse(text).is_ok_and(|body| {
            matches!(
                body.at(&["stream_options", "include_usage"]),
                Some(Value::Bool(true))
            )
        })
    };
    edited.usage_added = !wants(before) && wants(after);
    edited
}

fn rules(spoken: Spoken, kind: &str, asked: &Value, before: &str) -> Vec<&'static str> {
    let mut rules = Vec::new();
    if before.contains("\"model\":\"any/") || before.contains("\"model\": \"any/") {
        rules.push("model");
    }
    if spoken != Spoken::Chat {
        return rules;
    }
    let streams = matches!(asked.at(&["stream"]), Some(Value::Bool(true)));
    if USAGE_UNASKED.contains(&kind) {
        rules.push("stream_options");
    } else if streams {
        rules.push("stream_options.include_usage");
    }
    if OLD_CAP.contains(&kind) {
        rules.push("max_completion_tokens→max_tokens");
    }
    if SYSTEM_ONLY.contains(&kind) {
        rules.push("messages[*].role");
    }
    if kind == "mistral" {
        rules.push("seed→random_seed");
    }
    rules
}

/// The events that a consumer of the chat dialect must see where usage was asked for behind its back: the report is taken
/// out again, and so is the `"usage":null` that the flag puts on every other chunk.
pub fn without_usage(events: &[SseEvent], got: &[SseEvent]) -> Result<usize, String> {
    let mut hidden = 0;
    let mut got = got.iter();
    for event in events {
        let value = json::parse(&event.data).ok();
        let report = value.as_ref().is_some_and(|chunk| {
            chunk.elements_at(&["choices"]).is_empty()
                && matches!(chunk.at(&["usage"]), Some(Value::Object(_)))
        });
        if report {
            hidden += 1;
            continue;
        }
        let Some(found) = got.next() else {
            return Err(format!("lacks {}", event.data));
        };
        let null = |edit: &Edit| {
            edit.path == "usage"
                && edit.kind == Kind::Removed
                && edit.before.as_deref() == Some("null")
        };
        let same = found == event
            || jsondiff::diff(&event.data, &found.data).is_ok_and(|edits| edits.iter().all(null));
        if !same {
            return Err(format!("expected {}, found {}", event.data, found.data));
        }
    }
    match got.next() {
        Some(more) => Err(format!("more than was recorded: {}", more.data)),
        None => Ok(hidden),
    }
}
