use super::*;
use std::collections::VecDeque;
use std::task::Waker;

/// Pieces that are there at once.
struct Pieces(VecDeque<Bytes>);

impl Source for Pieces {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn upload(bytes: &[u8], piece: usize, room: &Room) -> Upload {
    let pieces = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
    Upload::new(Box::new(Pieces(pieces)), None, room.clone())
}

fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing waits here"),
    }
}

fn all(mut reader: Reader) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    while let Some(bytes) = now(reader.next())? {
        out.extend_from_slice(&bytes);
    }
    Ok(out)
}

fn wanted(most: usize) -> Wanted<'static> {
    Wanted {
        needed: "model",
        keeps: |name| matches!(name, "model" | "stream" | "many[]"),
        most,
    }
}

fn field(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(length: usize) -> String {
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n";
    format!("{head}{}\r\n", "x".repeat(length))
}

#[test]
fn what_is_little_can_be_read_again_and_what_is_much_once() {
    for (length, piece, again) in [
        (0, 1, true),
        (1, 1, true),
        (SEGMENT, 7, true),
        (SEGMENT * 3 + 5, 1000, true),
        (TAPE_BYTES, 100_000, true),
        (TAPE_BYTES + 1, 100_000, false),
    ] {
        let room = Room::default();
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let upload = upload(&bytes, piece, &room);
        let (mut first, second) = (upload.reader().expect("untouched"), upload.reader());
        let begun = now(first.next()).expect("no failure");
        assert_eq!(begun.is_some(), length > 0);
        assert!(first.rewind());
        assert_eq!(all(first).expect("all"), bytes, "{length}");
        assert_eq!(upload.can_begin_again(), again, "{length}");
        assert_eq!(upload.reader().is_some(), again);
        if again {
            assert_eq!(all(second.expect("untouched")).expect("all"), bytes);
            assert_eq!(room.held.get(), length);
        } else if length > 0 {
            assert!(
                all(second.expect("untouched")).is_err(),
                "its beginning is gone"
            );
        }
        assert!(upload.is_whole());
        assert_eq!(upload.length(), Some(length as u64));
        upload.let_go();
        assert_eq!(room.held.get(), 0, "what it held is given back");
    }
}

/// What somebody keeps.
struct Kept(usize);

impl Source for Kept {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.0 += 1;
        let piece = (self.0 <= 100).then(|| Ok(Bytes::from(vec![b'x'; SEGMENT])));
        Poll::Ready(piece)
    }

    fn begin_again(&mut self) -> bool {
        self.0 = 0;
        true
    }
}

#[test]
fn what_somebody_keeps_is_read_again_and_never_held() {
    let upload = Upload::kept(Box::new(Kept(0)), 100 * SEGMENT as u64);
    for _ in 0..2 {
        let mut reader = upload.reader().expect("a beginning");
        assert_eq!(
            now(reader.next()).expect("a piece").map(|b| b.len()),
            Some(SEGMENT)
        );
        assert!(reader.rewind());
        assert_eq!(all(reader).expect("all").len(), 100 * SEGMENT);
        assert!(upload.is_whole() && upload.can_begin_again());
        assert_eq!(
            (upload.held(), upload.length()),
            (None, Some(100 * SEGMENT as u64))
        );
    }
}

#[test]
fn what_is_held_is_read_out_before_it_is_let_go() {
    let bytes: Vec<u8> = (0..SEGMENT * 3).map(|at| at as u8).collect();
    let room = Room::default();
    let upload = upload(&bytes, 1000, &room);
    let read = |reader: &mut Reader| now(reader.next()).expect("no failure");
    let mut ahead = upload.reader().expect("untouched");
    while ahead.at < SEGMENT * 2 {
        assert!(read(&mut ahead).is_some());
    }
    let mut reader = upload.reader().expect("held");
    assert!(read(&mut reader).is_some());
    upload.let_go();
    assert!(!upload.can_begin_again() && upload.reader().is_none());
    assert!(!reader.rewind());
    let mut rest = bytes[..reader.at].to_vec();
    while let Some(piece) = read(&mut reader) {
        rest.extend_from_slice(&piece);
    }
    assert_eq!(rest, bytes);
    assert_eq!(room.held.get(), 0);
}

#[test]
fn what_halted_one_reader_is_no_matter_of_the_next() {
    let upload = upload(b"abc", 1, &Room::default());
    let reader = upload.reader().expect("untouched");
    upload.fail(Failure::gateway(FailureKind::Unsupported, "no"));
    assert!(upload.failure().is_some());
    drop(reader);
    let reader = upload.reader().expect("held");
    assert_eq!(upload.failure(), None);
    assert_eq!(all(reader).expect("all"), b"abc");
}

#[test]
fn one_upload_leaves_room_for_others_or_none() {
    let room = Room::default();
    assert!(room.take(ROOM_BYTES - 10));
    let upload = upload(&[b'x'; 11], 11, &room);
    assert!(all(upload.reader().expect("untouched")).is_ok());
    assert!(!upload.can_begin_again());
    assert_eq!(room.held.get(), ROOM_BYTES - 10);
}

