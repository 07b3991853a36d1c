//! Schemas by target: what becomes of each form, and that nothing forbidden is left.

use super::profile::Form;
use super::{Profile, Profiles, Strictness, compile, fit};
use llmleaf_model::{ChatRequest, DialectName, Json, Loss, Tool, ToolKind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

fn made(schema: &Value, profile: &Profile) -> Result<(Value, Vec<Loss>), String> {
    let schema = Json::parse(&schema.to_string()).unwrap();
    let mut losses = Vec::new();
    compile(
        &schema,
        profile,
        "tools[0].parameters",
        "the tool `t`",
        &mut losses,
    )
    .map(|made| (made.read().unwrap(), losses))
    .map_err(|failure| failure.message)
}

/// A tool with one property of a schema, through a profile.
fn property(schema: Value, profile: &Profile) -> (Value, Vec<String>) {
    let root = json!({"type": "object", "properties": {"p": schema}});
    let (made, losses) = made(&root, profile).unwrap();
    let fields = losses.iter().map(|loss| loss.field.clone());
    (made["properties"]["p"].clone(), fields.collect())
}

#[test]
fn forms_become_what_the_target_takes() {
    let at = |rest: &str| format!("tools[0].parameters.properties.p{rest}");
    for (profile, schema, expected, losses) in [
        (
            &Profile::MOONSHOT,
            json!({"type": ["string", "null"], "minLength": 2, "description": "d"}),
            json!({"description": "d", "anyOf": [{"type": "string", "minLength": 2}, {"type": "null"}]}),
            vec![],
        ),
        (
            &Profile::MOONSHOT,
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {}]}),
            json!({"anyOf": [
                {"required": ["a"], "type": "object", "properties": {"a": {"type": "string"}}},
                {"type": "object", "properties": {"a": {"type": "string"}}},
            ]}),
            vec![],
        ),
        (
            &Profile::MOONSHOT,
            json!({"const": 3}),
            json!({"type": "integer", "enum": [3]}),
            vec![],
        ),
        (
            &Profile::MOONSHOT,
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": false}),
            json!({"type": "array", "maxItems": 2, "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}),
            vec![at(".prefixItems")],
        ),
        (
            &Profile::GEMINI,
            json!({"oneOf": [{"const": "a"}, {"type": "integer", "exclusiveMinimum": 0}], "examples": [1], "uniqueItems": true}),
            json!({"anyOf": [{"enum": ["a"]}, {"type": "integer", "minimum": 1}]}),
            vec![at(".oneOf"), at(".examples"), at(".uniqueItems")],
        ),
        (
            &Profile::GEMINI,
            json!({"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "minimum": 3, "maximum": 5}]}),
            json!({"type": "integer", "minimum": 3, "maximum": 5}),
            vec![],
        ),
        (
            &Profile::ANTHROPIC,
            json!({"type": "array", "items": [{"type": "string"}], "additionalItems": false}),
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false}),
            vec![],
        ),
        (
            &Profile::COHERE,
            json!({"type": "string", "pattern": "^a", "title": "t"}),
            json!({"type": "string", "title": "t"}),
            vec![at(".pattern")],
        ),
    ] {
        let (made, lost) = property(schema.clone(), profile);
        assert_eq!(made, expected, "{schema}");
        let mut lost: Vec<String> = lost;
        lost.sort();
        let mut losses = losses;
        losses.sort();
        assert_eq!(lost, losses, "{schema}");
    }
}

#[test]
fn a_constant_among_values_is_the_value() {
    let asked = |values: Value| property(json!({"enum": values, "const": "b"}), &Profile::MOONSHOT);
    let made = json!({"type": "string", "enum": ["b"]});
    assert_eq!(asked(json!(["a", "b"])), (made.clone(), vec![]));
    // Nothing is both, which no target has a form for.
    let lost = vec!["tools[0].parameters.properties.p.enum".to_owned()];
    assert_eq!(asked(json!(["a", 1])), (made, lost));
}

