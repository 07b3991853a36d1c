use super::*;
use crate::upload::{Room, Source};
use std::collections::VecDeque;
use std::task::Waker;

const MIB: usize = 1024 * 1024;
const SHORT: usize = 100_000;

/// Pieces that are there at once.
struct Pieces(VecDeque<Bytes>);

impl Source for Pieces {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn filed(form: &str, cut: usize) -> Filed {
    let pieces = form.as_bytes().chunks(cut).map(Bytes::copy_from_slice);
    let pieces = Pieces(pieces.collect());
    Filed {
        upload: Upload::new(Box::new(pieces), None, Room::default()),
        boundary: Some("b".to_owned()),
        longest: 8 * MIB,
    }
}

fn field(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(content: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"my asks.jsonl\"\r\n\r\n{content}\r\n"
    )
}

fn line(id: &str, text: &str) -> String {
    format!(
        "{{\"custom_id\":\"{id}\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}}}"
    )
}

fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let polled = (future.as_mut()).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing waits here"),
    }
}

fn all(lines: &mut Lines) -> Result<Vec<(usize, String)>, Failure> {
    let mut found = Vec::new();
    while let Some(item) = now(poll_fn(|cx| lines.poll_next(cx))).transpose()? {
        found.push((item.line, item.custom_id));
    }
    Ok(found)
}

#[test]
fn requests_and_bytes_come_out_under_any_cut_whichever_part_comes_first() {
    let content = format!("\u{feff}{}\r\n\n{}\n", line("a", "hi"), line("b", "ho"));
    let (purpose, other) = (
        field("purpose", "batch"),
        field("expires_after[anchor]", "x"),
    );
    for form in [
        [&*purpose, &other, &file(&content), "--b--\r\n"].concat(),
        [&*file(&content), &other, &purpose, "--b--"].concat(),
    ] {
        for cut in [1, 2, 7, 100, form.len()] {
            let filed = filed(&form, cut);
            let mut lines = Lines::with_raw(&filed).expect("untouched");
            let mut raw = Vec::new();
            let mut found = Vec::new();
            loop {
                let next = now(poll_fn(|cx| lines.poll_next(cx))).transpose();
                raw.extend(lines.raw());
                match next.expect("a good file") {
                    Some(item) => found.push((item.line, item.custom_id)),
                    None => break,
                }
            }
            assert_eq!(found, [(1, "a".to_owned()), (3, "b".to_owned())], "{cut}");
            assert_eq!(raw.concat(), content.as_bytes(), "{cut}");
            assert_eq!(lines.filename(), "my asks.jsonl");
            assert_eq!(lines.losses().len(), 1);
            assert_eq!(lines.count(), 2);
        }
    }
}

#[test]
fn m1_a_form_that_says_too_little_or_too_much_is_no_file_of_requests() {
    let (purpose, good) = (field("purpose", "batch"), file(&line("a", "hi")));
    let (end, twice) = (
        "--b--",
        file(&[&*line("a", "x"), &line("a", "y")].join("\n")),
    );
    for (form, param) in [
        ([&*good, end].concat(), Some("purpose")),
        (
            [&*field("purpose", "fine-tune"), &good, end].concat(),
            Some("purpose"),
        ),
        (
            [&*good, &field("purpose", "vision"), end].concat(),
            Some("purpose"),
        ),
        ([&*purpose, end].concat(), Some("file")),
        ([&*purpose, &file("\n\n"), end].concat(), Some("file")),
        ([&*purpose, &good, &good, end].concat(), Some("file")),
        ([&*purpose, &purpose, &good, end].concat(), Some("purpose")),
        ([&*purpose, &twice, end].concat(), Some("file")),
        (
            [&*purpose, &file(&"x".repeat(2 * SHORT)), end].concat(),
            Some("file"),
        ),
        ([&*purpose, &good].concat(), None),
        (String::new(), None),
    ] {
        let shown = form.get(..form.len().min(300)).unwrap_or_default();
        let filed = Filed {
            longest: SHORT,
            ..filed(&form, 10_000)
        };
        let mut lines = Lines::new(&filed).expect("untouched");
        let failure = all(&mut lines).expect_err(shown);
        assert_eq!(failure.origin, Origin::Consumer, "{shown}");
        assert_eq!(failure.param.as_deref(), param, "{}", failure.message);
    }
}

#[test]
fn what_is_read_ahead_can_be_read_again_and_what_is_wrong_is_not_held() {
    let purpose = field("purpose", "batch");
    for (text, held, whole) in [
        (10, None, true),
        (5 * MIB, None, false),
        (AHEAD_BYTES, Some(3 * AHEAD_BYTES), false),
    ] {
        let many = (0..if text > MIB { 1 } else { 20 })
            .map(|at| line(&at.to_string(), &"x".repeat(text.min(MIB / 4))));
        let long = line("long", &"x".repeat(text));
        let content = [long].into_iter().chain(many.filter(|_| text > 10));
        let content = content.collect::<Vec<_>>().join("\n");
        let form = [&*purpose, &file(&content), "--b--"].concat();
        let filed = filed(&form, 10_000);
        assert_eq!(now(filed.ahead()).expect("a request").custom_id, "long");
        assert_eq!(filed.upload.is_whole(), whole, "{text}");
        let most = held.unwrap_or(text + MIB);
        assert!(
            filed.upload.held().is_some_and(|held| held <= most),
            "{text}"
        );
        let mut lines = Lines::new(&filed).expect("held");
        let count = content.lines().count();
        assert_eq!(all(&mut lines).expect("a good file").len(), count);
    }
    let bad = [
        &*line("a", "x"),
        "no",
        &"\n".repeat(2 * MIB),
        &line("b", "x"),
    ]
    .join("\n");
    let bad = bad.replacen("custom_id", "id", 1);
    let bad = filed(&[&*purpose, &file(&bad), "--b--"].concat(), 10_000);
    let failure = now(bad.ahead()).expect_err("two lines are wrong");
    assert!(
        failure.message.starts_with("line 1: `custom_id`"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.contains("line 2: not a JSON"),
        "{}",
        failure.message
    );
    assert_eq!(bad.upload.held(), None, "nobody will read it");
}
