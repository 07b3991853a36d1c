//! The formats read the slow way: all text first, then lines, then blocks. Shares no code and no idea
//! with the framers, so that a mistake must be made twice to go unseen.

/// An event: its name, if it has one, and its data.
pub type Event = (Option<Vec<u8>>, Vec<u8>);

/// What a whole stream says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The events that were completed.
    pub events: Vec<Event>,
    /// The event that was not, if it has data and does not stop in the middle of a character.
    pub tail: Option<Event>,
    /// Where the first wrong byte is; what follows it is not read.
    pub invalid_at: Option<u64>,
}

/// A line: where it begins, what it says, and whether a line end followed.
struct Line {
    start: usize,
    text: Vec<u8>,
    ended: bool,
}

fn lines(input: &[u8], cr_ends: bool) -> Vec<Line> {
    let bom = if input.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let mut lines = Vec::new();
    let mut start = bom;
    let mut at = bom;
    while at < input.len() {
        let width = match input[at] {
            b'\r' if input.get(at + 1) == Some(&b'\n') => 2,
            b'\r' if cr_ends => 1,
            b'\n' => 1,
            _ => 0,
        };
        if width == 0 {
            at += 1;
        } else {
            lines.push(Line {
                start,
                text: input[start..at].to_vec(),
                ended: true,
            });
            at += width;
            start = at;
        }
    }
    if start < input.len() {
        lines.push(Line {
            start,
            text: input[start..].to_vec(),
            ended: false,
        });
    }
    lines
}

/// Where in the stream the first wrong byte of a value is, and whether it is only a cut character.
fn wrong_byte(value: &[u8], start: usize) -> Option<(u64, bool)> {
    let error = std::str::from_utf8(value).err()?;
    let at = (start + error.valid_up_to()) as u64;
    Some((at, error.error_len().is_none()))
}

/// Reads a JSON array of objects: each goes up to the bracket that closes its first one, and what stands between is nothing.
pub fn array(input: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut from = 0;
    while let Some(found) = input[from..].iter().position(|byte| *byte == b'{') {
        let start = from + found;
        let mut open = Vec::new();
        let mut at = start;
        loop {
            let Some(byte) = input.get(at) else {
                return reading;
            };
            match (open.last(), byte) {
                (Some(b'"'), b'\\') => at += 1,
                (Some(b'"'), b'"') | (Some(b'{'), b'}') => {
                    open.pop();
                }
                (Some(b'"'), _) => {}
                (_, b'"' | b'{') => open.push(*byte),
                _ => {}
            }
            at += 1;
            if open.is_empty() {
                break;
            }
        }
        if let Some((wrong, _)) = wrong_byte(&input[start..at], start) {
            reading.invalid_at = Some(wrong);
            return reading;
        }
        reading.events.push((None, input[start..at].to_vec()));
        from = at;
    }
    reading
}

/// Reads an event stream.
pub fn sse(input: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut event: Option<Vec<u8>> = None;
    let mut data: Option<Vec<u8>> = None;
    for line in lines(input, true) {
        if line.text.is_empty() {
            let name = event.take();
            if let Some(data) = data.take() {
                reading.events.push((name, data));
            }
            continue;
        }
        let colon = line.text.iter().position(|byte| *byte == b':');
        let (name, mut value) = match colon {
            Some(colon) => (&line.text[..colon], &line.text[colon + 1..]),
            None => (&line.text[..], &line.text[line.text.len()..]),
        };
        if value.first() == Some(&b' ') {
            value = &value[1..];
        }
        if name != b"data" && name != b"event" {
            continue;
        }
        let value_start = line.start + line.text.len() - value.len();
        if let Some((at, cut)) = wrong_byte(value, value_start) {
            if line.ended || !cut {
                reading.invalid_at = Some(at);
            }
            return reading;
        }
        if name == b"event" {
            event = Some(value.to_vec()).filter(|value| !value.is_empty());
        } else {
            data = Some(match data {
                None => value.to_vec(),
                Some(before) => [&before[..], b"\n", value].concat(),
            });
        }
    }
    reading.tail = data.map(|data| (event, data));
    reading
}

/// Reads newline-delimited JSON.
pub fn ndjson(input: &[u8]) -> Reading {
    let mut reading = Reading::default();
    for line in lines(input, false) {
        let mut text = &line.text[..];
        if !line.ended && text.last() == Some(&b'\r') {
            text = &text[..text.len() - 1];
        }
        if text.iter().all(|byte| b" \t\r".contains(byte)) {
            continue;
        }
        if let Some((at, cut)) = wrong_byte(text, line.start) {
            if line.ended || !cut {
                reading.invalid_at = Some(at);
            }
            return reading;
        }
        if line.ended {
            reading.events.push((None, text.to_vec()));
        } else {
            reading.tail = Some((None, text.to_vec()));
        }
    }
    reading
}
