//! Naming what differs between two digests.

use std::fmt;

use super::{Choice, Digest, FinishClass, ToolCall, UsageClasses};

/// One named difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: `text`, `reasoning`, `tool_call[1].arguments`, `finish`, `usage.cache_read`, `error.class`; of a further answer
    /// `choice[1].text`.
    pub name: String,
    /// What the digest itself has.
    pub expected: String,
    /// What the other has.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(200).collect::<String>();
        let (expected, found) = (short(&self.expected), short(&self.found));
        write!(f, "{}: expected {expected:?}, found {found:?}", self.name)
    }
}

/// How tool arguments compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arguments {
    /// Byte for byte.
    #[default]
    Exact,
    /// By meaning as JSON (numbers by value, keys in any order, none at all as `{}`); byte for byte where they are no
    /// JSON.
    Json,
}

/// What may differ.
#[derive(Clone, Debug, Default)]
pub struct Tolerance {
    /// How tool arguments compare.
    pub arguments: Arguments,
    /// Names that are not compared. `[*]` stands for any position; a name covers what is below it (`usage` covers
    /// `usage.reasoning`) and counts for every answer.
    pub ignored: Vec<String>,
    /// Finish classes that count as one, each pair both ways.
    pub same_finish: Vec<(FinishClass, FinishClass)>,
}

impl Tolerance {
    /// Nothing may differ: for the same dialect on both sides. The one exception is that a detail count (cache, reasoning)
    /// of zero equals one not given.
    #[must_use]
    pub fn exact() -> Self {
        Tolerance::default()
    }

    /// What two dialects cannot both express: arguments compare as JSON, and a stop sequence or a paused turn reads
    /// as a plain stop.
    #[must_use]
    pub fn across_dialects() -> Self {
        Tolerance {
            arguments: Arguments::Json,
            ignored: Vec::new(),
            same_finish: vec![
                (FinishClass::Stop, FinishClass::StopSequence),
                (FinishClass::Stop, FinishClass::PauseTurn),
            ],
        }
    }

    /// The same, with one more name left out.
    #[must_use]
    pub fn ignoring(mut self, name: &str) -> Self {
        self.ignored.push(name.to_owned());
        self
    }

