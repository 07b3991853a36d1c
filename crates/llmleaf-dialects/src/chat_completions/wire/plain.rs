//! A chunk or an answer as nearly all are, read without types: documented fields as documented, each once, and the seldom ones absent.
//!
//! Of a short stream the first and the last chunks are most of what there is to read, and readers made from types take four times as long.

use super::{Chunk, Content, Integer, List, Maybe, Raw, Text, WireChoice, WireMessage};
use crate::object::quoted;
use crate::skim::{self, Scan};

/// None of so many digits is larger than the largest count.
const MOST_DIGITS: usize = 15;

/// The chunk that a text is; `None` where the parser has to look at it, which says the same of what is read here (a test holds the two
/// together).
pub(super) fn chunk(text: &str) -> Option<Chunk<'_>> {
    let mut chunk = Chunk::default();
    skim::whole(text, |scan| {
        fields(scan, text, |scan, key, seen| match key {
            "id" => once(seen, 0).and(string(scan, text, &mut chunk.id)),
            "model" => once(seen, 1).and(string(scan, text, &mut chunk.model)),
            "object" => once(seen, 2).and(string(scan, text, &mut chunk.object)),
            "created" => once(seen, 3).and(integer(scan, &mut chunk.created)),
            "usage" => once(seen, 4).and(raw(scan, text, &mut chunk.usage)),
            "choices" => {
                once(seen, 5)?;
                let List(choices) = &mut chunk.choices;
                scan.elements(|scan| {
                    choices.push(choice(scan, text)?);
                    Some(())
                })
            }
            "system_fingerprint" => {
                once(seen, 6).and(raw(scan, text, &mut chunk.system_fingerprint))
            }
            "service_tier" => once(seen, 7).and(raw(scan, text, &mut chunk.service_tier)),
            "provider" => once(seen, 8).and(raw(scan, text, &mut chunk.provider)),
            "x_groq" => once(seen, 9).and(null(scan, text)),
            "error" => once(seen, 10).and(null(scan, text)),
            "base_resp" => once(seen, 11).and(null(scan, text)),
            "citations" => once(seen, 12).and(null(scan, text)),
            "search_results" => once(seen, 13).and(null(scan, text)),
            _ => scan.passed().map(drop),
        })
    })?;
    Some(chunk)
}

fn choice<'a>(scan: &mut Scan<'_>, text: &'a str) -> Option<WireChoice<'a>> {
    let mut choice = WireChoice::default();
    fields(scan, text, |scan, key, seen| match key {
        "index" => once(seen, 0).and(integer(scan, &mut choice.index)),
        "delta" => {
            choice.delta = Maybe(Some(message(scan, text)?));
            once(seen, 1)
        }
        "message" => {
            choice.message = Maybe(Some(Box::new(message(scan, text)?)));
            once(seen, 2)
        }
        "finish_reason" => once(seen, 3).and(string(scan, text, &mut choice.finish_reason)),
        "native_finish_reason" => {
            once(seen, 4).and(string(scan, text, &mut choice.native_finish_reason))
        }
        "logprobs" => once(seen, 5).and(null(scan, text)),
        "error" => once(seen, 6).and(null(scan, text)),
        _ => scan.passed().map(drop),
    })?;
    Some(choice)
}

fn message<'a>(scan: &mut Scan<'_>, text: &'a str) -> Option<WireMessage<'a>> {
    let mut message = WireMessage::default();
    fields(scan, text, |scan, key, seen| match key {
        "content" => {
            let mut content = Text::default();
            string(scan, text, &mut content)?;
            message.content = content.0.map_or(Content::Absent, Content::Text);
            once(seen, 0)
        }
        "refusal" => once(seen, 1).and(string(scan, text, &mut message.refusal)),
        "reasoning" => once(seen, 2).and(string(scan, text, &mut message.reasoning)),
        "reasoning_content" => {
            once(seen, 3).and(string(scan, text, &mut message.reasoning_content))
        }
        "annotations" => once(seen, 4).and(raw(scan, text, &mut message.annotations)),
        "reasoning_details" => once(seen, 5).and(null(scan, text)),
        "tool_calls" => once(seen, 6).and(null(scan, text)),
        "function_call" => once(seen, 7).and(null(scan, text)),
        "audio" => once(seen, 8).and(null(scan, text)),
        "images" => once(seen, 9).and(null(scan, text)),
        _ => scan.passed().map(drop),
    })?;
    Some(message)
}

fn string<'a>(scan: &mut Scan<'_>, text: &'a str, place: &mut Text<'a>) -> Option<()> {
    let value = text.get(scan.passed()?)?;
    *place = Text(match value {
        "null" => None,
        value => Some(quoted(value)?),
    });
    Some(())
}

fn integer(scan: &mut Scan<'_>, place: &mut Integer) -> Option<()> {
    *place = Integer(Some(scan.integer(MOST_DIGITS)?));
    Some(())
}

