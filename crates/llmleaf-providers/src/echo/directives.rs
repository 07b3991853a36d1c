//! The lines that begin with `/echo`.

use super::fault::{self, Fault};
use super::{MAX_DELAY, MAX_DIRECTIVES};
use llmleaf_model::{FinishReason, Usage};
use std::time::Duration;

/// What a message asks for, and the text that is left of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Directives {
    /// The message without its directives.
    pub text: String,
    /// Tool calls: name and arguments as written.
    pub calls: Vec<(String, String)>,
    /// Reasoning to show first.
    pub reasoning: Option<String>,
    /// A failure.
    pub fault: Option<Fault>,
    /// Pause before the first content.
    pub delay: Duration,
    /// Pause before each further piece.
    pub pace: Duration,
    /// Why the answer ends, and the stop text.
    pub finish: Option<(FinishReason, Option<String>)>,
    /// A refusal in place of the answer.
    pub refusal: Option<String>,
    /// Images: addresses, or `None` for a picture inline.
    pub images: Vec<Option<String>>,
    /// Sources cited: address and title.
    pub citations: Vec<(String, Option<String>)>,
    /// The stream ends without its terminal, after so many words or at the end.
    pub cut: Option<Option<u64>>,
    /// Usage in place of the count.
    pub usage: Option<Usage>,
    /// A directive that is not understood, and what is: the answer's text.
    pub problem: Option<String>,
}

/// One directive: name, arguments as shown to people, reader (`None`: not understood).
type Row = (
    &'static str,
    &'static str,
    fn(&mut Directives, &str) -> Option<()>,
);

const TABLE: [Row; 11] = [
    ("tool", "NAME [ARGUMENTS]", tool),
    ("reasoning", "TEXT", reasoning),
    (
        "error",
        "[KIND] [STATUS] [retry-after=SECONDS] [after=WORDS]",
        error,
    ),
    ("delay", "MILLISECONDS", delay),
    ("pace", "MILLISECONDS", pace),
    (
        "finish",
        "length | content_filter | stop_sequence [TEXT]",
        finish,
    ),
    ("refusal", "TEXT", refusal),
    ("image", "[ADDRESS]", image),
    ("cite", "ADDRESS [TITLE]", cite),
    ("cut", "[after=WORDS]", cut),
    (
        "usage",
        "[input=N] [output=N] [reasoning=N] [cache_read=N] [cache_write=N] [cache_write_1h=N]",
        usage,
    ),
];

/// Splits a message into its directives and the rest.
pub(super) fn parse(message: &str) -> Directives {
    let mut out = Directives::default();
    let mut seen = 0;
    let mut text = String::with_capacity(message.len());
    for line in message.split_inclusive('\n') {
        let Some(directive) = directive(line) else {
            text.push_str(line);
            continue;
        };
        seen += 1;
        if seen > MAX_DIRECTIVES {
            let problem = format!("More than {MAX_DIRECTIVES} directives.");
            out.problem.get_or_insert(problem);
        } else if let Err(problem) = out.take(directive) {
            out.problem.get_or_insert(problem);
        }
    }
    if seen > 0 {
        // The line ends that set the directives apart go with them.
        let trimmed = text.trim_matches(['\n', '\r']).len();
        let start = text.len() - text.trim_start_matches(['\n', '\r']).len();
        text = text
            .get(start..start + trimmed)
            .unwrap_or_default()
            .to_owned();
    }
    out.text = text;
    out
}

/// The words of a directive line, without its mark.
fn directive(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("/echo")?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest.trim_start())
}

impl Directives {
    fn take(&mut self, directive: &str) -> Result<(), String> {
        let (name, arguments) = split(directive);
        let Some((_, usage, read)) = TABLE.iter().find(|row| row.0 == name) else {
            return Err(unknown(name));
        };
        read(self, arguments).ok_or_else(|| {
            let kinds = if name == "error" {
                format!("\nKinds: {}.", fault::names())
            } else {
                String::new()
            };
            format!("Not understood: /echo {directive}\nUsage: /echo {name} {usage}{kinds}")
        })
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = TABLE
        .iter()
        .map(|(name, usage, _)| format!("/echo {name} {usage}"))
        .collect();
    format!(
        "Unknown directive {name:?}. These exist:\n{}",
        known.join("\n")
    )
}

fn split(text: &str) -> (&str, &str) {
    let (head, tail) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (head, tail.trim())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn milliseconds(text: &str) -> Option<Duration> {
    Some(Duration::from_millis(text.parse().ok()?).min(MAX_DELAY))
}

fn tool(out: &mut Directives, arguments: &str) -> Option<()> {
    let (name, input) = split(arguments);
    let input = some(input).unwrap_or_else(|| "{}".to_owned());
    out.calls.push((some(name)?, input));
    Some(())
}

fn reasoning(out: &mut Directives, text: &str) -> Option<()> {
    out.reasoning = Some(some(text)?);
    Some(())
}

fn error(out: &mut Directives, arguments: &str) -> Option<()> {
    out.fault = Some(fault::parse(arguments)?);
    Some(())
}

fn delay(out: &mut Directives, arguments: &str) -> Option<()> {
    out.delay = milliseconds(arguments)?;
    Some(())
}

fn pace(out: &mut Directives, arguments: &str) -> Option<()> {
    out.pace = milliseconds(arguments)?;
    Some(())
}

fn finish(out: &mut Directives, arguments: &str) -> Option<()> {
    let (name, text) = split(arguments);
    let reason = match name {
        "length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "stop_sequence" => FinishReason::StopSequence,
        _ => return None,
    };
    let stop = some(text).filter(|_| reason == FinishReason::StopSequence);
    out.finish = Some((reason, stop));
    Some(())
}

fn refusal(out: &mut Directives, text: &str) -> Option<()> {
    out.refusal = Some(some(text)?);
    Some(())
}

fn image(out: &mut Directives, address: &str) -> Option<()> {
    out.images.push(some(address));
    Some(())
}

fn cite(out: &mut Directives, arguments: &str) -> Option<()> {
    let (address, title) = split(arguments);
    out.citations.push((some(address)?, some(title)));
    Some(())
}

fn cut(out: &mut Directives, arguments: &str) -> Option<()> {
    out.cut = Some(match arguments {
        "" => None,
        after => Some(after.strip_prefix("after=")?.parse().ok()?),
    });
    Some(())
}

fn usage(out: &mut Directives, arguments: &str) -> Option<()> {
    let mut usage = Usage::default();
    for word in arguments.split_whitespace() {
        let (name, count) = word.split_once('=')?;
        let class = match name {
            "input" => &mut usage.input,
            "output" => &mut usage.output,
            "reasoning" => &mut usage.output_reasoning,
            "cache_read" => &mut usage.input_cache_read,
            "cache_write" => &mut usage.input_cache_write,
            "cache_write_1h" => &mut usage.input_cache_write_1h,
            _ => return None,
        };
        *class = count.parse().ok()?;
    }
    out.usage = Some(usage);
    Some(())
}
