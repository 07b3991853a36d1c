use super::*;

fn head(wire: &str, to_head: bool) -> Result<Option<Head>, TransportError> {
    let limits = Limits::default();
    let whole = Finder::default().next(&mut BytesMut::from(wire), &limits, to_head);
    // Byte by byte says the same.
    let mut buf = BytesMut::new();
    let mut finder = Finder::default();
    let mut found = Ok(None);
    for byte in wire.bytes() {
        buf.extend_from_slice(&[byte]);
        found = finder.next(&mut buf, &limits, to_head);
        if !matches!(found, Ok(None)) {
            break;
        }
    }
    assert_eq!(format!("{whole:?}"), format!("{found:?}"), "{wire:?}");
    whole
}

fn delimited(fields: &str) -> Result<(Decoder, bool), TransportError> {
    let wire = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    head(&wire, false).map(|head| {
        let head = head.expect("whole");
        (head.body, head.keep_alive)
    })
}

#[test]
fn a_head_says_how_its_body_ends_and_what_becomes_of_the_connection() {
    for (fields, body, keep_alive) in [
        ("content-length: 7\r\n", "Exactly(7)", true),
        (
            "Content-Length:7\r\nConnection: x, Close\r\n",
            "Exactly(7)",
            false,
        ),
        ("transfer-encoding: Chunked\r\n", "Chunked", true),
        ("", "ToTheEnd", false),
    ] {
        let (decoder, kept) = delimited(fields).expect(fields);
        assert!(
            format!("{decoder:?}").starts_with(body),
            "{fields:?}: {decoder:?}"
        );
        assert_eq!(kept, keep_alive, "{fields:?}");
    }
    for (wire, to_head, keep_alive) in [
        (
            "HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n",
            false,
            true,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", true, true),
        (
            "HTTP/1.0 304 x\r\nconnection: keep-alive\r\n\r\n",
            false,
            true,
        ),
        ("HTTP/1.0 304 x\r\n\r\n", false, false),
    ] {
        let head = head(wire, to_head).expect(wire).expect(wire);
        assert!(head.body.is_done(), "{wire:?}");
        assert_eq!(head.keep_alive, keep_alive, "{wire:?}");
    }
}

#[test]
fn interim_responses_are_passed_over_and_counted() {
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: 1\r\nx: 2\r\n\r\n";
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    for (hints, fits) in [(0, true), (1, true), (32, true), (33, false)] {
        let found = head(&(hint.repeat(hints) + last), false);
        match found {
            Ok(Some(head)) if fits => {
                assert_eq!(head.status, 200);
                assert_eq!(head.headers.get_all("x").iter().count(), 2);
            }
            Err(TransportError::HeadTooLarge) if !fits => {}
            other => panic!("{hints}: {other:?}"),
        }
    }
}

#[test]
fn a_head_that_two_readers_might_see_differently_is_refused() {
    for fields in [
        "content-length: 1\r\ncontent-length: 1\r\n",
        "content-length: 1, 1\r\n",
        "content-length: +1\r\n",
        "content-length: 0x1\r\n",
        "content-length: \r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length: 1\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked;x\r\n",
        "transfer-encoding: identity\r\n",
        "a: b\n",
        "a: b\r\n c\r\n",
        "a : b\r\n",
        ": b\r\n",
        "a\r\n",
        "a: \0\r\n",
        "a: \rb\r\n",
    ] {
        let found = delimited(fields);
        assert!(
            matches!(found, Err(TransportError::Protocol(_))),
            "{fields:?}: {found:?}"
        );
    }
    for wire in [
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "SSH-2.0-x\r\n",
    ] {
        let found = head(wire, false);
        assert!(
            matches!(found, Err(TransportError::Protocol(_))),
            "{wire:?}: {found:?}"
        );
    }
}

#[test]
fn fields_are_found_with_and_without_a_map() {
    let wire = "HTTP/1.1 200 OK: fine\r\nContent-Type:text/plain \r\nx: 1\r\nX:\t2\r\nempty:\r\nurl: http://a:1/\r\n\r\nbody: no\r\n";
    let found = head(wire, false).expect(wire).expect(wire);
    let headers = found.headers;
    for (name, values) in [
        ("content-type", &["text/plain"][..]),
        ("x", &["1", "2"]),
        ("empty", &[""]),
        ("url", &["http://a:1/"]),
        ("http/1.1 200 ok", &[]),
        ("body", &[]),
        ("con", &[]),
    ] {
        let first = values.first().map(|value| value.as_bytes());
        assert_eq!(headers.first(name), first, "{name}");
        let all: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(all, values, "{name}");
    }
    assert_eq!(headers.len(), 5);
    assert_eq!(headers.clone().into_map(), *headers);
}
