//! The way back: events, comments and lines as bytes. What is written reads back as one frame, whatever
//! the values hold: no value can forge a field, an event, or a line.

use memchr::memchr2;

/// Appends one server-sent event with its blank line.
///
/// Line breaks in `data` (LF, CR, CRLF) become several `data:` fields, so they read back as LF: the
/// format has no other. `event` names come from the dialect; an empty one is left out, and a line break
/// in one, which the format cannot carry, is written as a space.
pub fn write_event(out: &mut Vec<u8>, event: Option<&str>, data: &[u8]) {
    if let Some(event) = event.filter(|event| !event.is_empty()) {
        out.extend_from_slice(b"event: ");
        push_one_line(out, event.as_bytes());
        out.push(b'\n');
    }
    push_lines(out, b"data: ", data);
    out.push(b'\n');
}

/// Appends a comment with a blank line, as a keep-alive. Line breaks make it several comment lines.
///
/// A reader by the standard needs no blank line here; many others cut at blank lines first and would
/// take the comment for a part of the next event.
pub fn write_comment(out: &mut Vec<u8>, comment: &str) {
    push_lines(out, b": ", comment.as_bytes());
    out.push(b'\n');
}

/// Appends one line of newline-delimited JSON with its line end.
///
/// In JSON a bare line break can only be white space between tokens, so one becomes a space.
pub fn write_line(out: &mut Vec<u8>, json: &[u8]) {
    push_one_line(out, json);
    out.push(b'\n');
}

/// Each line of `text` behind `prefix`.
fn push_lines(out: &mut Vec<u8>, prefix: &[u8], text: &[u8]) {
    out.reserve(prefix.len() + text.len() + 2);
    let mut rest = text;
    while let Some((line, after)) = split_line(rest) {
        out.extend_from_slice(prefix);
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = after;
    }
    out.extend_from_slice(prefix);
    out.extend_from_slice(rest);
    out.push(b'\n');
}

/// `text` with a space for each line break.
fn push_one_line(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some((line, after)) = split_line(rest) {
        out.extend_from_slice(line);
        out.push(b' ');
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// What lies before and after the first LF, CR, or CRLF.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, end) = text.split_at_checked(memchr2(b'\n', b'\r', text)?)?;
    let after = end.strip_prefix(b"\r\n").or_else(|| end.get(1..))?;
    Some((line, after))
}
