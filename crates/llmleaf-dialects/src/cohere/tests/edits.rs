//! Same dialect in and out.

use super::wire;
use crate::sealed::Sealed;
use crate::{Dialect, Head, Target};
use llmleaf_model::{Artefact, ArtefactKind, Provenance};

fn edited(body: &str, stream: bool) -> (String, Vec<String>) {
    let bytes = bytes::Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read_as(Dialect::CohereChat, &bytes).unwrap();
    let target = Target { model: "b", stream };
    let edited = wire().edit_request(&head, &bytes, target).unwrap();
    let losses = edited.losses.into_iter().map(|loss| loss.field).collect();
    (String::from_utf8(edited.body.to_vec()).unwrap(), losses)
}

#[test]
fn model_stream_and_wishes_are_all_that_changes() {
    for (before, after) in [
        (
            r#"{"messages":[{}],"model" : "a","new_field":1.50}"#,
            r#"{"messages":[{}],"model" : "b","new_field":1.50}"#,
        ),
        (
            r#"{"models":["a"],"messages":[{}],"route":"fallback","stream":false}"#,
            r#"{"model":"b","messages":[{}],"stream":false}"#,
        ),
    ] {
        assert_eq!(edited(before, false), (after.to_owned(), Vec::new()));
    }
    let (after, _) = edited(r#"{"model":"b","messages":[{}]}"#, true);
    assert_eq!(after, r#"{"stream":true,"model":"b","messages":[{}]}"#);
}

#[test]
fn envelopes_stay_with_the_gateway() {
    let sealed = Sealed {
        artefact: Some(Artefact {
            provenance: Provenance("x".into()),
            kind: ArtefactKind::Signature,
            data: "s".into(),
        }),
        ..Sealed::default()
    };
    let seal = sealed.seal();
    let before = format!(
        r#"{{"model":"b","messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"","signature":"{seal}"}}, {{"type":"thinking","signature":"{seal}","thinking":"t"}},{{"type":"text","text":"a"}}],"tool_calls":[{{"id":"c","signature":"{seal}"}}]}}]}}"#
    );
    let (after, losses) = edited(&before, false);
    assert_eq!(
        after,
        r#"{"model":"b","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"}],"tool_calls":[{"id":"c"}]}]}"#
    );
    assert_eq!(losses.len(), 3);
    // A signature that is none of ours is the consumer's affair.
    let foreign = r#"{"model":"b","messages":[{"content":[{"type":"thinking","thinking":"","signature":"own"}],"x":"llmleaf.v1."}]}"#;
    assert_eq!(edited(foreign, false), (foreign.to_owned(), Vec::new()));
}
