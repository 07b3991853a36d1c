use super::*;

/// Feeds `wire` in pieces that end at `cuts`; what came out, how many bytes were left over, and whether the end was seen.
fn decoded(wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), TransportError> {
    let mut decoder = Decoder::chunked();
    let mut out = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([wire.len()]) {
        let mut piece = wire[from..to].to_vec();
        let found = decoder.decode(&mut piece)?;
        out.extend_from_slice(&piece[found.start..found.end]);
        if decoder.is_done() {
            return Ok((out, wire.len() - from - found.used, true));
        }
        assert_eq!(
            found.used,
            piece.len(),
            "all of it is read while the body goes on"
        );
        from = to;
    }
    Ok((out, 0, false))
}

/// One after the other, every way of cutting in two, and byte by byte.
fn every_cut(wire: &[u8], mut check: impl FnMut(Result<(Vec<u8>, usize, bool), TransportError>)) {
    check(decoded(wire, &[]));
    (0..=wire.len()).for_each(|cut| check(decoded(wire, &[cut])));
    check(decoded(wire, &(0..wire.len()).collect::<Vec<_>>()));
}

#[test]
fn chunks_are_read_alike_however_they_are_cut() {
    let long = "x".repeat(300);
    for (wire, body, rest) in [
        ("0\r\n\r\n".to_owned(), "", 0),
        ("3\r\nabc\r\n0\r\n\r\n".to_owned(), "abc", 0),
        ("1\r\na\r\n02\r\nbc\r\n000\r\n\r\n".to_owned(), "abc", 0),
        (
            "A;name=\"v\"\r\n0123456789\r\n0;x\r\n\r\n".to_owned(),
            "0123456789",
            0,
        ),
        (
            "3 \t\r\na\r\n\r\n0\r\na: b\r\nc: d\r\n\r\n".to_owned(),
            "a\r\n",
            0,
        ),
        (format!("12C\r\n{long}\r\n0\r\n\r\nHTTP"), &long, 4),
    ] {
        let mut whole = 0;
        every_cut(wire.as_bytes(), |found| {
            let (out, left, done) = found.expect(&wire);
            assert_eq!((out.as_slice(), done), (body.as_bytes(), true), "{wire:?}");
            whole = whole.max(left);
        });
        assert_eq!(whole, rest, "{wire:?}");
    }
}

#[test]
fn what_two_readers_might_see_differently_is_refused() {
    for wire in [
        "x\r\n",
        "\r\nabc",
        ";a\r\n",
        " 3\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "0x3\r\nabc\r\n",
        "3 3\r\nabc\r\n",
        "3\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\rX",
        "3\rX",
        "3;a\nb\r\nabc\r\n",
        "3;a\0b\r\nabc\r\n",
        "0\r\n\n",
        "0\r\na: b\n\r\n",
        "0\r\n\rX",
        "fffffffffffffffff\r\n",
        "11111111111111111111111111\r\n",
    ] {
        every_cut(wire.as_bytes(), |found| {
            assert!(
                matches!(found, Err(TransportError::Protocol(_))),
                "{wire:?} was read as {found:?}"
            );
        });
    }
}

#[test]
fn a_body_that_is_cut_off_has_not_ended() {
    let wire = b"3;x\r\nabc\r\n0\r\na: b\r\n\r\n";
    for end in 0..wire.len() {
        let (out, _, done) = decoded(&wire[..end], &[]).expect("no error");
        assert!(!done, "{end}");
        assert!(b"abc".starts_with(&out[..]));
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extension = format!("3;{}\r\n", "x".repeat(MOST_EXTRA + 1));
    let trailers = format!("0\r\n{}", "a: b\r\n".repeat(MOST_EXTRA / 4));
    for wire in [extension, trailers] {
        assert!(decoded(wire.as_bytes(), &[]).is_err());
    }
}

#[test]
fn b21_a_trailer_is_a_field_or_the_body_is_none() {
    for good in ["", "a: b\r\n", "a:\r\n", "x-y_z!: \t\u{e4}\r\nb: c\r\n"] {
        let wire = format!("3\r\nabc\r\n0\r\n{good}\r\n");
        let (out, _, done) = decoded(wire.as_bytes(), &[]).expect(good);
        assert!(done && out == b"abc", "{good:?}");
    }
    for bad in [
        "x\r\n",
        " x: y\r\n",
        "\tx: y\r\n",
        "x : y\r\n",
        ": y\r\n",
        "x y: z\r\n",
        "x\0: y\r\n",
        "x: \0\r\n",
        "x: y\n",
        "x: y\rz\r\n",
        "a: b\r\n x\r\n",
        "HTTP/1.1 200 OK\r\n",
    ] {
        let wire = format!("3\r\nabc\r\n0\r\n{bad}\r\n");
        assert!(decoded(wire.as_bytes(), &[]).is_err(), "{bad:?}");
    }
}

#[test]
fn b21_a_long_stream_may_pad_every_size() {
    let chunk = format!("1{}\r\na\r\n", " ".repeat(PADDING));
    let wire = format!("{}0;x\r\n\r\n", chunk.repeat(MOST_EXTRA));
    let (out, _, done) = decoded(wire.as_bytes(), &[]).expect("no error");
    assert!(done && out == b"a".repeat(MOST_EXTRA));
}

#[test]
fn a_stated_length_is_taken_and_no_more() {
    let mut decoder = Decoder::Exactly(5);
    let mut bytes = *b"abc";
    let all = Decoded {
        start: 0,
        end: 3,
        used: 3,
    };
    assert_eq!(decoder.decode(&mut bytes), Ok(all));
    assert!(!decoder.is_done());
    let two = Decoded {
        start: 0,
        end: 2,
        used: 2,
    };
    assert_eq!(decoder.decode(&mut bytes), Ok(two));
    assert!(decoder.is_done());
}

#[test]
fn d3_what_stands_between_chunks_is_bounded_by_what_they_hold_however_it_is_cut() {
    let some = format!("1;{}\r\na\r\n", "x".repeat(99));
    let zeros = format!("{}1\r\na\r\n0\r\n\r\n", "0".repeat(MOST_EXTRA + 2));
    let trailers = format!(
        "0\r\n{}\r\n",
        "t:\r\n".repeat(usize::from(MOST_TRAILERS) + 1)
    );
    for wire in [some.repeat(MOST_EXTRA / 50), zeros, trailers] {
        for piece in [1, 7, 1000, wire.len()] {
            let cuts: Vec<_> = (piece..wire.len()).step_by(piece).collect();
            decoded(wire.as_bytes(), &cuts).expect_err("too much");
        }
    }
    // Who sends data may number its chunks.
    let fair = format!("64;{}\r\n{}\r\n", "x".repeat(99), "a".repeat(100));
    for piece in [7, 1000] {
        let wire = fair.repeat(MOST_EXTRA / 50);
        let cuts: Vec<_> = (piece..wire.len()).step_by(piece).collect();
        let (out, ..) = decoded(wire.as_bytes(), &cuts).expect("read");
        assert_eq!(out.len(), 100 * (MOST_EXTRA / 50));
    }
}