#[test]
fn a_form_is_read_as_far_as_is_needed() {
    let end = "--b--\r\n";
    let (model, stream) = (field("model", "m"), field("stream", "true"));
    let long = 3 * TAPE_BYTES / 2;
    for (form, most, stream_known, whole) in [
        (
            [&model, &stream, &file(10)].map(String::as_str).concat(),
            1 << 20,
            true,
            true,
        ),
        // Before a long file the fields are known, behind it not.
        (
            [&model, &stream, &file(long)].map(String::as_str).concat(),
            1 << 20,
            true,
            false,
        ),
        (
            [&model, &file(long), &stream].map(String::as_str).concat(),
            1 << 20,
            false,
            false,
        ),
        // A file that comes first is held until it is known where it goes; then all of it can be read again.
        (
            [&file(long), &model, &stream].map(String::as_str).concat(),
            32 << 20,
            true,
            true,
        ),
        (
            [&file(10), &stream, &model].map(String::as_str).concat(),
            1 << 20,
            true,
            true,
        ),
    ] {
        let form = form + end;
        let upload = upload(form.as_bytes(), 10_000, &Room::default());
        let read = now(upload.form("b", wanted(most))).expect("a form");
        assert_eq!(read.1.get("model"), Some("m"));
        assert_eq!(read.1.get("stream").is_some(), stream_known);
        assert_eq!(read.1.whole, whole);
        assert_eq!(read.1.filename.as_deref(), Some("a.wav"));
        assert!(upload.can_begin_again());
        assert_eq!(
            all(upload.reader().expect("held")).expect("all"),
            form.as_bytes()
        );
    }
}

#[test]
fn e11_a_form_that_must_be_held_too_long_is_refused() {
    let form = [file(2000), field("model", "m"), "--b--".to_owned()].concat();
    let most = 1000;
    let short = upload(form.as_bytes(), 100, &Room::default());
    // The bound counts from what may be held of any upload.
    assert!(now(short.form("b", wanted(most))).is_ok());
    let form = [
        file(TAPE_BYTES + 2000),
        field("model", "m"),
        "--b--".to_owned(),
    ]
    .concat();
    let long = upload(form.as_bytes(), 1000, &Room::default());
    let failure = now(long.form("b", wanted(most))).expect_err("too much");
    assert_eq!(failure.kind, FailureKind::TooLarge);
    assert_eq!(failure.param.as_deref(), Some("model"));
    let full = Room::default();
    assert!(full.take(ROOM_BYTES - 100));
    let failure = now(upload(form.as_bytes(), 1000, &full).form("b", wanted(64 << 20)));
    assert_eq!(failure.expect_err("no room").kind, FailureKind::Overloaded);
}

#[test]
fn e11_a_form_that_says_nothing_or_two_things_is_refused() {
    let end = "--b--";
    for (form, param) in [
        (file(3) + end, Some("model")),
        (field("model", "") + end, Some("model")),
        (
            [field("model", "a"), field("model", "b")].concat() + end,
            Some("model"),
        ),
        (
            [
                field("model", "a"),
                file(3),
                field("stream", "1"),
                field("stream", "0"),
            ]
            .concat()
                + end,
            Some("stream"),
        ),
        (field("model", "a"), None),
        (String::new(), None),
        (field("model", &"m".repeat(300_000)) + end, Some("model")),
    ] {
        let upload = upload(form.as_bytes(), 1000, &Room::default());
        let failure =
            now(upload.form("b", wanted(1 << 20))).expect_err(&form[..form.len().min(80)]);
        assert_eq!(failure.origin, Origin::Consumer);
        assert_eq!(failure.param.as_deref(), param, "{}", failure.message);
    }
    let many = [
        field("model", "a"),
        field("many[]", "1"),
        field("many[]", "2"),
    ]
    .concat()
        + end;
    let upload = upload(many.as_bytes(), 1000, &Room::default());
    let read = now(upload.form("b", wanted(1 << 20))).expect("lists repeat");
    assert_eq!(read.1.fields.len(), 3);
}

#[test]
fn an_upload_is_passed_when_its_last_reader_has_all_of_it() {
    for length in [Some(10), None] {
        let pieces = [&b"12345"[..], b"67890"].map(Bytes::from_static);
        let upload = Upload::new(Box::new(Pieces(pieces.into())), length, Room::default());
        assert!(!upload.is_passed());
        let mut reader = upload.reader().expect("its beginning");
        now(reader.next()).expect("five bytes");
        assert!(!upload.is_passed(), "half of it");
        now(reader.next()).expect("five bytes");
        // Who was not told how much there is knows only at the end that this was all.
        assert_eq!(upload.is_passed(), length.is_some());
        assert_eq!(now(reader.next()), Ok(None));
        assert!(upload.is_passed());
        // Another attempt has none of it yet.
        let mut again = upload.reader().expect("it is held");
        assert!(!upload.is_passed());
        now(again.next()).expect("what is held");
        assert!(upload.is_passed());
        // A form may have come to its end before its body does.
        let again = upload.reader().expect("it is held");
        upload.close();
        assert!(upload.is_passed());
        drop(again);
        let _reader = upload.reader();
        assert!(!upload.is_passed());
    }
}

#[test]
fn a_share_of_a_room_becomes_larger_and_smaller_and_is_given_back() {
    let room = Room::new(100);
    let (mut one, mut other) = (room.share(), room.share());
    one.hold(70);
    other.hold(20);
    assert_eq!((one.left(), other.left()), (10, 10));
    one.hold(30);
    assert_eq!(other.left(), 50);
    // What is there already is counted, whether there was room for it or not.
    other.hold(200);
    assert_eq!(one.left(), 0);
    drop(other);
    assert_eq!(one.left(), 70);
    drop(one);
    assert_eq!(room.held.get(), 0);
}
