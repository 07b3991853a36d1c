//! A wire with one of its differences undone, for each of them.

use llmleaf_dialects::ChatWire;
use llmleaf_dialects::{chat_completions as completions, gemini, messages, responses};
use std::borrow::Cow;

/// Each difference from the reference: its name, and the wire without it. Entries of lists count one by one.
pub fn of(wire: &ChatWire) -> Vec<(String, ChatWire)> {
    match wire {
        ChatWire::Completions(quirks) => completions_resets(quirks),
        ChatWire::Messages(quirks) => messages_resets(quirks),
        ChatWire::Responses(quirks) => responses_resets(quirks),
        ChatWire::GenerateContent(quirks) => gemini_resets(quirks),
        ChatWire::Ollama(quirks) => {
            use llmleaf_dialects::ollama::Quirks;
            assert!([Quirks::REFERENCE, Quirks::GENERATE].contains(quirks));
            Vec::new()
        }
        // What it shares with chat is undone there; the dialect's own tests have the rest.
        ChatWire::CohereChat | ChatWire::TextCompletions(_) => Vec::new(),
    }
}

/// Undoes each plain field that differs.
macro_rules! undo {
    ($out:ident, $wire:path, $quirks:ident, $reference:ident: $($($field:ident).+),+ $(,)?) => {
        $(if $quirks.$($field).+ != $reference.$($field).+ {
            let mut reset = $quirks.clone();
            reset.$($field).+ = $reference.$($field).+.clone();
            $out.push((stringify!($($field).+).to_owned(), $wire(reset)));
        })+
    };
}

fn completions_resets(quirks: &completions::Quirks) -> Vec<(String, ChatWire)> {
    let reference = completions::Quirks::REFERENCE;
    let mut out = Vec::new();
    undo!(out, ChatWire::Completions, quirks, reference:
        request.output_cap,
        request.instructions,
        request.schema,
        request.tool_choice_required,
        request.extended,
        request.cache_control,
        request.files,
        request.custom_tools,
        request.tool_schemas,
        request.strict_tools,
        stream.end,
        stream.usage,
        reasoning.request,
        reasoning.echo,
    );
    for (at, name) in quirks.request.unsupported.iter().enumerate() {
        let mut reset = quirks.clone();
        reset.request.unsupported = without(&reset.request.unsupported, at);
        out.push((
            format!("request.unsupported {name}"),
            ChatWire::Completions(reset),
        ));
    }
    for (at, name) in quirks.request.fixed_sampling.iter().enumerate() {
        let mut reset = quirks.clone();
        reset.request.fixed_sampling = without(&reset.request.fixed_sampling, at);
        out.push((
            format!("request.fixed_sampling {name}"),
            ChatWire::Completions(reset),
        ));
    }
    for (at, (name, _)) in quirks.request.renamed.iter().enumerate() {
        let mut reset = quirks.clone();
        reset.request.renamed = without(&reset.request.renamed, at);
        out.push((
            format!("request.renamed {name}"),
            ChatWire::Completions(reset),
        ));
    }
    for (at, name) in quirks.reasoning.verifies.iter().enumerate() {
        let mut reset = quirks.clone();
        reset.reasoning.verifies = without(&reset.reasoning.verifies, at);
        out.push((
            format!("reasoning.verifies {name}"),
            ChatWire::Completions(reset),
        ));
    }
    out
}

fn messages_resets(quirks: &messages::Quirks) -> Vec<(String, ChatWire)> {
    let reference = messages::Quirks::REFERENCE;
    let mut out = Vec::new();
    undo!(out, ChatWire::Messages, quirks, reference:
        default_max_tokens,
        verifies,
        later_instructions,
        sampling,
        effort,
        extended,
        addressing,
    );
    out
}

fn gemini_resets(quirks: &gemini::Quirks) -> Vec<(String, ChatWire)> {
    let reference = gemini::Quirks::REFERENCE;
    assert_eq!(
        (&quirks.verifies, &quirks.models),
        (&reference.verifies, &reference.models)
    );
    // Samples are requests to answer, not to count; the dialect's own tests have that one.
    let lacks = quirks.lacks.iter().enumerate();
    let lacks = lacks.filter(|(_, name)| *name != "generateContentRequest");
    let each = lacks.map(|(at, name)| {
        let mut reset = quirks.clone();
        reset.lacks = without(&reset.lacks, at);
        let name = format!("gemini lacks {name}");
        (name, ChatWire::GenerateContent(reset))
    });
    each.collect()
}

fn responses_resets(quirks: &responses::Quirks) -> Vec<(String, ChatWire)> {
    let reference = responses::Quirks::REFERENCE;
    let mut out = Vec::new();
    undo!(out, ChatWire::Responses, quirks, reference:
        storage,
        names_family,
        extended,
    );
    for (at, name) in quirks.refuses_tools.iter().enumerate() {
        let mut reset = quirks.clone();
        reset.refuses_tools = without(&reset.refuses_tools, at);
        let name = format!("responses refuses_tools {name}");
        out.push((name, ChatWire::Responses(reset)));
    }
    for (at, name) in quirks.unsupported.iter().enumerate() {
        let mut reset = quirks.clone();
        reset.unsupported = without(&reset.unsupported, at);
        let name = format!("responses unsupported {name}");
        out.push((name, ChatWire::Responses(reset)));
    }
    if quirks.verifies != reference.verifies {
        for (at, name) in quirks.verifies.iter().enumerate() {
            let mut reset = quirks.clone();
            reset.verifies = without(&reset.verifies, at);
            let name = format!("responses verifies {name}");
            out.push((name, ChatWire::Responses(reset)));
        }
    }
    out
}

fn without<T: Clone>(list: &[T], at: usize) -> Cow<'static, [T]> {
    let mut list = list.to_vec();
    list.remove(at);
    Cow::Owned(list)
}
