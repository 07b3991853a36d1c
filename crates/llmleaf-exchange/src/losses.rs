//! What is told of losses, and when they are a reason to refuse.

use crate::node::LossPolicy;
use http::HeaderValue;
use llmleaf_model::{Failure, FailureKind, Loss, LossKind, Retry};

/// Longest value of the header, in bytes.
const LONGEST: usize = 2048;

/// The header that tells of losses, where there are any.
pub fn header(losses: &[Loss]) -> Option<HeaderValue> {
    if losses.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (index, loss) in losses.iter().enumerate() {
        let next = loss.to_string();
        if text.len() + next.len() > LONGEST {
            text.push_str(&format!("; and {} more", losses.len() - index));
            break;
        }
        if index > 0 {
            text.push_str("; ");
        }
        text.push_str(&next);
    }
    let visible: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect();
    HeaderValue::from_str(&visible).ok()
}

/// Why a request that loses this is refused, where it is.
pub(crate) fn refusal(policy: LossPolicy, losses: &[Loss]) -> Option<Failure> {
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