fn raw<'a>(scan: &mut Scan<'_>, text: &'a str, place: &mut Raw<'a>) -> Option<()> {
    let value = text.get(scan.passed()?)?;
    *place = Raw(match value {
        "null" => None,
        value => Some(serde_json::from_str(value).ok()?),
    });
    Some(())
}

fn null(scan: &mut Scan<'_>, text: &str) -> Option<()> {
    (text.get(scan.passed()?)? == "null").then_some(())
}

/// Reads every field of an object, of which those that were `seen` are noted; `None` where one is not as expected, or its key is written
/// with escapes.
pub(in super::super) fn fields(
    scan: &mut Scan<'_>,
    text: &str,
    mut each: impl FnMut(&mut Scan<'_>, &str, &mut u16) -> Option<()>,
) -> Option<()> {
    let mut seen = 0;
    scan.members(|scan, key, escaped| {
        let key = skim::plain_key(text, key, escaped)?;
        each(scan, key, &mut seen)
    })
}

/// A field that stands twice is the parser's to refuse.
pub(in super::super) fn once(seen: &mut u16, bit: u8) -> Option<()> {
    let mask = 1 << bit;
    let first = *seen & mask == 0;
    *seen |= mask;
    first.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether a chunk is read plainly; then the parser must say the same of it.
    fn plainly(text: &str) -> bool {
        let Some(plain) = chunk(text) else {
            return false;
        };
        let parsed: Chunk<'_> = serde_json::from_str(text).expect("what is read is read by it");
        assert_eq!(format!("{plain:?}"), format!("{parsed:?}"), "{text}");
        true
    }

    #[test]
    fn what_nearly_all_say_is_read_plainly() {
        let head = r#""id":"c","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":null"#;
        for (rest, is_plain) in [
            (
                r#""choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]"#,
                true,
            ),
            (
                r#""choices":[{"index":0,"delta":{"content":"a\nb \"c\" \/"},"finish_reason":null}],"usage":null"#,
                true,
            ),
            (
                r#""choices":[{"index":0,"delta":{"content":"\u00e9\ud83d\ude00"}}]"#,
                true,
            ),
            (
                r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x":[{"y":1}]"#,
                true,
            ),
            (
                r#""choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2},"service_tier":"default""#,
                true,
            ),
            (
                r#""choices":[{"index":0,"message":{"role":"assistant","content":"a","annotations":[]},"finish_reason":"stop"}]"#,
                true,
            ),
            (
                r#""choices":[{"index":0,"delta":{"content":"\ud800"}}]"#,
                false,
            ),
            (
                r#""choices":[{"index":0,"delta":{"content":["a"]}}]"#,
                false,
            ),
            (
                r#""choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]"#,
                false,
            ),
            (
                r#""choices":[{"index":0.0,"delta":{"content":"a"}}]"#,
                false,
            ),
            (r#""choices":[null]"#, false),
            (r#""choices":null"#, false),
            (r#""choices":[],"error":{"message":"no"}"#, false),
            (r#""choices":[],"choices":[]"#, false),
            (r#""choices":[],"\u0069d":"d""#, false),
        ] {
            let text = format!("{{{head},{rest}}}");
            assert_eq!(plainly(&text), is_plain, "{text}");
        }
        for text in ["[]", "", "{", "{}x", "null"] {
            assert!(!plainly(text));
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            2 => Just("null".to_owned()),
            1 => Just("true".to_owned()),
            3 => "-?[0-9]{1,18}(\\.0)?",
            4 => "[a-z\u{e9} ]{0,6}".prop_map(|text| format!("{text:?}")),
            1 => Just(r#""a\n\u00e9\\\"""#.to_owned()),
            1 => Just(r#""\udead""#.to_owned()),
        ];
        let key = prop::sample::select(vec![
            "id",
            "model",
            "created",
            "usage",
            "choices",
            "error",
            "index",
            "delta",
            "message",
            "finish_reason",
            "logprobs",
            "content",
            "refusal",
            "reasoning_content",
            "annotations",
            "tool_calls",
            "images",
            "provider",
            "x",
            "c\\u006fntent",
        ]);
        scalar.prop_recursive(5, 60, 6, move |inner| {
            let object = prop::collection::vec((key.clone(), inner.clone()), 0..6);
            let object = object.prop_map(|fields| {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(k, v)| format!("\"{k}\": {v}"))
                    .collect();
                format!("{{{}}}", fields.join(","))
            });
            let list = prop::collection::vec(inner, 0..3);
            prop_oneof![3 => object, 1 => list.prop_map(|all| format!("[{}]", all.join(", ")))]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_plainly_is_what_the_parser_reads(
            id in value(), content in value(), delta in value(), choices in value(), beside in value(),
        ) {
            plainly(&beside);
            plainly(&format!(r#"{{"id":{id},"choices":[{{"index":0,"delta":{delta}}}],"usage":{beside}}}"#));
            plainly(&format!(r#"{{"choices":{choices},"model":{id}}}"#));
            plainly(&format!(r#"{{"choices":[{{"delta":{{"content":{content},"refusal":{id}}}}},{beside}]}}"#));
        }
    }
}
