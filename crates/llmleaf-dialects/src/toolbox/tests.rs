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

#[test]
fn names_chosen_to_collide_end_in_a_free_one() {
    // Marks of names that were taken, as far as they go: what is made of the name before it comes back to itself.
    let mut wanted = joined("g", "t");
    let mut taken = std::collections::HashSet::new();
    while taken.insert(wanted.clone()) {
        wanted = shortened(&wanted, &format!("g/t/{wanted}"));
    }
    // And the first marks of names that are made of rounds.
    taken.extend((0..100).map(|round| shortened("g__t", &format!("{round}/1/g__t"))));
    let mut tools: Vec<Tool> = taken
        .iter()
        .map(|name| Tool::function(name.clone(), None, None))
        .collect();
    tools.push(group("g", &["t"]));
    let names = Names::of(&tools);
    let flat = names.flat("g", "t");
    assert!(!taken.contains(&flat), "{flat}");
    assert!(flat.len() <= LONGEST_NAME);
    assert_eq!(names.originals.len(), tools.len());
}

#[test]
fn choices_name_tools_as_the_wire_does() {
    let mut request = ChatRequest::new(DialectName::Responses, "m");
    request.tools = vec![
        group("g", &["t", "twice", "plain"]),
        group("h", &["twice"]),
        Tool::function("plain", None, None),
    ];
    let takes = Takes {
        groups: false,
        free_text: false,
    };
    let mut chosen = |choice: ToolChoice| {
        request.tool_choice = Some(choice);
        flatten(&request, takes).0.tool_choice.clone()
    };
    let named = |name: &str, flavour| ToolChoice::Named {
        name: name.into(),
        flavour,
    };
    for (name, flat) in [("t", "g__t"), ("plain", "plain"), ("twice", "twice")] {
        let expected = named(flat, ToolFlavour::Function);
        assert_eq!(chosen(named(name, ToolFlavour::Custom)), Some(expected));
    }
    let listed = |text: &str| ToolChoice::Allowed {
        required: true,
        tools: Json::parse(text).unwrap(),
    };
    let flat = chosen(listed(
        r#"[{"type":"custom","name":"custom"},{"type":"function","name":"t"},{"type":"function","namespace":"h","name":"twice"},
        {"type":"custom","custom":{"name":"custom"}},{"type":"function","function":{"name":"t"}},7]"#,
    ));
    let expected = listed(
        r#"[{"type":"function","name":"custom"},{"type":"function","name":"g__t"},{"type":"function","name":"h__twice"},{"type":"function","function":{"name":"custom"}},{"type":"function","function":{"name":"g__t"}},7]"#,
    );
    assert_eq!(flat, Some(expected));
}
