//! What `docs/control-plane.md` and the OpenAPI document beside it say is what is spoken.

use crate::endpoint::{NODE_HEADER, VERSION_HEADER, WIRE, WIRE_HEADER};
use crate::lease::{Asking, Spent};
use crate::{lease, topology, verdicts};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/control-plane.md");
const OPENAPI: &str = include_str!("../../../docs/control-plane.openapi.json");

/// The JSON blocks of the page.
fn samples() -> Vec<&'static str> {
    let blocks = PAGE.split("```json\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().expect("it ends"))
        .collect()
}

fn sample(part: &str) -> &'static str {
    let mut all = samples().into_iter();
    all.find(|sample| sample.contains(part))
        .expect("the page has it")
}

#[test]
fn the_pages_samples_are_read() {
    for sample in samples() {
        serde_json::from_str::<Value>(sample).expect(sample);
    }
    assert_eq!(
        verdicts::read(sample("\"verdicts\"").as_bytes())
            .expect("verdicts")
            .len(),
        3
    );
    assert_eq!(topology::size(sample("\"providers\"").as_bytes()), Ok(2));
    let told = lease::read(sample("\"granted\"").as_bytes()).expect("leases");
    assert_eq!(told.leases[0].granted.requests, Some(120));
}

/// What a node tells of leases has the fields of the page's sample, and no others.
#[test]
fn a_report_of_leases_is_written_as_the_page_has_it() {
    let report = lease::Report {
        key: "team-a".into(),
        lease: Some("l-17".into()),
        spent: Spent {
            requests: 40,
            tokens: 91_000,
            nano_usd: 120_000_000,
        },
        open: 2,
        want: Some(Spent {
            requests: 80,
            tokens: 180_000,
            nano_usd: 240_000_000,
        }),
        over: false,
    };
    let asking = Asking {
        node: "node-1",
        run: "node-9f3c…",
        leases: &[report],
    };
    let written = serde_json::to_value(&asking).expect("JSON");
    let shown: Value = serde_json::from_str(sample("\"want\"")).expect("JSON");
    assert_eq!(written, shown);
}

#[test]
fn the_openapi_document_names_the_same_headers_paths_and_fields() {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let at = |path: &str| document.pointer(path).unwrap_or(&Value::Null);
    assert_eq!(at("/components/parameters/wire/name"), WIRE_HEADER);
    assert_eq!(at("/components/parameters/wire/schema/const"), WIRE);
    assert_eq!(at("/components/parameters/node/name"), NODE_HEADER);
    for part in ["keys", "verdicts", "topology"] {
        let headers = at(&format!(
            "/paths/~1llmleaf~1{part}/get/responses/200/headers"
        ));
        assert!(headers.get(VERSION_HEADER).is_some(), "{part}");
    }
    assert!(at("/paths/~1llmleaf~1leases/post").is_object());
    assert!(at("/paths/~1llmleaf~1usage/post").is_object());
    let fields = |schema: &str| {
        let properties = at(&format!("/components/schemas/{schema}/properties"));
        let mut names: Vec<&String> = properties.as_object().expect(schema).keys().collect();
        names.sort_unstable();
        json!(names)
    };
    assert_eq!(
        fields("Key"),
        json!(["allowed_models", "id", "limits", "name", "pw_hash"])
    );
    assert_eq!(
        fields("Verdict"),
        json!(["allowed_models", "blocked", "leased", "suspended_until"])
    );
    assert_eq!(fields("Spent"), json!(["nano_usd", "requests", "tokens"]));
    assert_eq!(
        fields("LeaseReport"),
        json!(["key", "lease", "open", "over", "spent", "want"])
    );
    assert_eq!(
        fields("LeaseGrant"),
        json!([
            "exhausted_secs",
            "expires_in_secs",
            "granted",
            "key",
            "lease"
        ])
    );
    // Every reference leads somewhere.
    for rest in OPENAPI.split("\"$ref\": \"#").skip(1) {
        let path = rest.split('"').next().expect("it ends");
        assert!(document.pointer(path).is_some(), "{path}");
    }
}
