//! Same dialect on both sides: only what is named changes.

use super::*;
use crate::Head;
use crate::responses::edits::takes;
use crate::responses::reasoning;
use bytes::Bytes;

fn edit(body: &str, quirks: &Quirks) -> (String, Vec<String>) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read(&body).unwrap();
    let target = Target {
        model: "n",
        stream: head.stream,
    };
    let edited = super::super::edits::edit_request(&head, &body, target, quirks).unwrap();
    let lost = losses(&edited);
    (String::from_utf8(edited.body.to_vec()).unwrap(), lost)
}

#[test]
fn an_envelope_is_opened_for_its_issuer_and_leaves_before_others() {
    let foreign = artefact("xai-responses-v1", ArtefactKind::Encrypted, "x\"AI");
    let sealed = reasoning::shown(&foreign, Some("rs_9"), None);
    assert!(sealed.starts_with("llmleaf.v1."), "{sealed}");
    let item = |data: &str| {
        format!(r#"{{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":{data}}}"#)
    };
    let body = |items: &str| {
        format!(
            r#"{{ "model":"m","input": [ {items} ,{{"role":"user","content":"x"}}], "n":1.0 }}"#
        )
    };
    let asked = body(&item(&format!("\"{sealed}\"")));

    let xai = Quirks {
        verifies: Cow::Owned(vec!["xai-responses-v1".into()]),
        ..Quirks::REFERENCE
    };
    let (opened, lost) = edit(&asked, &xai);
    assert_eq!(opened, body(&item(r#""x\"AI""#)).replace("\"m\"", "\"n\""));
    assert!(lost.is_empty());

    let (closed, lost) = edit(&asked, &Quirks::REFERENCE);
    let without = r#"{ "model":"n","input": [ {"role":"user","content":"x"}], "n":1.0 }"#;
    assert_eq!(closed, without);
    assert_eq!(lost.len(), 1);

    let raw = body(&item("\"gAAAA\""));
    assert_eq!(
        edit(&raw, &Quirks::REFERENCE).0,
        raw.replace("\"m\"", "\"n\"")
    );
}

#[test]
fn a_service_takes_what_its_row_does_not_refuse() {
    let refusing = Quirks {
        refuses_tools: Cow::Owned(vec!["custom".into(), "namespace".into()]),
        ..Quirks::REFERENCE
    };
    for (tools, taken) in [
        ("[]", true),
        (r#"[{"type":"function","name":"f"}]"#, true),
        (r#"[{"type":"custom","name":"f"}]"#, false),
        (r#"[{"type":"namespace","name":"g","tools":[]}]"#, false),
        (
            r#"[{"type":"x","tools":[{"type":"custom","name":"f"}]}]"#,
            false,
        ),
    ] {
        let body = Bytes::from(format!(r#"{{"model":"m","input":"x","tools":{tools}}}"#));
        let head = Head::read(&body).unwrap();
        assert_eq!(takes(&head, &body, &refusing), taken, "{tools}");
        assert!(takes(&head, &body, &Quirks::REFERENCE));
    }
}

#[test]
fn the_routing_language_goes_to_services_that_speak_it_only() {
    let router = Quirks {
        extended: true,
        ..Quirks::REFERENCE
    };
    for (body, plain, routed) in [
        (
            r#"{"model":"a","provider":{"order":["x"]},"t":0.70,"route":"fallback","models":["b"]}"#,
            r#"{"model":"n","t":0.70}"#,
            r#"{"model":"n","provider":{"order":["x"]},"t":0.70,"route":"fallback","models":["b"]}"#,
        ),
        (
            r#"{"t":1, "provider":"word", "models":["b"]}"#,
            r#"{"t":1, "provider":"word", "model":"n"}"#,
            r#"{"model":"n","t":1, "provider":"word", "models":["b"]}"#,
        ),
    ] {
        assert_eq!(edit(body, &Quirks::REFERENCE), (plain.into(), vec![]));
        assert_eq!(edit(body, &router), (routed.into(), vec![]));
    }
    // Rendered anew, since the service refuses a tool, it is as silent.
    let asked = r#"{"models":["a"],"provider":{},"input":"x"}"#;
    let request = Dialect::Responses.parse_request(asked).unwrap();
    assert_eq!(request.model, "a");
    let body = sent(&own().render_request(&request, TARGET).unwrap());
    assert_eq!(
        (&body["provider"], &body["models"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_model_that_stands_in_a_list_is_the_model_in_every_dialect() {
    for (dialect, rest) in [
        (
            Dialect::ChatCompletions,
            r#""messages":[{"role":"user","content":"x"}]"#,
        ),
        (
            Dialect::Messages,
            r#""max_tokens":1,"messages":[{"role":"user","content":"x"}]"#,
        ),
        (Dialect::Responses, r#""input":"x""#),
    ] {
        let body = format!(r#"{{"models":["a","b"],{rest}}}"#);
        let head = Head::read_as(dialect, body.as_bytes()).unwrap();
        let request = dialect.parse_request(&body).unwrap();
        assert_eq!((&*head.model, &*request.model), ("a", "a"));
        for models in ["", r#""models":[],"#, r#""models":"a","#] {
            let failure = dialect.parse_request(&format!("{{{models}{rest}}}"));
            assert_eq!(failure.unwrap_err().param.as_deref(), Some("model"));
        }
    }
}

#[test]
fn a_byte_order_mark_stays_behind_on_every_wire() {
    let gemini = ChatWire::GenerateContent(crate::gemini::Quirks::REFERENCE);
    for wire in [own(), chat(), anthropic(), gemini] {
        let body = Bytes::from_static(b"\xef\xbb\xbf{\"model\":\"m\"}");
        let head = Head::read(&body).unwrap();
        let sent = wire.edit_request(&head, &body, TARGET).unwrap();
        assert_eq!(sent.body, "{\"model\":\"m\"}");
    }
}
