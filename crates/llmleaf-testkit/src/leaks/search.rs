//! One pass over a text for many spellings of many secrets.

use std::collections::{BTreeSet, HashMap};

use crate::judge::{SHORTEST, Secret};

/// What is searched for, by its first bytes.
#[derive(Default)]
pub(super) struct Search {
    starts: HashMap<[u8; SHORTEST], Vec<Form>>,
    /// Which first bytes there are, two by two, so that most places of a text cost one look.
    pairs: Pairs,
}

struct Form {
    name: String,
    bytes: Vec<u8>,
}

/// A set of pairs of bytes.
struct Pairs(Box<[bool]>);

impl Default for Pairs {
    fn default() -> Self {
        Pairs(vec![false; 1 << 16].into())
    }
}

impl Pairs {
    fn place(text: &[u8]) -> usize {
        usize::from(u16::from_be_bytes([text[0], text[1]]))
    }
}

impl Search {
    pub(super) fn add(&mut self, secret: &Secret) {
        for form in secret.forms() {
            let bytes = form.as_bytes().to_vec();
            let Some(start) = bytes.first_chunk::<SHORTEST>() else {
                continue;
            };
            self.pairs.0[Pairs::place(start)] = true;
            let name = secret.name.clone();
            let forms = self.starts.entry(*start).or_default();
            forms.push(Form { name, bytes });
        }
    }

    /// Which secrets the text has, each with the length of the spelling.
    pub(super) fn all(&self, text: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if self.starts.is_empty() {
            return found;
        }
        for (at, window) in text.windows(SHORTEST).enumerate() {
            if !self.pairs.0[Pairs::place(window)] {
                continue;
            }
            let forms = self.starts.get(window).into_iter().flatten();
            let there = forms.filter(|form| text[at..].starts_with(&form.bytes));
            found.extend(there.map(|form| {
                let length = form.bytes.len();
                format!("{} as a form of {length} characters", form.name)
            }));
        }
        found
    }
}