#[test]
fn references_are_written_out_or_kept() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/Node", "description": "mine"}, "b": {"$ref": "#/$defs/Leaf"}},
        "$defs": {
            "Leaf": {"type": "string"},
            "Node": {"type": "object", "description": "its own", "properties": {"next": {"$ref": "#/$defs/Node"}, "leaf": {"$ref": "#/$defs/Leaf"}}},
        },
    });
    let (out, losses) = made(&schema, &Profile::GEMINI).unwrap();
    assert_eq!(
        out,
        json!({"type": "object", "properties": {
            "a": {"description": "mine", "type": "object", "properties": {"next": {"type": "object"}, "leaf": {"type": "string"}}},
            "b": {"type": "string"},
        }})
    );
    assert_eq!(losses.len(), 1, "{losses:?}");
    let (out, losses) = made(&schema, &Profile::ANTHROPIC).unwrap();
    assert_eq!(out, schema);
    assert!(losses.is_empty());
    let (out, losses) = made(&schema, &Profile::MOONSHOT).unwrap();
    assert_eq!(out["properties"]["a"], json!({"$ref": "#/$defs/Node"}));
    assert_eq!(out["$defs"], schema["$defs"]);
    assert_eq!(losses.len(), 1, "{losses:?}");
}

#[test]
fn a_root_of_alternatives_becomes_one_object() {
    let schema = json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}, "k": {"const": 1}}, "required": ["a", "k"]},
        {"type": "object", "properties": {"b": {"type": "string"}, "k": {"const": 2}}, "required": ["b", "k"]},
    ]});
    for profile in [&Profile::ANTHROPIC, &Profile::OPENAI] {
        let (out, losses) = made(&schema, profile).unwrap();
        assert_eq!(
            out,
            json!({"type": "object", "required": ["k"], "properties": {
                "a": {"type": "string"}, "b": {"type": "string"}, "k": {"anyOf": [{"const": 1}, {"const": 2}]},
            }})
        );
        assert_eq!(losses.len(), 1);
    }
    let (out, _) = made(&schema, &Profile::FULL).unwrap();
    assert_eq!(out, schema);
}

#[test]
fn what_no_target_takes_is_refused_by_name_and_place() {
    for (schema, place) in [
        (json!({"type": "array"}), "tools[0].parameters"),
        (
            json!({"properties": {"a": {"$ref": "#/$defs/Gone"}}}),
            "tools[0].parameters.properties.a.$ref",
        ),
        (
            json!({"properties": {"a": {"$ref": "https://example.com/s.json"}}}),
            "tools[0].parameters.properties.a.$ref",
        ),
    ] {
        for profile in [&Profile::GEMINI, &Profile::ANTHROPIC, &Profile::MOONSHOT] {
            let message = made(&schema, profile).unwrap_err();
            assert!(
                message.contains("`t`") && message.contains(place),
                "{message}"
            );
        }
    }
    // Each doubles the one before: written out they would fill any memory.
    let mut defs = Map::new();
    for at in 0..64 {
        let next = json!({"$ref": format!("#/$defs/{}", at + 1)});
        defs.insert(
            at.to_string(),
            json!({"properties": {"a": next, "b": next}}),
        );
    }
    defs.insert("64".into(), json!({}));
    let schema = json!({"properties": {"a": {"$ref": "#/$defs/0"}}, "$defs": defs});
    assert!(made(&schema, &Profile::GEMINI).unwrap_err().contains("too"));
}

/// Every schema in a schema.
fn each(schema: &Value, root: bool, seen: &mut dyn FnMut(&Map<String, Value>, bool)) {
    let Value::Object(fields) = schema else {
        return;
    };
    seen(fields, root);
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "patternProperties", Value::Object(inner)) => {
                inner.values().for_each(|inner| each(inner, false, seen));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(inner)) => {
                inner.iter().for_each(|inner| each(inner, false, seen));
            }
            ("items" | "additionalProperties" | "not", inner) => each(inner, false, seen),
            _ => {}
        }
    }
}

