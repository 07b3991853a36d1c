//! A naive reader of server-sent events: collect the whole stream, then read it by the text of the
//! WHATWG specification (HTML, section 9.2.6, read 2026-11-25). It knows nothing of partial input.

/// One dispatched event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field; empty when there was none, which means `message`.
    pub event: String,
    /// The `data` fields joined by line feeds.
    pub data: String,
    /// The last event id in force when the event was dispatched.
    pub id: String,
}

/// A whole stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseStream {
    /// The dispatched events in order.
    pub events: Vec<SseEvent>,
    /// Comment lines without their colon, in order.
    pub comments: Vec<String>,
    /// Values of valid `retry` fields, in milliseconds.
    pub retries_ms: Vec<u64>,
    /// Data that was never dispatched because no blank line followed it.
    pub unfinished: Option<String>,
    /// Whether the bytes were not UTF-8; the events then hold U+FFFD.
    pub invalid_utf8: bool,
}

/// Reads a whole stream.
#[must_use]
pub fn parse(bytes: &[u8]) -> SseStream {
    let text = String::from_utf8_lossy(bytes);
    let mut stream = SseStream {
        invalid_utf8: std::str::from_utf8(bytes).is_err(),
        ..SseStream::default()
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let normal = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = normal.split('\n').collect();
    // What follows the last line end is an incomplete line, which is never processed.
    let rest = lines.pop().unwrap_or_default();
    let mut event = SseEvent::default();
    let mut data: Option<String> = None;
    for line in lines {
        if line.is_empty() {
            if let Some(data) = data.take() {
                event.data = data;
                stream.events.push(event.clone());
            }
            event.event.clear();
            continue;
        }
        if let Some(comment) = line.strip_prefix(':') {
            stream.comments.push(comment.to_owned());
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.event),
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => value.clone_into(&mut event.id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                stream.retries_ms.extend(value.parse::<u64>().ok());
            }
            _ => {}
        }
    }
    if data.is_some() || !rest.is_empty() {
        let mut left = data.unwrap_or_default();
        left.push_str(rest);
        stream.unfinished = Some(left);
    }
    stream
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn datas(text: &str) -> Vec<String> {
        parse(text.as_bytes())
            .events
            .into_iter()
            .map(|event| event.data)
            .collect()
    }

    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(
            datas("data: YHOO\ndata: +2\ndata: 10\n\n"),
            ["YHOO\n+2\n10"]
        );
        assert_eq!(datas("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(datas("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn line_ends_comments_and_marks() {
        for end in ["\n", "\r", "\r\n"] {
            let text = format!("\u{feff}: hi{end}event: a{end}data:  x{end}{end}data: y{end}{end}");
            let stream = parse(text.as_bytes());
            assert_eq!(stream.comments, [" hi"]);
            assert_eq!(stream.events[0].event, "a");
            assert_eq!(stream.events[0].data, " x");
            assert_eq!(stream.events[1].event, "", "the name holds for one event");
            assert_eq!(stream.unfinished, None);
        }
    }

    #[test]
    fn ids_retries_and_unknown_fields() {
        let stream = parse(b"id: 7\nretry: 10\nretry: x\nfoo: bar\ndata: a\n\nid: \0\ndata: b\n\n");
        assert_eq!(stream.retries_ms, [10]);
        assert_eq!(stream.events[1].id, "7");
    }

    #[test]
    fn what_is_not_finished_is_not_dispatched() {
        let stream = parse(b"data: a\n\ndata: [DONE]\n");
        assert_eq!(stream.events.len(), 1);
        assert_eq!(stream.unfinished.as_deref(), Some("[DONE]"));
        assert!(parse(b"data: \xff\n\n").invalid_utf8);
    }
}
