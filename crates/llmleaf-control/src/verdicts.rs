//! Verdicts on keys, as a controller writes them:
//! `{"verdicts": {"<id>": {"blocked"?, "suspended_until"?, "allowed_models"?, "leased"?}}}`.

use crate::identity::shape;
use crate::pull::Trouble;
use llmleaf_auth::{KeyVerdict, ModelPatterns, Verdicts};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// What a verdict comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The key may be used.
    Free,
    /// It may not.
    Blocked,
    /// It may not for a time.
    Suspended,
}

impl Status {
    /// That of a key of which this is said.
    pub(crate) fn of(verdict: Option<&KeyVerdict>, now: u64) -> Self {
        match verdict {
            Some(verdict) if verdict.blocked => Self::Blocked,
            Some(verdict) if verdict.suspended_until.is_some_and(|until| now < until) => {
                Self::Suspended
            }
            _ => Self::Free,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Blocked => "blocked",
            Self::Suspended => "suspended",
        }
    }
}

/// A verdict on a key that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling<'a> {
    /// The key's id.
    pub key: &'a str,
    /// What it may.
    pub status: Status,
}

#[derive(Deserialize)]
struct Body {
    verdicts: Rows,
}

/// In order and with what stands twice, which a map would hide.
struct Rows(Vec<(Box<str>, Row)>);

#[derive(Deserialize)]
struct Row {
    blocked: Option<bool>,
    suspended_until: Option<u64>,
    allowed_models: Option<Vec<String>>,
    leased: Option<bool>,
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("verdicts by key id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rows, A::Error> {
                let mut rows = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    rows.push(entry);
                }
                Ok(Rows(rows))
            }
        }
        from.deserialize_map(All)
    }
}

/// Reads verdicts: all of them, or none.
///
/// # Errors
/// They are none.
pub fn read(body: &[u8]) -> Result<Verdicts, Trouble> {
    let Body { verdicts } = serde_json::from_slice(body).map_err(|error| shape(&error))?;
    let entries = verdicts.0.into_iter().map(|(id, row)| {
        let verdict = KeyVerdict {
            blocked: row.blocked.unwrap_or_default(),
            suspended_until: row.suspended_until,
            models: row
                .allowed_models
                .map(|models| ModelPatterns::new(models).into()),
            leased: row.leased.unwrap_or_default(),
        };
        (id, verdict)
    });
    Verdicts::new(entries).map_err(|error| Trouble::Shape(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_is_read() {
        let body = br#"{"verdicts":{"a":{"blocked":true},"b":{"suspended_until":1795651200,"allowed_models":["m*"]},
            "c":{"blocked":null,"suspended_until":null,"allowed_models":null,"why":"new"}}}"#;
        let read = read(body).expect("verdicts");
        assert_eq!(read.len(), 3);
        assert!(read.get("a").is_some_and(|verdict| verdict.blocked));
        let b = read.get("b").expect("one");
        assert_eq!(b.suspended_until, Some(1_795_651_200));
        assert!(
            b.models
                .as_ref()
                .is_some_and(|models| models.allow("m1") && !models.allow("x"))
        );
        assert_eq!(read.get("c"), Some(&KeyVerdict::default()));
    }

    #[test]
    fn g4_one_bad_verdict_spoils_the_whole() {
        for body in [
            r#"{"verdicts":{"a":{"blocked":"yes"}}}"#,
            r#"{"verdicts":{"a":{"suspended_until":-1}}}"#,
            r#"{"verdicts":{"a":{"suspended_until":1.5}}}"#,
            r#"{"verdicts":{"a":{},"a":{"blocked":true}}}"#,
            r#"{"verdicts":{"a":null}}"#,
            r#"{"verdicts":[]}"#,
            "{}",
            "",
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