fn check(made: &Value, profile: &Profile) {
    each(made, true, &mut |fields, root| {
        let has = |name: &str| fields.contains_key(name);
        for name in fields.keys() {
            assert!(profile.knows(name), "{name} in {made}");
        }
        let refused = |form: Form| !profile.takes(form);
        assert!(!(refused(Form::References) && has("$ref")), "{made}");
        assert!(
            !(refused(Form::OneOf) && has("oneOf") && !has("anyOf")),
            "{made}"
        );
        assert!(!(refused(Form::AllOf) && has("allOf")), "{made}");
        assert!(!(refused(Form::Constants) && has("const")), "{made}");
        assert!(!(refused(Form::Tuples) && has("prefixItems")), "{made}");
        let listed = fields.get("type").is_some_and(Value::is_array);
        assert!(!(refused(Form::TypeLists) && listed), "{made}");
        let beside = has("anyOf") && (has("type") || has("properties") || has("enum"));
        assert!(!(refused(Form::TypeBesideUnion) && beside), "{made}");
        let union = ["anyOf", "oneOf", "allOf", "enum", "not"]
            .iter()
            .any(|name| has(name));
        assert!(!(root && refused(Form::RootUnions) && union), "{made}");
    });
}

/// A small reading of the words that the samples use.
fn accepts(schema: &Value, value: &Value, root: &Value) -> bool {
    let Value::Object(fields) = schema else {
        return schema != &Value::Bool(false);
    };
    fields.iter().all(|(name, word)| match name.as_str() {
        "$ref" => {
            let pointer = word.as_str().unwrap().trim_start_matches('#');
            accepts(root.pointer(pointer).unwrap(), value, root)
        }
        "type" => {
            let one = |kind: &Value| match kind.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                _ => value.is_null(),
            };
            match word {
                Value::Array(kinds) => kinds.iter().any(one),
                kind => one(kind),
            }
        }
        "const" => value == word,
        "enum" => word.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|n| n >= word.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|n| n <= word.as_f64().unwrap()),
        "minLength" => value
            .as_str()
            .is_none_or(|s| s.len() >= word.as_u64().unwrap() as usize),
        "anyOf" => word
            .as_array()
            .unwrap()
            .iter()
            .any(|one| accepts(one, value, root)),
        "oneOf" => {
            let fits = |one: &&Value| accepts(one, value, root);
            word.as_array().unwrap().iter().filter(fits).count() == 1
        }
        "allOf" => word
            .as_array()
            .unwrap()
            .iter()
            .all(|one| accepts(one, value, root)),
        "items" => match value {
            Value::Array(items) => items.iter().all(|item| accepts(word, item, root)),
            _ => true,
        },
        "required" => match value {
            Value::Object(object) => {
                let names = word.as_array().unwrap();
                names
                    .iter()
                    .all(|name| object.contains_key(name.as_str().unwrap()))
            }
            _ => true,
        },
        "properties" => match value {
            Value::Object(object) => word.as_object().unwrap().iter().all(|(name, inner)| {
                object
                    .get(name)
                    .is_none_or(|value| accepts(inner, value, root))
            }),
            _ => true,
        },
        _ => true,
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..6).prop_map(Value::from),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let object = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            object.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"type": "string", "minLength": 1, "description": "d"})),
        Just(json!({"type": ["integer", "null"], "minimum": 1})),
        Just(json!({"type": "number", "maximum": 3})),
        Just(json!({"enum": ["a", 1, null]})),
        Just(json!({"const": "b"})),
        Just(json!({"type": "boolean", "default": true, "uniqueItems": true})),
        Just(json!({"$ref": "#/$defs/D"})),
        Just(json!({"$ref": "#/$defs/E", "title": "t"})),
        Just(json!({"$ref": "#/$defs/R"})),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3);
        let fields = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            (list.clone()).prop_map(|all| json!({"anyOf": all})),
            (list.clone()).prop_map(|all| json!({"oneOf": all})),
            (list.clone()).prop_map(|all| json!({"allOf": all})),
            (list, inner.clone()).prop_map(|(all, beside)| {
                let mut beside = beside.as_object().cloned().unwrap_or_default();
                beside.insert("anyOf".into(), all.into());
                Value::Object(beside)
            }),
            inner.prop_map(|item| json!({"type": "array", "items": item})),
            (fields, any::<bool>()).prop_map(|(fields, demand)| {
                let names: Vec<String> = fields.keys().filter(|_| demand).cloned().collect();
                json!({"type": "object", "properties": fields, "required": names})
            }),
        ]
    })
}

