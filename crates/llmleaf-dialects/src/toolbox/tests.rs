//! Names of tools on wires that have no groups.

use super::*;

fn group(name: &str, tools: &[&str]) -> Tool {
    let tools = tools.iter().map(|name| Tool::function(*name, None, None));
    Tool {
        kind: ToolKind::Namespace {
            name: name.into(),
            description: None,
            tools: tools.collect(),
        },
        cache: None,
        rest: llmleaf_model::Rest::default(),
    }
}

#[test]
fn every_tool_has_a_name_of_its_own_and_gets_its_own_back() {
    let long = "g".repeat(60);
    let tools = [
        Tool::function("a__b", None, None),
        group("a", &["b", "c"]),
        group("a__b", &["c"]),
        group("a_", &["_b"]),
        group(&long, &["one_long_name", "one_long_name_two"]),
    ];
    let names = Names::of(&tools);
    // One plain tool and six grouped ones.
    assert_eq!(names.originals.len(), 7, "{:?}", names.originals);
    for ((group, name), flat) in &names.flat {
        assert!(flat.len() <= LONGEST_NAME, "{flat}");
        let original = &names.originals[flat];
        assert_eq!(original.namespace.as_ref(), Some(group));
        assert_eq!(&original.name, name);
    }
    assert_eq!(names.flat("a", "c"), "a__c");
    // The same on every node, in every turn.
    assert_eq!(names.flat, Names::of(&tools).flat);
}

#[test]
fn only_one_text_under_its_name_is_unwrapped() {
    for (arguments, text) in [
        (r#"{"input":"a\nb"}"#, "a\nb"),
        (r#"{"input":1}"#, r#"{"input":1}"#),
        (r#"{"input":"a","more":1}"#, r#"{"input":"a","more":1}"#),
        ("plain", "plain"),
    ] {
        assert_eq!(unwrapped(arguments.into()), text);
    }
}
