//! Whether a body says everything once. Of two fields with one name readers take one or the other: who is asked could be shown what the
//! provider does not read.

use std::borrow::Cow;
use std::collections::HashSet;

/// Most fields of one object: no request has so many, and each is remembered until the object ends.
const MOST_FIELDS: usize = 16 * 1024;

/// The fields of an object that is open; `None` stands for a list.
type Open<'t> = Option<HashSet<Cow<'t, str>>>;

/// Whether no object in it names a field twice, or has more than can be looked at. `text` is one JSON value.
pub fn says_once(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut open: Vec<Open<'_>> = Vec::new();
    let (mut at, mut names) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = at + length(bytes.get(at..).unwrap_or_default());
                let literal = text.get(at..end).unwrap_or_default();
                if names && !fresh(open.last_mut(), literal) {
                    return false;
                }
                names = false;
                at = end;
                continue;
            }
            b'{' => {
                open.push(Some(HashSet::new()));
                names = true;
            }
            b'[' => {
                open.push(None);
                names = false;
            }
            b'}' | b']' => {
                open.pop();
                names = false;
            }
            b',' => names = matches!(open.last(), Some(Some(_))),
            _ => {}
        }
        at += 1;
    }
    true
}

/// Whether a name is a new one of the object.
fn fresh<'t>(object: Option<&mut Open<'t>>, literal: &'t str) -> bool {
    let Some(Some(fields)) = object else {
        return true;
    };
    let plain = literal.trim_matches('"');
    let name = match literal.contains('\\') {
        false => Cow::Borrowed(plain),
        // What stands for no text is compared as it is written.
        true => serde_json::from_str(literal).map_or(Cow::Borrowed(literal), Cow::Owned),
    };
    fields.len() < MOST_FIELDS && fields.insert(name)
}

/// The length of a string literal, quotes included.
fn length(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let rest = bytes.iter().skip(1);
    let end = rest.take_while(|byte| {
        let ends = **byte == b'"' && !escaped;
        escaped = **byte == b'\\' && !escaped;
        !ends
    });
    (end.count() + 2).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fields_of_one_name_are_found_wherever_they_are() {
        for text in [
            r#"{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}"#,
            r#"{"a":"a","b":"\"a\":","c":"{\"a\":1,\"a\":1}"}"#,
            r#"[["a","a"],"a",{},[]]"#,
            r#"{"a\\":1,"a":2,"\\a":3,"":4}"#,
            r#""a""#,
            "7",
            "",
        ] {
            assert!(says_once(text), "{text}");
        }
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"m":[{"role":"user","content":"b","content":"c"}]}"#,
            r#"{"m":[{"content":"b","con\u0074ent":"c"}]}"#,
            r#"{"a":{"b":[1,{"c":{}}]},"a":0}"#,
            r#"{"a" : 1 , "x":{"y":"}"}, "a" : 2}"#,
            r#"[{"\ud800":1,"\ud800":2}]"#,
        ] {
            assert!(!says_once(text), "{text}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let object = |count: usize| {
            let fields: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(says_once(&object(MOST_FIELDS)));
        assert!(!says_once(&object(MOST_FIELDS + 1)));
    }
}