const PROFILES: [&Profile; 6] = [
    &Profile::ANTHROPIC,
    &Profile::OPENAI,
    &Profile::FULL,
    &Profile::GEMINI,
    &Profile::MOONSHOT,
    &Profile::COHERE,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Nothing forbidden is left, a second pass changes nothing, and what is said to be exact takes what was taken, and
    /// nothing else.
    #[test]
    fn compiled_schemas_hold_to_the_profile(inner in schemas(), samples in prop::collection::vec(values(), 12)) {
        let schema = json!({
            "type": "object",
            "properties": {"a": inner},
            "$defs": {
                "D": {"type": "string", "minLength": 2},
                "E": {"enum": ["a", "b", 2]},
                "R": {"type": "object", "properties": {"a": {"$ref": "#/$defs/R"}}},
            },
        });
        for profile in PROFILES {
            let Ok((out, losses)) = made(&schema, profile) else { continue };
            check(&out, profile);
            let (again, _) = made(&out, profile).unwrap();
            prop_assert_eq!(&again, &out);
            for sample in &samples {
                let value = json!({"a": sample});
                let (before, after) = (accepts(&schema, &value, &schema), accepts(&out, &value, &out));
                if losses.is_empty() {
                    prop_assert_eq!(before, after, "{} became {}, {}", schema, out, value);
                }
            }
        }
    }
}

/// Each once nested as deep as the body had branches, on the stack of a worker.
#[test]
fn no_schema_takes_the_stack_or_the_memory() {
    let link = |n: usize| json!({"allOf": [{"$ref": format!("#/$defs/a{n}")}]});
    let links = 20_000;
    let mut defs: Map<String, Value> = (0..links).map(|n| (format!("a{n}"), link(n + 1))).collect();
    defs.insert(format!("a{links}"), json!({"type": "object"}));
    let chain = json!({"allOf": [{"$ref": "#/$defs/a0"}], "$defs": defs});
    let mut plain: Map<String, Value> = (0..links)
        .map(|n| {
            (
                format!("a{n}"),
                json!({"$ref": format!("#/$defs/a{}", n + 1)}),
            )
        })
        .collect();
    plain.insert(format!("a{links}"), json!({"type": "object"}));
    let plain = json!({"$ref": "#/$defs/a0", "$defs": plain});
    let branches: Vec<Value> = (0..20_000)
        .map(|n| json!({"properties": {"a": {"const": n}}}))
        .collect();
    let variants = json!({"anyOf": branches});
    let many: Vec<Value> = (0..20_000).map(|n| json!({"enum": [n]})).collect();
    let kinds = vec!["object"; 20_000];
    let lists =
        json!({"type": "object", "properties": {"a": {"type": kinds, "items": {"anyOf": many}}}});
    for profile in [
        &Profile::ANTHROPIC,
        &Profile::OPENAI,
        &Profile::GEMINI,
        &Profile::MOONSHOT,
    ] {
        for schema in [&chain, &plain, &variants] {
            assert!(made(schema, profile).is_err());
        }
    }
    assert!(made(&lists, &Profile::MOONSHOT).is_err());
}

#[test]
fn variants_with_a_word_of_their_own_stand_beside_each_other() {
    let variant = |n: usize| json!({"type": "object", "properties": {"op": {"const": format!("o{}", n % 70)}}, "required": ["op"]});
    let schema = json!({"anyOf": (0..80).map(variant).collect::<Vec<_>>()});
    let (made, _) = made(&schema, &Profile::ANTHROPIC).unwrap();
    assert_eq!(
        made["properties"]["op"]["anyOf"].as_array().map(Vec::len),
        Some(70)
    );
    assert_eq!(made["required"], json!(["op"]));
}

/// A request with one tool whose calls are to be held to this schema, for a target.
fn held(schema: &Value, strict: Strictness) -> (Value, Option<bool>, Vec<String>) {
    let mut request = ChatRequest::new(DialectName::OllamaChat, "m");
    let mut tool = Tool::function("t", None, Some(Json::parse(&schema.to_string()).unwrap()));
    if let ToolKind::Function { strict, .. } = &mut tool.kind {
        *strict = Some(true);
    }
    request.tools.push(tool);
    let profiles = Profiles {
        tools: &Profile::OPENAI,
        strict,
        answer: &Profile::FULL,
    };
    let mut losses = Vec::new();
    let fitted = fit(Cow::Borrowed(&request), profiles, &mut losses).unwrap();
    let ToolKind::Function {
        parameters, strict, ..
    } = &fitted.tools[0].kind
    else {
        panic!("a function")
    };
    let made = parameters.as_ref().unwrap().read().unwrap();
    let fields = losses.into_iter().map(|loss| loss.field).collect();
    (made, *strict, fields)
}

