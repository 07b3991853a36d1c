//! What is told of losses, and when they are a reason to refuse.

use crate::node::LossPolicy;
use http::HeaderValue;
use llmleaf_model::{Failure, FailureKind, Loss, LossKind, Retry};
use std::fmt::Write as _;

/// Longest value of the header, in bytes.
const LONGEST: usize = 2048;

/// The header that tells of losses, where there are any.
pub fn header(losses: &[Loss]) -> Option<HeaderValue> {
    if losses.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(256);
    for (index, loss) in losses.iter().enumerate() {
        let before = text.len();
        let between = if index > 0 { "; " } else { "" };
        // Writing to a text does not fail.
        let _ = write!(text, "{between}{loss}");
        if text.len() - between.len() > LONGEST {
            text.truncate(before);
            let _ = write!(text, "; and {} more", losses.len() - index);
            break;
        }
    }
    let is_visible = |c: char| c.is_ascii_graphic() || c == ' ';
    if !text.chars().all(is_visible) {
        let visible = text.chars().map(|c| if is_visible(c) { c } else { '?' });
        text = visible.collect();
    }
    HeaderValue::try_from(text).ok()
}

/// Whether nothing but what is asked of routing is lost, for which that answers: the target takes every field.
pub(crate) fn are_none(losses: &[Loss]) -> bool {
    let routing = |loss: &Loss| llmleaf_dialects::preferences::is_field(&loss.field);
    losses.iter().all(routing)
}

/// Why a request that loses this is refused, where it is.
pub fn refusal(policy: LossPolicy, losses: &[Loss]) -> Option<Failure> {
    // An approximation says what was asked in the target's own way: it is reported, and no reason to refuse.
    let lost = |loss: &&Loss| loss.kind != LossKind::Approximated;
    let lost: Vec<&Loss> = losses.iter().filter(lost).collect();
    let first = lost.first().filter(|_| policy != LossPolicy::Report)?;
    let list: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let message = format!("the target cannot express the request: {}", list.join("; "));
    let mut failure = Failure::invalid(message, Some(&first.field));
    if policy == LossPolicy::Reroute {
        failure.kind = FailureKind::Unsupported;
        failure.retry = Retry::NextTarget;
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_of_losses_in_visible_letters_and_of_how_many_there_are_more() {
        assert_eq!(header(&[]), None);
        let told = |losses: &[Loss]| header(losses).map(|h| h.to_str().map(str::to_owned).ok());
        let short = [
            Loss::dropped("tëmp", "a\nb"),
            Loss::approximated("top_k", "c"),
        ];
        let expected = format!("{}; {}", short[0], short[1]).replace(['ë', '\n'], "?");
        assert_eq!(told(&short), Some(Some(expected)));
        // As long as can be, then one letter longer.
        for (length, more) in [(LONGEST, ""), (LONGEST + 1, "; and 2 more")] {
            let first = Loss::dropped("a", "b");
            let before = first.to_string();
            let own = Loss::dropped("", "").to_string().len();
            let long = Loss::dropped("x".repeat(length - before.len() - own), "");
            let last = [first, long.clone(), Loss::dropped("y", "z")];
            let expected = match more {
                "" => format!("{before}; {long}; and 1 more"),
                more => format!("{before}{more}"),
            };
            assert_eq!(told(&last), Some(Some(expected)));
        }
    }
}
