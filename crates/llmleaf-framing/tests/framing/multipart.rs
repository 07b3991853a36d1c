//! Forms: pieces under every cut, what is refused, and that the pieces are the body.

use llmleaf_framing::multipart::boundary;
use llmleaf_framing::{MultipartError, MultipartLimits, MultipartReader, Piece};
use proptest::prelude::*;

use crate::drive::{Form, form, forms_hold};

fn whole(body: &[u8]) -> Form {
    form(MultipartLimits::default(), [body])
}

const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm-1\r\n--b \t\r\ncontent-disposition:form-data; filename=\"a;\\\"b.wav\"; name=file\r\nContent-Length: 14\r\nContent-Type: audio/wav\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n-\r\n--\r\n--\r\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b--\r\n";

#[test]
fn parts_are_found_under_every_cut_and_their_bytes_are_the_body() {
    let expected = whole(FORM);
    assert_eq!(expected.error, None);
    assert_eq!(expected.raw, FORM);
    let part = |name: &str, file: Option<&str>, data: &[u8]| {
        (name.to_owned(), file.map(str::to_owned), data.to_vec())
    };
    let parts = [
        part("model", None, b"m-1"),
        part("file", Some("a;\\\"b.wav"), b"\r\n-\r\n--\r\n--\r\r\n"),
        part("empty", None, b""),
    ];
    assert_eq!(expected.parts, parts);
    for cut in 0..=FORM.len() {
        let (a, b) = FORM.split_at(cut);
        assert_eq!(form(MultipartLimits::default(), [a, b]), expected, "{cut}");
        // Cut off anywhere, it is not complete, and says nothing that the whole does not say.
        let begun = whole(a);
        if cut < FORM.len() - 2 {
            assert_eq!(begun.error, Some(MultipartError::Truncated), "{cut}");
        }
        assert!(FORM.starts_with(&begun.raw));
    }
    assert_eq!(form(MultipartLimits::default(), FORM.chunks(1)), expected);
}

#[test]
fn a_name_may_be_said_in_letters_that_need_decoding_beside_the_plain_one() {
    let head = "--b\r\nContent-Disposition: form-data; name=file; filename=a; filename*=utf-8''b";
    let read = whole(format!("{head}\r\n\r\n1\r\n--b--").as_bytes());
    assert_eq!(read.error, None);
    let part = ("file".to_owned(), Some("a".to_owned()), b"1".to_vec());
    assert_eq!(read.parts, [part]);
}