const ANTHROPIC: Strictness = Strictness::Profile(&Profile::ANTHROPIC_STRICT);

#[test]
fn calls_are_held_to_what_the_target_can_hold_them_to() {
    let schema = json!({"type": "object", "required": ["n", "s"], "properties": {
        "n": {"type": "integer", "minimum": 1},
        "s": {"anyOf": [{"type": "string", "format": "uri", "maxLength": 9}, {"type": "null"}]},
        "l": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"f": {"type": "string", "format": "regex"}}, "additionalProperties": true}},
    }, "additionalProperties": false});
    let (made, strict, losses) = held(&schema, ANTHROPIC);
    let expected = json!({"type": "object", "required": ["n", "s"], "properties": {
        "n": {"type": "integer"},
        "s": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
        "l": {"type": "array", "items": {"type": "object", "properties": {"f": {"type": "string"}}, "additionalProperties": false}},
    }, "additionalProperties": false});
    assert_eq!((made, strict), (expected, Some(true)));
    let at = |rest: &str| format!("tools[0].parameters.properties.{rest}");
    let mut told = [
        at("n.minimum"),
        at("s.anyOf[0].maxLength"),
        at("l.minItems"),
        at("l.items"),
        at("l.items.properties.f.format"),
    ];
    let mut losses = losses;
    told.sort();
    losses.sort();
    assert_eq!(losses, told);
}

#[test]
fn a_schema_that_no_calls_can_be_held_to_stays_as_it_is() {
    let map = json!({"type": "object", "properties": {"m": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}}});
    let (made, strict, losses) = held(&map, ANTHROPIC);
    assert_eq!((made, strict), (map, None));
    assert_eq!(losses, ["tools[0].strict"]);
    let optional = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let (made, strict, losses) = held(&optional, Strictness::AllRequired);
    assert_eq!((made, strict), (optional.clone(), Some(false)));
    assert_eq!(losses, ["tools[0].strict"]);
    let mut whole = optional;
    whole["required"] = json!(["b", "a"]);
    let (_, strict, losses) = held(&whole, Strictness::AllRequired);
    assert_eq!((strict, losses.len()), (Some(true), 0));
    // Who holds calls to nothing is not asked to, and who takes any schema is given it.
    let (made, strict, losses) = held(&whole, Strictness::Unknown);
    assert_eq!((&made, strict), (&whole, None));
    assert_eq!(losses, ["tools[0].strict"]);
    whole["required"] = json!(["a"]);
    let (_, strict, losses) = held(&whole, Strictness::AsAny);
    assert_eq!((strict, losses.len()), (Some(true), 0));
    whole["required"] = json!(["b", "a"]);
    whole["properties"]["a"] =
        json!({"type": "array", "items": {"type": "object", "properties": {}}});
    assert_eq!(held(&whole, Strictness::AllRequired).1, Some(false));
}

/// An answer that is held to a map would be empty: that is refused, by name and place.
#[test]
fn an_answer_of_unlisted_fields_is_refused_where_it_would_be_empty() {
    let map = json!({"type": "object", "properties": {"m": {"type": "object", "additionalProperties": {"type": "integer"}}}});
    let why = made(&map, &Profile::ANTHROPIC_ANSWER).unwrap_err();
    assert!(why.contains("tools[0].parameters.properties.m"), "{why}");
    for anything in [
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": true}),
    ] {
        made(&anything, &Profile::ANTHROPIC_ANSWER).unwrap_err();
        let arguments = anything.get("additionalProperties").is_some();
        let tool = made(&anything, &Profile::ANTHROPIC_STRICT);
        assert_eq!(tool.is_err(), arguments, "{anything}");
    }
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let (closed, losses) = made(&open, &Profile::ANTHROPIC_ANSWER).unwrap();
    assert_eq!(closed["additionalProperties"], json!(false));
    assert_eq!(losses.len(), 1);
}
