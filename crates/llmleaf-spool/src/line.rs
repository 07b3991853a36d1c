//! The form of a record in a file: `checksum time record` and a line end.

/// Digits of the checksum, and the space after them.
const HEAD: usize = 9;

/// Most bytes of a line that are not its record's: checksum, time, two spaces and the end.
pub const OVERHEAD: usize = HEAD + 20 + 2;

/// Adds a line. Line ends in a record would end it, so they become spaces: JSON has them only between its parts.
pub fn write(record: &[u8], now_ms: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"00000000 ");
    out.extend_from_slice(now_ms.to_string().as_bytes());
    out.push(b' ');
    out.extend(record.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    }));
    let sum = crc32fast::hash(out.get(start + HEAD..).unwrap_or_default());
    let sum = format!("{sum:08x}");
    if let Some(head) = out.get_mut(start..start + sum.len()) {
        head.copy_from_slice(sum.as_bytes());
    }
    out.push(b'\n');
}

/// Reads a line without its end: when it was written, and the record. `None` for one that is damaged.
pub fn read(line: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = line.split_at_checked(HEAD)?;
    let sum = std::str::from_utf8(head).ok()?.strip_suffix(' ')?;
    if !sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(rest) {
        return None;
    }
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let (time, record) = rest.split_at_checked(space)?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some((time, record.get(1..)?))
}

/// Lines with their ends, and where each begins; what has no end is left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split_inclusive(|byte| *byte == b'\n')
        .filter_map(move |line| {
            let start = at;
            at += line.len();
            Some((start, line.strip_suffix(b"\n")?))
        })
}