    fn ignores(&self, name: &str) -> bool {
        let plain = strip_positions(name);
        let plain = plain.strip_prefix("choice[*].").unwrap_or(&plain);
        self.ignored.iter().any(|rule| {
            [plain, name].iter().any(|name| {
                name.strip_prefix(rule.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        })
    }

    fn same_finish(&self, a: &FinishClass, b: &FinishClass) -> bool {
        a == b
            || self
                .same_finish
                .iter()
                .any(|(x, y)| (a, b) == (x, y) || (a, b) == (y, x))
    }
}

/// `choice[1].tool_call[0].id` as `choice[*].tool_call[*].id`.
fn strip_positions(name: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in name.chars() {
        match letter {
            '[' => {
                inside = true;
                out.push_str("[*]");
            }
            ']' => inside = false,
            _ if inside => {}
            other => out.push(other),
        }
    }
    out
}

struct Findings<'a> {
    tolerance: &'a Tolerance,
    found: Vec<Difference>,
}

impl Findings<'_> {
    fn check(&mut self, name: &str, same: bool, expected: &dyn fmt::Debug, found: &dyn fmt::Debug) {
        if !same && !self.tolerance.ignores(name) {
            self.found.push(Difference {
                name: name.to_owned(),
                expected: format!("{expected:?}"),
                found: format!("{found:?}"),
            });
        }
    }

    fn equal<T: PartialEq + fmt::Debug>(&mut self, name: &str, expected: &T, found: &T) {
        self.check(name, expected == found, expected, found);
    }
}

impl Digest {
    /// What another digest says differently; `self` is what was expected.
    #[must_use]
    pub fn compare(&self, other: &Digest, tolerance: &Tolerance) -> Vec<Difference> {
        let mut findings = Findings {
            tolerance,
            found: Vec::new(),
        };
        let (own, theirs) = (self.choices.len(), other.choices.len());
        findings.equal("choices", &own, &theirs);
        for (at, (own, theirs)) in self.choices.iter().zip(&other.choices).enumerate() {
            let prefix = if at == 0 {
                String::new()
            } else {
                format!("choice[{at}].")
            };
            compare_choices(&prefix, own, theirs, &mut findings);
        }
        compare_usage(self.usage, other.usage, &mut findings);
        match (&self.error, &other.error) {
            (Some(own), Some(theirs)) => {
                findings.equal("error.class", &own.class, &theirs.class);
                findings.equal("error.message", &own.message, &theirs.message);
            }
            (own, theirs) => findings.check(
                "error",
                own.is_none() && theirs.is_none(),
                &own.as_ref().map(|error| error.class),
                &theirs.as_ref().map(|error| error.class),
            ),
        }
        findings.equal("terminal", &self.terminal, &other.terminal);
        findings.equal("corrupt", &self.corrupt, &other.corrupt);
        findings.found
    }
}

fn compare_choices(prefix: &str, own: &Choice, theirs: &Choice, findings: &mut Findings<'_>) {
    let name = |part: &str| format!("{prefix}{part}");
    findings.equal(&name("index"), &own.index, &theirs.index);
    findings.equal(&name("text"), &own.text, &theirs.text);
    findings.equal(&name("reasoning"), &own.reasoning, &theirs.reasoning);
    findings.equal(&name("refusal"), &own.refusal, &theirs.refusal);
    compare_calls(prefix, &own.tool_calls, &theirs.tool_calls, findings);
    let same = findings.tolerance.same_finish(&own.finish, &theirs.finish);
    findings.check(&name("finish"), same, &own.finish, &theirs.finish);
    findings.equal(&name("signatures"), &own.signatures, &theirs.signatures);
    findings.equal(
        &name("server_tools"),
        &own.server_tools,
        &theirs.server_tools,
    );
    findings.equal(&name("citations"), &own.citations, &theirs.citations);
    findings.equal(&name("images"), &own.images, &theirs.images);
    findings.equal(&name("audio"), &own.audio, &theirs.audio);
    findings.equal(&name("logprobs"), &own.logprobs, &theirs.logprobs);
    findings.equal(&name("others"), &own.others, &theirs.others);
}

fn compare_calls(prefix: &str, own: &[ToolCall], theirs: &[ToolCall], findings: &mut Findings<'_>) {
    let counts = (own.len(), theirs.len());
    findings.equal(&format!("{prefix}tool_calls"), &counts.0, &counts.1);
    for (at, (own, theirs)) in own.iter().zip(theirs).enumerate() {
        let name = |part: &str| format!("{prefix}tool_call[{at}].{part}");
        findings.equal(&name("name"), &own.name, &theirs.name);
        findings.equal(&name("id"), &own.id, &theirs.id);
        let same = own.arguments == theirs.arguments
            || findings.tolerance.arguments == Arguments::Json && same_json(own, theirs);
        findings.check(&name("arguments"), same, &own.arguments, &theirs.arguments);
    }
}

fn same_json(own: &ToolCall, theirs: &ToolCall) -> bool {
    match (own.arguments_json(), theirs.arguments_json()) {
        (Some(own), Some(theirs)) => own.same_meaning(&theirs),
        _ => false,
    }
}

fn compare_usage(
    own: Option<UsageClasses>,
    theirs: Option<UsageClasses>,
    findings: &mut Findings<'_>,
) {
    let (Some(own), Some(theirs)) = (own, theirs) else {
        return findings.equal("usage", &own, &theirs);
    };
    findings.equal("usage.input_total", &own.input_total, &theirs.input_total);
    findings.equal(
        "usage.output_total",
        &own.output_total,
        &theirs.output_total,
    );
    for (name, own, theirs) in [
        ("usage.cache_read", own.cache_read, theirs.cache_read),
        ("usage.cache_write", own.cache_write, theirs.cache_write),
        ("usage.reasoning", own.reasoning, theirs.reasoning),
    ] {
        // A detail of zero and one not given say the same.
        findings.equal(name, &own.unwrap_or(0), &theirs.unwrap_or(0));
    }
}
