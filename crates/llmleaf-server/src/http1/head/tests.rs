use super::super::spares::Spares;
use super::{Head, LARGEST, Refused, may_end, read_with_body};
use crate::gate::MOST_FIELDS;
use bytes::Bytes;
use http::{Method, Version};
use llmleaf_transport::Decoder;

/// Reads a head by itself and where its body may be there; the two agree.
fn read(bytes: &[u8]) -> Result<Option<Head>, Refused> {
    let spares = Spares::default();
    let read = super::read(bytes, &spares);
    match (&read, read_with_body(bytes, &spares)) {
        (Ok(Some(one)), Ok(Some((other, body)))) => {
            assert_eq!(one.headers, other.headers);
            assert_eq!(one.uri, other.uri);
            let body = body.unwrap_or_else(Bytes::new);
            assert_eq!(one.length + body.len(), other.length);
            assert!(bytes[one.length..].starts_with(&body));
        }
        (Ok(None), Ok(None)) => {}
        (Err(one), Err(other)) => assert_eq!(one.failure.status, other.failure.status),
        (one, other) => panic!("{one:?} {other:?}"),
    }
    read
}

fn refused(text: &str) -> Option<u16> {
    match read(text.as_bytes()) {
        Err(refused) => refused.failure.status,
        Ok(_) => None,
    }
}

#[test]
fn a_head_is_what_its_lines_say() {
    let text = "POST /v1/chat?x=y HTTP/1.1\r\nHost: x\r\nAUTHORIZATION:\tBearer a b \r\nX-Two: 1\r\n\
                x-two:\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\nhello";
    let head = read(text.as_bytes()).expect("read").expect("whole");
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.uri, "/v1/chat?x=y");
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.length, text.len() - 5);
    assert!(matches!(head.body, Decoder::Exactly(5)));
    assert!(head.keeps && head.waits);
    assert_eq!(head.headers["authorization"], "Bearer a b");
    let both: Vec<_> = head.headers.get_all("x-two").iter().collect();
    assert_eq!(both, ["1", ""]);
    assert_eq!(head.headers.len(), 6);
}

#[test]
fn a4_whether_a_connection_lasts_is_its_versions_and_what_is_said() {
    for (version, says, keeps) in [
        ("1.1", "", true),
        ("1.1", "connection: close\r\n", false),
        ("1.1", "connection: keep-alive, Close\r\n", false),
        (
            "1.1",
            "connection: close\r\nconnection: keep-alive\r\n",
            false,
        ),
        ("1.1", "connection: upgrade\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
    ] {
        let text = format!("GET / HTTP/{version}\r\n{says}\r\n");
        let head = read(text.as_bytes()).expect("read").expect("whole");
        assert_eq!(head.keeps, keeps, "{text:?}");
    }
}

/// Heads that have one reading.
const GOOD: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET http://x/y HTTP/1.1\r\nhost: x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding:\tCHUNKED \r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Lengthy: 5\r\nTransfer: x\r\nc: d\r\nt: \u{e4}\r\n\r\n",
];

/// Heads that another reader may read in another way.
const DOUBTFUL: &[&str] = &[
    "GET / HTTP/1.1\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "GET / HTTP/1.1\r\n: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: \0\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
    "GET /\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / x HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / http/1.1\r\nHost: x\r\n\r\n",
    "GET /\r\nHost: x\r\n\r\n",
    " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "G\u{e4}T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
];

#[test]
fn d1_d2_what_has_one_reading_is_read_when_it_is_whole_and_not_before() {
    for text in GOOD {
        let bytes = text.as_bytes();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).expect("no fault").is_none(), "{text:?}");
            assert!(!may_end(&bytes[..cut], 0), "{text:?} cut at {cut}");
        }
        for from in 0..bytes.len() {
            assert!(may_end(bytes, from), "{text:?} from {from}");
        }
        let head = read(bytes).expect("no fault").expect("whole");
        assert_eq!(head.length, bytes.len());
    }
}

#[test]
fn d1_d2_what_has_two_readings_has_none() {
    for text in DOUBTFUL {
        assert_eq!(refused(text), Some(400), "{text:?}");
        // Whatever follows.
        let more = format!("{text}GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(refused(&more), Some(400), "{text:?}");
    }
}

#[test]
fn what_is_no_http_at_all_is_not_waited_for() {
    // The beginning of TLS.
    assert!(read(b"\x16\x03\x01\x02").is_err());
    assert_eq!(refused("\u{0}"), Some(400));
    assert_eq!(refused("GET / HTTP/2.0\r\n\r\n"), Some(505));
    assert_eq!(refused("GET / HTTP/1.2\r\n\r\n"), Some(505));
    assert_eq!(refused("GET / HTTP/11\r\n\r\n"), Some(400));
}

#[test]
fn d9_heads_are_bounded() {
    let fields = |count: usize| "x: y\r\n".repeat(count);
    let most = format!("GET / HTTP/1.1\r\n{}\r\n", fields(MOST_FIELDS));
    assert!(read(most.as_bytes()).expect("read").is_some());
    let text = format!("GET / HTTP/1.1\r\n{}\r\n", fields(MOST_FIELDS + 1));
    assert_eq!(refused(&text), Some(431));
    let long = "y".repeat(LARGEST);
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nx: {long}")), Some(431));
    assert_eq!(
        refused(&format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n")),
        Some(431)
    );
    assert_eq!(refused(&format!("GET /{long}")), Some(414));
}

#[test]
fn whoever_is_refused_is_answered_in_the_dialect_of_the_path() {
    for (text, path) in [
        (
            "POST /v1/messages?x=y HTTP/1.1\r\nx\r\n\r\n",
            "/v1/messages",
        ),
        ("POST /v1/messages\r\n\r\n", "/v1/messages"),
        ("POST\r\n\r\n", "/"),
        ("POST http://x/y HTTP/1.1\r\nx\r\n\r\n", "/"),
    ] {
        let refused = read(text.as_bytes()).expect_err("refused");
        assert_eq!(refused.path, path, "{text:?}");
    }
}
