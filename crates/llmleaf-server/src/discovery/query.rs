//! What a list is asked for.

use llmleaf_model::Failure;

/// Longest page, as both vendors with pages have it.
const LONGEST_PAGE: usize = 1000;

/// A parsed query string. Names that are not known are no mistake: clients send more than is meant for us.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Entries per page; `None` is all of them.
    pub limit: Option<usize>,
    /// Entries to pass over.
    pub offset: usize,
    /// Only names behind this one.
    pub after: Option<String>,
    /// Only names before this one, and of these the last.
    pub before: Option<String>,
    /// What the models do; `None` is anything.
    pub kind: Option<Kind>,
    /// In lower case: what the names contain.
    pub search: Option<String>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Chat.
    Llm,
    /// Text to speech.
    Tts,
    /// Speech to text.
    Stt,
    /// Embeddings.
    Embedding,
    /// Ranking of documents.
    Rerank,
}

/// Every value that `type` may have; `all` is any.
pub const KINDS: &[(&str, Option<Kind>)] = &[
    ("all", None),
    ("llm", Some(Kind::Llm)),
    ("tts", Some(Kind::Tts)),
    ("stt", Some(Kind::Stt)),
    ("embedding", Some(Kind::Embedding)),
    ("rerank", Some(Kind::Rerank)),
];

impl Query {
    /// Reads a query string. Of a name given twice the first counts.
    ///
    /// # Errors
    /// A value that cannot be meant; the failure names its parameter.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut query = Self::default();
        let mut seen = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            query.set(name, value)?;
        }
        if query.after.is_some() && query.before.is_some() {
            let message = "`after_id` and `before_id` cannot be used together";
            return Err(Failure::invalid(message, Some("before_id")));
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let text = |name| {
            let decoded = decode(&value.replace('+', " "))
                .ok_or_else(|| Failure::invalid("not percent-encoded UTF-8", Some(name)))?;
            Ok(Some(decoded).filter(|text| !text.is_empty()))
        };
        match name {
            "limit" => {
                let message = format!("`limit` must be a number from 1 to {LONGEST_PAGE}");
                let limit = number(value).filter(|n| (1..=LONGEST_PAGE).contains(n));
                self.limit = Some(limit.ok_or_else(|| Failure::invalid(message, Some("limit")))?);
            }
            "offset" => {
                let message = "`offset` must be a number from 0";
                self.offset =
                    number(value).ok_or_else(|| Failure::invalid(message, Some("offset")))?;
            }
            "type" => {
                let known = KINDS.iter().find(|(name, _)| *name == value);
                let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
                let message = format!("`type` must be one of {}", names.join(", "));
                self.kind = known
                    .ok_or_else(|| Failure::invalid(message, Some("type")))?
                    .1;
            }
            "after_id" => self.after = text("after_id")?,
            "before_id" => self.before = text("before_id")?,
            "search" => self.search = text("search")?.map(|text| text.to_lowercase()),
            _ => {}
        }
        Ok(())
    }
}

/// Digits only: a sign or a blank is nothing that a client would send. What is too large to count is the largest.
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

/// Undoes percent-encoding, once. `None` where the result is no UTF-8 or an escape is cut short or no hexadecimal.
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::percent::encode;

    #[test]
    fn what_clients_send_is_understood() {
        let query = Query::parse("limit=1000&after_id=a%2Fb&type=llm&search=Son+Net&beta=true&x");
        let expected = Query {
            limit: Some(1000),
            after: Some("a/b".into()),
            kind: Some(Kind::Llm),
            search: Some("son net".into()),
            ..Query::default()
        };
        assert_eq!(query.unwrap(), expected);
        for nothing in [
            "",
            "&&",
            "type=all",
            "after_id=&before_id=&search=",
            "LIMIT=x",
        ] {
            assert_eq!(
                Query::parse(nothing).unwrap(),
                Query::default(),
                "{nothing}"
            );
        }
        let twice = Query::parse("limit=1&limit=x&offset=3").unwrap();
        assert_eq!((twice.limit, twice.offset), (Some(1), 3));
        let far = Query::parse("offset=99999999999999999999").unwrap();
        assert_eq!(far.offset, usize::MAX);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (query, param) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=+1", "limit"),
            ("limit", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("offset=-1", "offset"),
            ("type=", "type"),
            ("type=LLM", "type"),
            ("after_id=%2", "after_id"),
            ("search=%FF", "search"),
            ("after_id=a&before_id=b", "before_id"),
        ] {
            let failure = Query::parse(query).expect_err(query);
            assert_eq!(failure.param.as_deref(), Some(param), "{query}");
        }
    }

    #[test]
    fn decoding_happens_once_and_undoes_encoding() {
        for (text, decoded) in [
            ("a/b", Some("a/b")),
            ("a%2fb%2F", Some("a/b/")),
            ("a%252Fb", Some("a%2Fb")),
            ("%E2%82%AC", Some("€")),
            ("%", None),
            ("%4", None),
            ("%+1", None),
            ("%é1", None),
            ("%80", None),
        ] {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
        for text in ["", "a/b c%+&=#?é€", "..", "\0"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
        assert_eq!(encode("a/b c"), "a%2Fb%20c");
    }
}
