use super::{Asked, credentials};
use http::request::Parts;

fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

#[test]
fn a_request_says_its_model_and_form() {
    for (uri, headers, model, older, transcribes, names) in [
        (
            "/v1/realtime?model=gpt-realtime",
            &[][..],
            "gpt-realtime",
            false,
            false,
            false,
        ),
        (
            "/v1/realtime?model=a%2Fb&x=1",
            &[("openai-beta", "realtime=v1")],
            "a/b",
            true,
            false,
            false,
        ),
        (
            "/openai/realtime?api-version=1&deployment=d",
            &[],
            "d",
            false,
            false,
            false,
        ),
        (
            "/v1/realtime?intent=transcription&model=m",
            &[],
            "m",
            false,
            true,
            false,
        ),
        (
            "/v1/realtime?model=m",
            &[(
                "sec-websocket-protocol",
                "realtime, openai-insecure-api-key.k, openai-beta.realtime-v1",
            )],
            "m",
            true,
            false,
            true,
        ),
    ] {
        let asked = Asked::read(&parts(uri, headers), &[], None).expect(uri);
        assert_eq!(asked.model, model, "{uri}");
        let told = (asked.older, asked.transcribes, asked.names_protocol);
        assert_eq!(told, (older, transcribes, names), "{uri}");
    }
}

#[test]
fn what_names_no_model_or_a_key_in_its_address_is_refused() {
    for (uri, status) in [
        ("/v1/realtime", None),
        ("/v1/realtime?model=", None),
        ("/v1/realtime?call_id=c", None),
        (
            "/v1/realtime?model=m&api_key=CANARY",
            Some("authentication"),
        ),
        (
            "/v1/realtime?model=m&api-key=CANARY",
            Some("authentication"),
        ),
        ("/v1/realtime?model=m&token=CANARY", Some("authentication")),
        (
            "/v1/realtime?model=m&access_token=CANARY",
            Some("authentication"),
        ),
    ] {
        let refused = Asked::read(&parts(uri, &[]), &[], None).expect_err(uri);
        assert_eq!(
            refused.kind.as_str(),
            status.unwrap_or("invalid_request"),
            "{uri}"
        );
        assert!(!refused.message.contains("CANARY"));
    }
}

#[test]
fn keys_stand_among_the_sub_protocols() {
    let headers = [
        (
            "sec-websocket-protocol",
            "realtime,openai-insecure-api-key.one",
        ),
        ("sec-websocket-protocol", " openai-insecure-api-key.two "),
    ];
    let parts = parts("/", &headers);
    let found: Vec<&str> = credentials(&parts.headers).collect();
    assert_eq!(found, ["one", "two"]);
}

#[test]
fn j2_pages_of_other_sites_are_refused_unless_listed() {
    let site = "https://app.example";
    for (origin, host, listed, served) in [
        (None, "h", &[][..], true),
        (Some("https://h"), "h", &[], true),
        (Some("http://h:8080"), "h:8080", &[], true),
        (Some("http://h:8081"), "h:8080", &[], false),
        (Some(site), "h", &[], false),
        (Some(site), "h", &[site], true),
        (Some("HTTPS://APP.example"), "h", &[site], true),
        (Some("https://app.example.evil"), "h", &[site], false),
        (Some("https://evil"), "h", &["*"], true),
        (Some("null"), "h", &[], false),
        (Some("null"), "h", &["null"], true),
        (Some(""), "h", &[], false),
    ] {
        let mut headers = vec![("host", host)];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let listed: Vec<String> = listed.iter().map(|&site| site.to_owned()).collect();
        let asked = Asked::read(&parts("/v1/realtime?model=m", &headers), &listed, None);
        assert_eq!(asked.is_ok(), served, "{origin:?} {host} {listed:?}");
        if let Err(refused) = asked {
            assert_eq!(refused.status, Some(403));
        }
    }
}
