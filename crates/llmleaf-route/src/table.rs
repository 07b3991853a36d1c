//! From a model's name to the chain of targets that may serve it.

use std::collections::HashMap;
use std::sync::Arc;
use thiserror::Error;

/// Longest name of a model, in bytes.
const MOST_MODEL_BYTES: usize = 512;

/// One target: a provider, and the model's name there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Index of the provider in the node's list.
    pub provider: usize,
    /// The model's name at the provider.
    pub model: Arc<str>,
}

/// A configured route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name consumers ask for; `*` stands for any run of characters.
    pub model: String,
    /// Provider and model; `None` sends on the name that was asked for.
    pub targets: Vec<(usize, Option<Arc<str>>)>,
}

/// What a model's name resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Targets in order of preference; never empty.
    pub chain: Vec<Candidate>,
    /// Index of the configured route; `None` for a provider prefix.
    pub route: Option<usize>,
}

/// All routes and prefixes.
#[derive(Debug, Default)]
pub struct RouteTable {
    exact: HashMap<String, usize>,
    /// Routes with `*`, the most specific first.
    patterns: Vec<usize>,
    /// (prefix with its slash, provider), the longest first.
    prefixes: Vec<(String, usize)>,
    routes: Vec<Route>,
}

/// A table that cannot stand.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum TableError {
    /// A model routed twice.
    #[error("model {0:?} is routed twice")]
    Duplicate(String),
    /// A route without targets.
    #[error("route {0:?} has no targets")]
    Empty(String),
}

impl RouteTable {
    /// Builds the table.
    ///
    /// # Errors
    /// A model is routed twice or to nothing.
    pub fn new(routes: Vec<Route>, prefixes: Vec<(String, usize)>) -> Result<Self, TableError> {
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            if route.targets.is_empty() {
                return Err(TableError::Empty(route.model.clone()));
            }
            if route.model.contains('*') {
                patterns.push(index);
            } else if exact.insert(route.model.clone(), index).is_some() {
                return Err(TableError::Duplicate(route.model.clone()));
            }
        }
        let literal = |i: &usize| {
            routes
                .get(*i)
                .map_or(0, |r| r.model.chars().filter(|c| *c != '*').count())
        };
        patterns.sort_by_key(|i| std::cmp::Reverse(literal(i)));
        let mut prefixes: Vec<_> = prefixes
            .into_iter()
            .map(|(p, i)| (format!("{p}/"), i))
            .collect();
        prefixes.sort_by_key(|(p, _)| std::cmp::Reverse(p.len()));
        Ok(Self {
            exact,
            patterns,
            prefixes,
            routes,
        })
    }

    /// The chain for a model: an exact route, else the most specific pattern, else the longest provider prefix.
    /// Names that are longer than any lead nowhere: whatever a pattern or a prefix lets through is kept in records and tables.
    pub fn resolve(&self, model: &str) -> Option<Resolved> {
        if model.len() > MOST_MODEL_BYTES {
            return None;
        }
        let by_pattern = || {
            self.patterns.iter().copied().find(|i| {
                self.routes
                    .get(*i)
                    .is_some_and(|r| matches(&r.model, model))
            })
        };
        if let Some(index) = self.exact.get(model).copied().or_else(by_pattern) {
            let route = self.routes.get(index)?;
            let chain = route
                .targets
                .iter()
                .map(|(provider, name)| Candidate {
                    provider: *provider,
                    model: name.clone().unwrap_or_else(|| model.into()),
                })
                .collect();
            return Some(Resolved {
                chain,
                route: Some(index),
            });
        }
        let (prefix, provider) = self
            .prefixes
            .iter()
            .find(|(p, _)| model.len() > p.len() && model.starts_with(p.as_str()))?;
        let rest = model.strip_prefix(prefix.as_str())?;
        Some(Resolved {
            chain: vec![Candidate {
                provider: *provider,
                model: rest.into(),
            }],
            route: None,
        })
    }

    /// Every routed name, in configured order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|r| r.model.as_str())
    }

    /// Every route, in configured order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Every prefix (without its slash) with its provider.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.prefixes
            .iter()
            .map(|(p, i)| (p.trim_end_matches('/'), *i))
    }

    /// Up to `count` routed names that are nearest to a name nobody routed.
    pub fn nearest(&self, model: &str, count: usize) -> Vec<&str> {
        let limit = model.chars().count() / 3 + 1;
        let mut found: Vec<(usize, &str)> = self
            .models()
            .map(|m| (distance(m, model), m))
            .filter(|(d, _)| *d <= limit)
            .collect();
        found.sort();
        found.into_iter().take(count).map(|(_, m)| m).collect()
    }
}

