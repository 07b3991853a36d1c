//! Changes to JSON and to event streams of JSON that mostly leave them well-formed, so that they reach the code behind
//! the parser. The same start gives the same changes.

use serde_json::{Map, Value, json};

/// Xorshift: all the randomness a mutation needs.
pub struct Random(u64);

impl Random {
    pub fn new(start: u64) -> Self {
        Self(start.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap_or_default() % limit.max(1)
    }
}

/// Names and words of both wires, taken from the laws' dictionary for the fuzz targets too.
const WORDS: &str = include_str!("words.txt");

/// A changed copy.
pub fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return bent(bytes, random);
    };
    if random.below(8) == 0 {
        return bent(bytes, random);
    }
    if text.trim_start().starts_with('{') {
        return match changed(text, random) {
            Some(text) => text.into_bytes(),
            None => bent(bytes, random),
        };
    }
    stream(text, random)
}

/// Changes a byte or a stretch of bytes.
fn bent(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(16)).min(bytes.len());
    match random.below(4) {
        0 if at < end => bytes[at] = random.next().to_le_bytes()[0],
        1 if at < end => drop(bytes.drain(at..end)),
        2 if at < end => {
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => {
            let word = word(random);
            bytes.splice(at..at, word.bytes());
        }
    }
    bytes
}

/// Changes the frames of an event stream, or the JSON in one of them.
fn stream(text: &str, random: &mut Random) -> Vec<u8> {
    let mut blocks: Vec<String> = text.split_inclusive("\n\n").map(str::to_owned).collect();
    let at = random.below(blocks.len());
    let Some(block) = blocks.get(at).cloned() else {
        return b"data: {}\n\n".to_vec();
    };
    match random.below(8) {
        0 => drop(blocks.remove(at)),
        1 => blocks.insert(random.below(blocks.len()), block),
        2 => {
            let other = random.below(blocks.len());
            blocks.swap(at, other);
        }
        3 => blocks.truncate(at),
        _ => {
            if let Some(start) = block.find("data:")
                && let Some(changed) = changed(block[start + 5..].trim(), random)
            {
                blocks[at] = format!("{}data: {changed}\n\n", &block[..start]);
            }
        }
    }
    blocks.concat().into_bytes()
}

fn changed(text: &str, random: &mut Random) -> Option<String> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let donor = value.clone();
    for _ in 0..=random.below(3) {
        change(node(&mut value, random), &donor, random);
    }
    let mut text = value.to_string();
    if random.below(16) == 0 {
        // Spellings that a value cannot hold.
        text = match random.below(4) {
            0 => text.replacen("\":1", "\":1.0e0", 1),
            1 => text.replacen("\":", "\" :\t", 1),
            2 => text.replacen('a', "\\u0061", 1),
            _ => text.replacen("\":0", "\":1e400", 1),
        };
    }
    Some(text)
}

/// Some place inside a value.
fn node<'v>(value: &'v mut Value, random: &mut Random) -> &'v mut Value {
    let children = match &*value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if children == 0 || random.below(6) == 0 {
        return value;
    }
    let at = random.below(children);
    let child = match value {
        Value::Array(items) => items.get_mut(at),
        Value::Object(fields) => fields.values_mut().nth(at),
        _ => None,
    };
    node(child.expect("a child that was counted"), random)
}

fn change(place: &mut Value, donor: &Value, random: &mut Random) {
    match (random.below(8), &mut *place) {
        (0 | 1, Value::Object(fields)) => {
            let name = fields.keys().nth(random.below(fields.len())).cloned();
            let value = name.and_then(|name| fields.remove(&name));
            if let Some(value) = value.filter(|_| random.below(2) == 0) {
                fields.insert(word(random).to_owned(), value);
            }
        }
        (2, Value::Object(fields)) => {
            fields.insert(word(random).to_owned(), odd(random));
        }
        (0, Value::Array(items)) if !items.is_empty() => {
            items.remove(random.below(items.len()));
        }
        (1 | 2, Value::Array(items)) => {
            let item = items.get(random.below(items.len())).cloned();
            items.push(item.unwrap_or_else(|| odd(random)));
        }
        (0 | 1, Value::String(text)) => {
            let at = text.floor_char_boundary(random.below(text.len() + 1));
            text.insert_str(
                at,
                ["é", "\"", "\\", "\n", "\u{1f600}", "\0", "llmleaf.v1."][random.below(7)],
            );
        }
        (3 | 4, place) => {
            let mut donor = donor.clone();
            *place = node(&mut donor, random).take();
        }
        (5, place) => *place = Value::String(word(random).to_owned()),
        (_, place) => *place = odd(random),
    }
}

fn word(random: &mut Random) -> &'static str {
    WORDS
        .lines()
        .nth(random.below(WORDS.lines().count()))
        .unwrap_or_default()
}

fn odd(random: &mut Random) -> Value {
    match random.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!(0),
        4 => json!(1),
        5 => json!(-1),
        6 => json!(1.5),
        7 => json!(u64::MAX),
        8 => json!(1e300),
        9 => json!(""),
        10 => json!([]),
        11 => Value::Object(Map::new()),
        12 => json!([{ "type": word(random), word(random): word(random) }]),
        _ => json!(random.below(300)),
    }
}
