//! Usage records as they lie on disk, read by themselves: files of lines, each a checksum, a time and an event.

use std::path::{Path, PathBuf};

use crate::json::{self, Value};

/// The events in a folder of records, in order. A last line without an end is on its way, and left out.
///
/// # Panics
/// When a line is not what it should be.
#[must_use]
pub fn events(folder: &Path) -> Vec<Value> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    files.sort();
    let texts = files.iter().filter_map(|path| std::fs::read(path).ok());
    let mut events = Vec::new();
    for text in texts {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if let Some(line) = line.strip_suffix(b"\n") {
                events.push(event(line));
            }
        }
    }
    events
}

fn event(line: &[u8]) -> Value {
    let text = std::str::from_utf8(line).expect("a line is text");
    let (sum, rest) = text.split_once(' ').expect("a checksum");
    let sum = u32::from_str_radix(sum, 16).expect("a checksum");
    assert_eq!(sum, crc32(rest.as_bytes()), "{text}");
    let (time, event) = rest.split_once(' ').expect("a time");
    assert!(time.parse::<u64>().is_ok(), "{text}");
    json::parse(event).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// CRC-32 of ISO 3309, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = sum & 1 == 1;
            sum >>= 1;
            if odd {
                sum ^= 0xEDB8_8320;
            }
        }
    }
    !sum
}
