//! Which models a key may use.

use std::fmt;

/// Longest model name that is matched against patterns, in bytes. A longer one is allowed by a bare `*` only, which
/// bounds what a match can cost.
pub const MAX_MODEL_BYTES: usize = 512;

/// An allow-list of model names: exact, or globs where `*` stands for any run of bytes, also an empty one.
///
/// Matching is byte-wise and case-sensitive. An empty list allows nothing; a bare `*` allows everything.
#[derive(Clone, PartialEq, Eq)]
pub struct ModelPatterns {
    patterns: Box<[Box<str>]>,
    everything: bool,
}

impl ModelPatterns {
    /// Takes the patterns as they stand in the config.
    pub fn new<I>(patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        let patterns: Box<[Box<str>]> = patterns.into_iter().map(Into::into).collect();
        let everything = patterns.iter().any(|pattern| pattern.as_ref() == "*");
        Self {
            patterns,
            everything,
        }
    }

    /// Whether one of the patterns matches the model.
    pub fn allow(&self, model: &str) -> bool {
        if self.everything {
            return true;
        }
        model.len() <= MAX_MODEL_BYTES
            && self
                .patterns
                .iter()
                .any(|pattern| glob_matches(pattern.as_bytes(), model.as_bytes()))
    }

    /// The patterns as given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for ModelPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.patterns.iter()).finish()
    }
}

/// Two pointers and the place of the last star: no recursion, and at most `pattern × text` steps.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // After a mismatch: the pattern position behind the last star, and how much text that star has taken.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(&wanted) if wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, taken)) => {
                    p = after_star;
                    t = taken + 1;
                    retry = Some((after_star, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table() {
        for (patterns, model, allowed) in [
            (&[][..], "m", false),
            (&["*"], "m", true),
            (&["*"], "", true),
            (&["m"], "m", true),
            (&["m"], "M", false),
            (&["m"], "mm", false),
            (&[""], "", true),
            (&[""], "m", false),
            (&["a/*"], "a/", true),
            (&["a/*"], "a", false),
            (&["*-mini"], "x-mini", true),
            (&["*-mini"], "x-mini-2", false),
            (&["a*b*c"], "abbbc", true),
            (&["a*b*c"], "acb", false),
            (&["**"], "anything", true),
            (&["no", "a*"], "abc", true),
            (&["a*é"], "aöé", true),
        ] {
            let list = ModelPatterns::new(patterns.iter().copied());
            assert_eq!(list.allow(model), allowed, "{patterns:?} {model:?}");
        }
    }

    #[test]
    fn an_over_long_name_is_left_to_a_bare_star() {
        let model = "m".repeat(MAX_MODEL_BYTES + 1);
        assert!(ModelPatterns::new(["*"]).allow(&model));
        assert!(!ModelPatterns::new(["m*"]).allow(&model));
        assert!(ModelPatterns::new(["m*"]).allow(&model[1..]));
    }

    /// The definition, written down directly: a star takes nothing, or one byte and stays.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => reference(rest, text),
            (Some((b'*', rest)), Some((_, tail))) => {
                reference(rest, text) || reference(pattern, tail)
            }
            (Some((p, rest)), Some((t, tail))) => p == t && reference(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(
                glob_matches(pattern.as_bytes(), text.as_bytes()),
                reference(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
