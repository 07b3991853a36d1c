use super::*;
use llmleaf_model::{Collector, Grammar, Response};
use proptest::prelude::*;

fn finished(mut assembly: Assembly, mut out: Vec<Event>) -> Response {
    assembly.end(&mut out);
    out.push(Event::ResponseEnd);
    let mut grammar = Grammar::new();
    let mut collector = Collector::new();
    for event in out {
        grammar.check(&event).unwrap();
        collector.push(event).unwrap();
    }
    grammar.finish().unwrap();
    collector.into_response()
}

type Piece<'a> = (Option<u64>, &'a str, &'a str, &'a str);

/// (id, name, arguments) of each call that the pieces (index, id, name, arguments) make.
fn calls(pieces: &[Piece<'_>]) -> Vec<(String, String, String)> {
    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    for (index, id, name, arguments) in pieces {
        let fragment = ToolFragment {
            index: *index,
            id: Some(id),
            name: Some(name),
            arguments: Some(arguments),
            ..ToolFragment::default()
        };
        assembly.tool(0, &fragment, &mut out);
    }
    let response = finished(assembly, out);
    let blocks = response.choices.into_iter().flat_map(|c| c.blocks);
    blocks
        .map(|block| match block.kind {
            BlockKind::ToolCall { id, name, .. } => (id, name, block.arguments),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn expect(pieces: &[Piece<'_>], expected: &[(&str, &str, &str)]) {
    let got = calls(pieces);
    let got: Vec<_> = got
        .iter()
        .map(|(i, n, a)| (i.as_str(), n.as_str(), a.as_str()))
        .collect();
    assert_eq!(got, expected, "{pieces:?}");
}

#[test]
fn fragments_find_their_call() {
    let i = Some;
    // As documented, interleaved.
    expect(
        &[
            (i(0), "a", "f", ""),
            (i(1), "b", "g", ""),
            (i(0), "", "", "1"),
            (i(1), "", "", "2"),
            (i(0), "", "", "3"),
        ],
        &[("a", "f", "13"), ("b", "g", "2")],
    );
    // No index: by id, else the latest.
    expect(
        &[
            (None, "a", "f", "1"),
            (None, "b", "g", "2"),
            (None, "a", "", "3"),
            (None, "", "", "4"),
        ],
        &[("a", "f", "13"), ("b", "g", "24")],
    );
    // Every call at index 0.
    expect(
        &[
            (i(0), "a", "f", "{}"),
            (i(0), "b", "f", "{"),
            (i(0), "", "", "}"),
        ],
        &[("a", "f", "{}"), ("b", "f", "{}")],
    );
    // Id and name repeated on each fragment.
    expect(
        &[(i(0), "a", "f", "{"), (i(0), "a", "f", "}")],
        &[("a", "f", "{}")],
    );
    // Whole calls without index and id.
    expect(
        &[
            (None, "", "f", "1"),
            (None, "", "f", "2"),
            (None, "", "g", ""),
        ],
        &[
            ("call_0_0", "f", "1"),
            ("call_0_1", "f", "2"),
            ("call_0_2", "g", ""),
        ],
    );
    // One id for two calls.
    expect(
        &[(i(0), "a", "f", "1"), (i(1), "a", "f", "2")],
        &[("a", "f", "1"), ("a_1", "f", "2")],
    );
    // Late name, late id, never a name, and a phantom.
    expect(
        &[
            (i(0), "", "", "{"),
            (i(0), "a", "f", "}"),
            (i(1), "", "", "x"),
            (i(2), "", "", ""),
        ],
        &[("a", "f", "{}"), ("call_0_1", "", "x")],
    );
}

#[test]
fn c9_calls_are_told_in_the_order_in_which_they_began() {
    let i = Some;
    // The first is named last.
    expect(
        &[
            (i(0), "a", "", ""),
            (i(1), "b", "g", "1"),
            (i(2), "c", "h", ""),
            (i(0), "", "f", "2"),
            (i(1), "", "", "3"),
        ],
        &[("a", "f", "2"), ("b", "g", "13"), ("c", "h", "")],
    );
    // It never is, and nobody waits for what says nothing at all.
    expect(
        &[
            (i(0), "a", "", "x"),
            (i(1), "b", "g", ""),
            (i(2), "", "", ""),
        ],
        &[("a", "", "x"), ("b", "g", "")],
    );
}

#[test]
fn words_wait_for_no_name_and_the_rest_for_a_mebibyte_of_arguments() {
    let fragment = |index, id, name, arguments| ToolFragment {
        index: Some(index),
        id: Some(id),
        name: Some(name),
        arguments: Some(arguments),
        ..ToolFragment::default()
    };
    let names = |events: &[Event]| -> Vec<String> {
        let kinds = events.iter().filter_map(|event| match event {
            Event::BlockStart { kind, .. } => Some(kind),
            _ => None,
        });
        kinds
            .map(|kind| match kind {
                BlockKind::ToolCall { name, .. } => name.clone(),
                _ => "words".to_owned(),
            })
            .collect()
    };
    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    assembly.tool(0, &fragment(0, "a", "", ""), &mut out);
    assembly.tool(0, &fragment(1, "b", "g", "1"), &mut out);
    assert!(out.is_empty());
    assembly.text(0, "t", &mut out);
    assert_eq!(names(&out), ["g", "words"]);
    assembly.tool(0, &fragment(0, "", "f", ""), &mut out);
    assert_eq!(names(&out), ["g", "words", "f"]);
    finished(assembly, out);

    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    assembly.tool(0, &fragment(0, "a", "", "x"), &mut out);
    let half = "y".repeat(600 << 10);
    assembly.tool(0, &fragment(1, "b", "g", &half), &mut out);
    assert!(out.is_empty());
    assembly.tool(0, &fragment(1, "b", "", &half), &mut out);
    assert_eq!(names(&out), ["", "g"]);
    let response = finished(assembly, out);
    assert_eq!(response.choices[0].blocks[1].arguments.len(), 1200 << 10);
}

#[test]
fn a_proof_waits_with_its_call() {
    let proof = Artefact {
        provenance: llmleaf_model::Provenance::UNKNOWN,
        kind: ArtefactKind::Signature,
        data: "s".into(),
    };
    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    for (name, artefact) in [("", Some(&proof)), ("f", None)] {
        let fragment = ToolFragment {
            index: Some(0),
            name: Some(name),
            artefact,
            ..ToolFragment::default()
        };
        assembly.tool(0, &fragment, &mut out);
    }
    let response = finished(assembly, out);
    assert_eq!(response.choices[0].blocks[0].artefact, Some(proof));
}

#[test]
fn a_proof_that_another_replaces_waits_no_longer() {
    let proof = Artefact {
        provenance: llmleaf_model::Provenance::UNKNOWN,
        kind: ArtefactKind::Signature,
        data: "s".repeat(400 << 10),
    };
    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    let mut fragment = ToolFragment {
        index: Some(0),
        artefact: Some(&proof),
        ..ToolFragment::default()
    };
    for _ in 0..9 {
        assembly.tool(0, &fragment, &mut out);
    }
    assert!(out.is_empty());
    fragment.name = Some("f");
    assembly.tool(0, &fragment, &mut out);
    let response = finished(assembly, out);
    assert_eq!(response.choices[0].blocks[0].artefact, Some(proof));
}

#[test]
fn prose_blocks_follow_each_other() {
    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    let key = ReasoningKey::default();
    assembly.reasoning(0, &key, ReasoningForm::Full, "a", &mut out);
    assembly.text(0, "b", &mut out);
    assembly.text(0, "", &mut out);
    assembly.text(1, "other", &mut out);
    assembly.text(0, "c", &mut out);
    assembly.reasoning(0, &key, ReasoningForm::Summary, "d", &mut out);
    assembly.refusal(0, "e", &mut out);
    assembly.finish(0, Finish::new(FinishReason::Stop, "stop"));
    assert!(!assembly.all_finished());
    let response = finished(assembly, out);
    let texts: Vec<_> = response.choices[0]
        .blocks
        .iter()
        .map(|b| b.text.as_str())
        .collect();
    assert_eq!(texts, ["a", "bc", "d", "e"]);
    assert_eq!(
        response.choices[1].finish.as_ref().unwrap().reason,
        FinishReason::Unstated
    );
}

#[test]
fn choices_and_calls_are_bounded() {
    let mut assembly = Assembly::new();
    let mut out = Vec::new();
    for choice in 0..1000 {
        assembly.text(choice, "x", &mut out);
    }
    for index in 0..5000 {
        let fragment = ToolFragment {
            index: Some(index),
            name: Some("f"),
            ..ToolFragment::default()
        };
        assembly.tool(0, &fragment, &mut out);
    }
    let starts = out
        .iter()
        .filter(|e| matches!(e, Event::BlockStart { .. }))
        .count();
    assert_eq!(starts, MAX_CHOICES + tools::MAX_SLOTS);
}

fn piece() -> impl Strategy<Value = (u32, Option<u64>, String, String, String)> {
    (
        0u32..3,
        prop::option::of(0u64..3),
        "[ab]?",
        "[fg]?",
        "[xy]{0,2}",
    )
}

proptest! {
    #[test]
    fn c9_any_fragments_keep_the_grammar_and_all_arguments(pieces in prop::collection::vec(piece(), 0..40), texts in prop::collection::vec(0u32..3, 0..5)) {
        let mut assembly = Assembly::new();
        let mut out = Vec::new();
        let mut sent = 0;
        for (choice, index, id, name, arguments) in &pieces {
            let fragment = ToolFragment { index: *index, id: Some(id), name: Some(name), arguments: Some(arguments), ..ToolFragment::default() };
            assembly.tool(*choice, &fragment, &mut out);
            sent += arguments.len();
            if texts.contains(choice) {
                assembly.text(*choice, "t", &mut out);
            }
        }
        let response = finished(assembly, out);
        let got: usize = response.choices.iter().flat_map(|c| &c.blocks).map(|b| b.arguments.len()).sum();
        prop_assert_eq!(got, sent);
    }
}
