//! A strict reader of OpenMetrics text (version 1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>, read 2026-11): what a lenient
//! one would pass over is an error here.

use std::collections::{BTreeMap, BTreeSet};

/// A family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// Its type.
    pub kind: String,
    /// Its unit, or nothing.
    pub unit: String,
    /// What it says of itself.
    pub help: String,
}

/// A sample.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name, with the ending.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// An exposition that holds to the format.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Families by name.
    pub families: BTreeMap<String, Family>,
    /// Samples, in their order.
    pub samples: Vec<Sample>,
}

impl Exposition {
    /// Reads a text.
    ///
    /// # Panics
    /// It breaks the format.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n");
        let body = body.unwrap_or_else(|| panic!("no end: {:?}", text.lines().last()));
        let mut all = Self::default();
        let mut open = String::new();
        let mut seen = BTreeSet::new();
        for line in body.split_terminator('\n') {
            assert!(!line.contains(char::is_control), "{line:?}");
            match line.strip_prefix("# ") {
                Some(descriptor) => all.descriptor(descriptor, &mut open),
                None => {
                    let sample = sample(line);
                    let whole = format!("{} {:?}", sample.name, sample.labels);
                    assert!(seen.insert(whole), "twice: {line}");
                    all.check(&open, &sample, line);
                    all.samples.push(sample);
                }
            }
        }
        for (name, family) in &all.families {
            if family.kind == "histogram" {
                all.check_histogram(name);
            }
        }
        all
    }

    /// The sum of all samples of this name with these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|own| own == value)
            };
            sample.name == name && labels.iter().all(has)
        };
        let values = self.samples.iter().filter(fits).map(|s| s.value);
        // The sum of no floats would be the negative zero.
        values.fold(0.0, |sum, value| sum + value)
    }

    /// Whether there is a sample of this name.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }

    fn descriptor(&mut self, text: &str, open: &mut String) {
        let mut words = text.splitn(3, ' ');
        let word = words.next().unwrap_or_default();
        let name = words.next().expect("a name").to_owned();
        let rest = words.next().expect("something behind it").to_owned();
        assert!(is_name(&name), "{name:?}");
        if word == "TYPE" {
            let known = ["counter", "gauge", "histogram", "info"];
            assert!(known.contains(&rest.as_str()), "{text}");
            assert!(!self.families.contains_key(&name), "{name} stands twice");
            *open = name.clone();
        }
        assert_eq!(*open, name, "within another family: {text}");
        let samples = self.samples.iter().any(|s| s.name.starts_with(&name));
        let family = self.families.entry(name.clone()).or_default();
        let place = match word {
            "TYPE" => &mut family.kind,
            "UNIT" => {
                assert!(name.ends_with(&format!("_{rest}")), "{name} in {rest}");
                &mut family.unit
            }
            "HELP" => &mut family.help,
            _ => panic!("no such descriptor: {text}"),
        };
        assert!(place.is_empty(), "twice: {text}");
        assert!(!samples || word == "TYPE", "behind its samples: {text}");
        *place = rest;
    }

    fn check(&self, open: &str, sample: &Sample, line: &str) {
        let family = self.families.get(open);
        let family = family.unwrap_or_else(|| panic!("of no family: {line}"));
        let ending = sample.name.strip_prefix(open);
        let ending = ending.unwrap_or_else(|| panic!("not of {open}: {line}"));
        let endings: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            _ => &["_bucket", "_sum", "_count"],
        };
        assert!(endings.contains(&ending), "{line}");
        assert_eq!(
            sample.labels.contains_key("le"),
            ending == "_bucket",
            "{line}"
        );
        assert!(family.kind != "info" || sample.value.to_bits() == 1_f64.to_bits());
        assert!(sample.value >= 0.0, "{line}");
    }

    /// Ranges ascend, counts do not fall, the last is all, and each has its sum.
    fn check_histogram(&self, name: &str) {
        let mut all: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        let key = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            format!("{labels:?}")
        };
        let of = |ending: &str| {
            let name = format!("{name}{ending}");
            self.samples.iter().filter(move |s| s.name == name)
        };
        for sample in of("_bucket") {
            let le = sample.labels.get("le").expect("checked before");
            assert!(le == "+Inf" || le.contains('.'), "{name}: {le}");
            let le = le.trim_start_matches('+').parse().expect("a number");
            all.entry(key(sample)).or_default().push((le, sample.value));
        }
        assert_eq!(of("_sum").count(), all.len(), "{name}");
        assert_eq!(of("_count").count(), all.len(), "{name}");
        for sample in of("_count") {
            let ranges = all.get(&key(sample)).expect("its ranges");
            let ascends = |two: &[(f64, f64)]| two[0].0 < two[1].0 && two[0].1 <= two[1].1;
            assert!(ranges.windows(2).all(ascends), "{name}: {ranges:?}");
            let last = ranges.last().expect("a range");
            assert!(last.0.is_infinite(), "{name}");
            assert_eq!(last.1.to_bits(), sample.value.to_bits(), "{name}");
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label), "{line}");
            let (value, after) = unescaped(after, line);
            assert!(!value.is_empty(), "an empty label: {line}");
            let twice = labels.insert(label.to_owned(), value);
            assert!(twice.is_none(), "{label} twice: {line}");
            match after.split_at_checked(1) {
                Some((",", more)) => rest = more,
                Some(("}", more)) => {
                    rest = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let number = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    assert!(
        number.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
        "{line}"
    );
    Sample {
        name: name.to_owned(),
        labels,
        value: number.parse().unwrap_or_else(|_| panic!("{line}")),
    }
}

/// Up to the closing quote, which it takes away.
fn unescaped<'t>(text: &'t str, line: &str) -> (String, &'t str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, char @ ('"' | '\\'))) => value.push(char),
                _ => panic!("no such escape: {line}"),
            },
            char => value.push(char),
        }
    }
    panic!("no end of a value: {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# TYPE a counter\n# HELP a Text.\na_total{x=\"1\\\"\",y=\"2\"} 1.5\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
        b_seconds_bucket{le=\"0.5\"} 1\nb_seconds_bucket{le=\"+Inf\"} 2\nb_seconds_sum 3.5\nb_seconds_count 2\n# EOF\n";

    #[test]
    fn what_holds_to_the_format_is_read() {
        let read = Exposition::read(GOOD);
        assert_eq!(read.families.len(), 2);
        assert_eq!(
            read.sum("a_total", &[("x", "1\"")]).to_bits(),
            1.5_f64.to_bits()
        );
        assert!(read.has("b_seconds_sum") && !read.has("b_seconds"));
    }

    #[test]
    fn what_breaks_it_is_refused() {
        for (from, to) in [
            ("# EOF\n", ""),
            ("# EOF\n", "# EOF"),
            ("a_total{", "a{"),
            ("# TYPE b_seconds histogram\n", ""),
            ("UNIT b_seconds seconds", "UNIT b_seconds bytes"),
            ("y=\"2\"", "x=\"2\""),
            ("y=\"2\"", "y=\"\""),
            ("b_seconds_count 2", "b_seconds_count 3"),
            ("b_seconds_sum 3.5\n", ""),
            ("le=\"0.5\"} 1", "le=\"0.5\"} 3"),
            ("1.5\n", "1.5\n\n"),
            ("1.5\n", "NaN\n"),
            (
                "b_seconds_sum 3.5\n",
                "b_seconds_sum 3.5\nb_seconds_sum 3.5\n",
            ),
            (
                "b_seconds_sum 3.5\n",
                "a_total{z=\"1\"} 1\nb_seconds_sum 3.5\n",
            ),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD);
            let read = std::panic::catch_unwind(|| Exposition::read(&bad));
            assert!(read.is_err(), "{from:?} as {to:?}");
        }
    }
}