#[test]
fn data_goes_on_as_soon_as_it_can_be_no_boundary() {
    let mut reader = MultipartReader::new("b", MultipartLimits::default());
    reader.push(b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r");
    let next = |reader: &mut MultipartReader| reader.next().map(|p| p.expect("well-formed"));
    assert!(matches!(next(&mut reader), Some(Piece::Head(_))));
    let data = |text: &'static str| Some(Piece::Data(text.into()));
    assert_eq!(next(&mut reader), data("abc"));
    assert_eq!(next(&mut reader), None);
    reader.push(b"\n-x");
    assert_eq!(next(&mut reader), data("\r\n-x"));
}

#[test]
fn e11_what_others_may_read_otherwise_is_refused() {
    let head = "--b\r\nContent-Disposition: form-data; name=\"a\"";
    let cases: Vec<String> = vec![
        // Before, behind, and beside the boundary.
        "preamble\r\n--b--\r\n".into(),
        "\n--b--".into(),
        format!("{head}\r\n\r\n1\r\n--b--\r\n--c"),
        format!("{head}\r\n\r\n1\r\n--bx\r\n"),
        format!("{head}\r\n\r\n1\r\n--b -\r\n"),
        format!("{head}\r\n\r\n1\r\n--b\n{head}"),
        format!("{head}\r\n\r\n1\r\n--b{}\r\n", " ".repeat(65)),
        // The boundary where some readers take it for one.
        format!("{head}\r\n\r\n1\n{head}\r\n\r\n2\r\n--b--"),
        format!("{head}\r\n\r\n1\r{head}\r\n\r\n2\r\n--b--"),
        format!("{head}\r\n\r\n{head}\r\n\r\n2\r\n--b--"),
        format!("{head}\r\n\r\n1 --b\r\n--b--"),
        format!("{head}; filename=\"--b\"\r\n\r\n1\r\n--b--"),
        // Heads.
        "--b\r\n\r\n1\r\n--b--".into(),
        "--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--".into(),
        "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--".into(),
        "--b\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n1\r\n--b--".into(),
        "--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--b--".into(),
        format!("{head}; name=\"model\"\r\n\r\n1\r\n--b--"),
        format!("{head}; name*=utf-8''model\r\n\r\n1\r\n--b--"),
        format!("{head}; name*0=model\r\n\r\n1\r\n--b--"),
        format!("{head}; NAME*0*=utf-8''mo; name*1=del\r\n\r\n1\r\n--b--"),
        format!("{head}; filename*0=a\r\n\r\n1\r\n--b--"),
        "--b\r\nContent-Disposition: form-data; name=\"mo\\del\"\r\n\r\n1\r\n--b--".into(),
        "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--b--".into(),
        "--b\r\nContent-Disposition: form-data; name=\"a\"x\r\n\r\n1\r\n--b--".into(),
        format!("{head}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n1\r\n--b--"),
        "--b\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n--b--".into(),
        format!("{head}\r\nX: a\nContent-Disposition: form-data; name=model\r\n\r\n1\r\n--b--"),
        format!("{head}\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--b--"),
        format!("{head}\r\nContent-Length: 2\r\n\r\n1\r\n--b--"),
        format!("{head}\r\nContent-Length: x\r\n\r\n1\r\n--b--"),
        format!("{head}\r\nno colon\r\n\r\n1\r\n--b--"),
        format!("{head}\r\nX : y\r\n\r\n1\r\n--b--"),
    ];
    for text in cases {
        let error = whole(text.as_bytes()).error;
        assert!(
            matches!(error, Some(MultipartError::Malformed(_))),
            "{text:?}: {error:?}"
        );
        let cut = form(MultipartLimits::default(), text.as_bytes().chunks(1));
        assert_eq!(cut.error, error, "{text:?}");
    }
}

#[test]
fn e11_heads_and_parts_are_bounded() {
    let limits = MultipartLimits {
        max_head_bytes: 64,
        max_parts: 2,
    };
    let long = format!("--b\r\nX: {}", "y".repeat(100));
    for pieces in [long.as_bytes().chunks(1), long.as_bytes().chunks(100)] {
        let error = form(limits, pieces).error;
        assert_eq!(error, Some(MultipartError::HeadTooLarge { limit: 64 }));
    }
    let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
    let error = form(limits, [part.repeat(3).as_bytes()]).error;
    assert_eq!(error, Some(MultipartError::TooManyParts { limit: 2 }));
}

#[test]
fn the_boundary_is_read_as_headers_are_written() {
    for (header, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        (
            "Multipart/Form-Data;charset=utf-8; Boundary=\"a b:c\"",
            Some("a b:c"),
        ),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7",
            Some("----WebKitFormBoundary7"),
        ),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/mixed; boundary=abc", None),
        ("multipart/form-data; boundary=\"a\r\"", None),
        ("application/json", None),
    ] {
        assert_eq!(boundary(header).as_deref(), expected, "{header}");
    }
    assert_eq!(
        boundary(&format!("multipart/form-data; boundary={}", "a".repeat(71))),
        None
    );
}

proptest! {
    #[test]
    fn any_bytes_and_any_cut_read_the_same(
        tokens in prop::collection::vec(prop::sample::select(vec![
            &b"--b"[..], b"\r\n--b", b"\r\n", b"\r", b"\n", b"--", b"-", b"b", b" ", b"\xff",
            b"\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n", b"Content-Length: 1", b"x",
        ]), 0..20),
        cuts in prop::collection::vec(1usize..9, 1..8),
    ) {
        forms_hold(&tokens.concat(), &cuts);
    }
}
