//! The roster of keys, as a controller writes it: `{"keys": [{"id", "pw_hash", "name"?, "allowed_models"?, "limits"?}]}`.

#[cfg(test)]
mod large;

use crate::pull::Trouble;
use llmleaf_auth::tokens::IdentityLimits;
use llmleaf_auth::{HashError, KeyEntry, ModelPatterns, PasswordHash, Roster};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    keys: Vec<Row<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    id: String,
    #[serde(borrow)]
    pw_hash: Cow<'a, str>,
    name: Option<String>,
    allowed_models: Option<Vec<String>>,
    limits: Option<Limits>,
}

/// As those of the file's keys. Absent is without limit.
#[derive(Default, Deserialize)]
struct Limits {
    requests_per_min: Option<u64>,
    tokens_per_min: Option<u64>,
    max_concurrent: Option<u32>,
}

impl Limits {
    /// What they say, unless one of them is none: nothing at all may be asked for by who is blocked, which a verdict says.
    fn read(self) -> Option<IdentityLimits> {
        let within =
            |limit: Option<u64>, most| limit.is_none_or(|limit| (1..=most).contains(&limit));
        let fits = within(self.requests_per_min, MOST_A_MINUTE)
            && within(self.tokens_per_min, MOST_A_MINUTE)
            && within(self.max_concurrent.map(u64::from), MOST_AT_ONCE);
        fits.then_some(IdentityLimits {
            requests_per_min: self.requests_per_min,
            tokens_per_min: self.tokens_per_min,
            max_concurrent: self.max_concurrent,
        })
    }
}

/// The largest limits, as the file has them.
const MOST_A_MINUTE: u64 = 1_000_000_000_000;
const MOST_AT_ONCE: u64 = 1_000_000;

/// A roster, and what was left out of it.
#[derive(Debug)]
pub struct Identity {
    /// The keys.
    pub roster: Roster,
    /// How many rows there were.
    pub rows: usize,
    /// Ids of keys whose hash would cost more to check than a node can spend on a stranger, the first few.
    pub too_costly: Vec<String>,
}

/// Most ids that are told of what was left out.
const TOLD: usize = 10;

/// Reads a roster: all of it is good, or none of it counts. Only a hash that is beyond what a node can afford costs its key and
/// no other.
///
/// # Errors
/// It is no roster.
pub fn read(body: &[u8]) -> Result<Identity, Trouble> {
    let Body { keys } = serde_json::from_slice(body).map_err(|error| shape(&error))?;
    let rows = keys.len();
    let mut entries = Vec::with_capacity(rows);
    let mut too_costly = Vec::new();
    for (position, row) in keys.into_iter().enumerate() {
        let hash = match PasswordHash::parse(&row.pw_hash) {
            Ok(hash) => hash,
            Err(HashError::TooCostly { .. }) => {
                if too_costly.len() < TOLD {
                    too_costly.push(row.id);
                }
                continue;
            }
            Err(error) => return Err(Trouble::Shape(format!("key {position}: {error}"))),
        };
        let limits = row.limits.unwrap_or_default().read();
        let limits = limits.ok_or_else(|| {
            Trouble::Shape(format!(
                "key {position}: a limit is 0, or too large to be one"
            ))
        })?;
        let entry = KeyEntry {
            id: row.id,
            name: row.name,
            hash,
            allowed_models: row.allowed_models.map(ModelPatterns::new),
        };
        entries.push((entry, limits));
    }
    let roster = Roster::upper(entries).map_err(|error| Trouble::Shape(error.to_string()))?;
    Ok(Identity {
        roster,
        rows,
        too_costly,
    })
}

/// What is wrong with JSON, by place and kind. Its own words may quote the text, which may be a hash.
pub(crate) fn shape(error: &serde_json::Error) -> Trouble {
    let what = match error.classify() {
        serde_json::error::Category::Data => {
            "a value is missing or of another kind than it should be"
        }
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is no JSON",
    };
    Trouble::Shape(format!(
        "{what} (line {}, column {})",
        error.line(),
        error.column()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";

    fn roster(rows: &str) -> Result<Identity, Trouble> {
        read(
            format!("{{\"keys\":[{rows}]}}")
                .replace("HASH", HASH)
                .as_bytes(),
        )
    }

    #[test]
    fn the_documented_form_is_read_and_what_is_new_in_it_passed_over() {
        let rows = r#"{"id":"a","pw_hash":"HASH"},
            {"id":"b","pw_hash":"HASH","name":"Bea","allowed_models":["x*"],"colour":"blue"},
            {"id":"c","pw_hash":"HASH","name":null,"allowed_models":null,"limits":null},
            {"id":"d","pw_hash":"HASH","limits":{"requests_per_min":60,"tokens_per_min":null,"more":1}}"#;
        let read = roster(rows).expect("a roster");
        assert_eq!((read.rows, read.roster.len()), (4, 4));
        assert_eq!(roster("").expect("nobody").rows, 0);
    }

    /// Nothing of a snapshot counts when a row of it is bad, and nothing is told of what stood in it.
    #[test]
    fn g4_one_bad_row_spoils_the_whole() {
        let good = r#"{"id":"a","pw_hash":"HASH"}"#;
        for bad in [
            r#"{"id":"b"}"#,
            r#"{"id":"a","pw_hash":"HASH"}"#,
            r#"{"id":"b:c","pw_hash":"HASH"}"#,
            r#"{"id":"","pw_hash":"HASH"}"#,
            r#"{"id":7,"pw_hash":"HASH"}"#,
            r#"{"id":"b","pw_hash":"CANARY"}"#,
            r#"{"id":"b","pw_hash":"HASH","name":"a"}"#,
            r#"{"id":"b","pw_hash":"HASH","allowed_models":"CANARY"}"#,
            r#"{"id":"b\n","pw_hash":"HASH"}"#,
            r#"{"id":"b","pw_hash":"HASH","limits":{"requests_per_min":0}}"#,
            r#"{"id":"b","pw_hash":"HASH","limits":{"tokens_per_min":-1}}"#,
            r#"{"id":"b","pw_hash":"HASH","limits":{"max_concurrent":1000001}}"#,
            r#"{"id":"b","pw_hash":"HASH","limits":60}"#,
            "null",
            "7",
        ] {
            let trouble = roster(&format!("{good},{bad}")).expect_err(bad);
            assert!(matches!(trouble, Trouble::Shape(_)), "{bad}: {trouble}");
            assert!(!trouble.to_string().contains("CANARY"), "{trouble}");
        }
        for body in [
            "",
            "{}",
            "[]",
            "<html>CANARY</html>",
            "{\"keys\":{}}",
            "{\"keys\":[",
            "{\"keys\":[]}x",
        ] {
            let trouble = read(body.as_bytes()).expect_err(body);
            assert!(!trouble.to_string().contains("CANARY"), "{trouble}");
        }
    }

    #[test]
    fn f5_a_hash_beyond_all_means_costs_its_own_key() {
        let rows = r#"{"id":"a","pw_hash":"HASH"},
            {"id":"b","pw_hash":"$2y$31$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"}"#;
        let read = roster(rows).expect("a roster");
        assert_eq!(read.roster.len(), 1);
        assert_eq!(read.too_costly, ["b"]);
    }
}