/// Whether a name fits a pattern in which `*` stands for any run of characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if name.get(n) == Some(c) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

/// Edit distance in characters; long names are cut, they only serve a hint.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(LONGEST).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cb, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(ca != *cb))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RouteTable {
        let route = |model: &str, targets: &[(usize, Option<&str>)]| Route {
            model: model.into(),
            targets: targets
                .iter()
                .map(|(p, m)| (*p, m.map(Into::into)))
                .collect(),
        };
        let routes = vec![
            route("gpt-4o", &[(0, None), (1, Some("openai/gpt-4o"))]),
            route("*", &[(3, None)]),
            route("claude-*", &[(2, None)]),
        ];
        RouteTable::new(routes, vec![("or".into(), 1), ("or/eu".into(), 2)]).unwrap()
    }

    fn chain(model: &str) -> Vec<(usize, String)> {
        let resolved = table().resolve(model);
        resolved
            .map(|r| {
                r.chain
                    .into_iter()
                    .map(|c| (c.provider, c.model.to_string()))
                    .collect()
            })
            .unwrap_or_default()
    }

    #[test]
    fn no_pattern_and_no_prefix_takes_a_name_as_long_as_a_body() {
        let patternless = RouteTable::new(Vec::new(), vec![("or".into(), 1)]).unwrap();
        for begin in ["claude-", "or/", ""] {
            let longest = format!("{begin:m<512}");
            assert_eq!(chain(&longest).len(), 1, "{begin}");
            assert!(chain(&(longest.clone() + "m")).is_empty(), "{begin}");
            assert!(patternless.resolve(&(longest + "m")).is_none(), "{begin}");
        }
    }

    #[test]
    fn exact_beats_pattern_beats_prefix() {
        assert_eq!(
            chain("gpt-4o"),
            [(0, "gpt-4o".into()), (1, "openai/gpt-4o".into())]
        );
        assert_eq!(chain("claude-sonnet-5"), [(2, "claude-sonnet-5".into())]);
        assert_eq!(
            chain("or/x"),
            [(3, "or/x".into())],
            "a route for everything takes prefixed names too"
        );
        let table = RouteTable::new(vec![], vec![("or".into(), 1), ("or/eu".into(), 2)]).unwrap();
        let provider = |m: &str| {
            table
                .resolve(m)
                .map(|r| (r.chain[0].provider, r.chain[0].model.to_string()))
        };
        assert_eq!(provider("or/eu/x/y"), Some((2, "x/y".into())));
        assert_eq!(provider("or/x"), Some((1, "x".into())));
        assert_eq!(provider("or/"), None);
        assert_eq!(provider("orx"), None);
    }

    #[test]
    fn patterns_match_runs_of_characters() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*b*", "abc", true),
            ("a**", "a", true),
            ("a", "ab", false),
            ("*-latest", "x-latest-y-latest", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_near_miss_is_named() {
        assert_eq!(table().nearest("gpt-4o-", 3), ["gpt-4o"]);
        assert_eq!(table().nearest("gtp-4o", 3), ["gpt-4o"]);
        assert!(table().nearest("something-else", 3).is_empty());
    }
}
