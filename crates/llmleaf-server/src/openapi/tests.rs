use super::*;
use std::collections::HashSet;

fn parsed() -> Value {
    serde_json::from_str(&document()).unwrap()
}

#[test]
fn every_endpoint_is_described() {
    let document = parsed();
    let mut ids = HashSet::new();
    for endpoint in ENDPOINTS {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let shown = &document["paths"][endpoint.path][&method];
        let id = shown["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert_eq!(shown["summary"], endpoint.summary);
        let success = success_status(endpoint.operation);
        assert!(shown["responses"][success].is_object(), "{id}");
        assert_eq!(
            shown["requestBody"].is_object(),
            endpoint.takes_body,
            "{id}"
        );
        let open = shown["security"] == json!([]);
        assert_eq!(open, endpoint.auth == AuthClass::Public, "{id}");
        let templated = endpoint.path.contains('{');
        let parameters = shown["parameters"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        assert_eq!(
            parameters.iter().any(|p| p["in"] == "path"),
            templated,
            "{id}"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = parsed();
    let text = document.to_string();
    let references: HashSet<&str> = text
        .split("\"$ref\":\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(references.len() >= 8, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            for requirement in operation["security"].as_array().unwrap() {
                for scheme in requirement.as_object().unwrap().keys() {
                    let found = &document["components"]["securitySchemes"][scheme];
                    assert!(found.is_object(), "{scheme}");
                }
            }
        }
    }
}
