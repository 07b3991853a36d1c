//! What an error is: by its code and type first, then by its words, then by the status.

use super::shape::Said;
use llmleaf_model::FailureKind;

/// Codes and types that say it plainly, in lower case.
const SLUGS: &[(&str, FailureKind)] = &[
    ("context_length_exceeded", FailureKind::ContextLength),
    ("too_many_prompt_tokens", FailureKind::ContextLength),
    (
        "model_max_prompt_tokens_exceeded",
        FailureKind::ContextLength,
    ),
    ("context_window_exceeded", FailureKind::ContextLength),
    ("insufficient_quota", FailureKind::Quota),
    ("insufficient_balance", FailureKind::Quota),
    ("exceeded_current_quota_error", FailureKind::Quota),
    ("billing_hard_limit_reached", FailureKind::Quota),
    ("billing_not_active", FailureKind::Quota),
    ("payment_required", FailureKind::Quota),
    ("billing_error", FailureKind::Quota),
    ("content_filter", FailureKind::ContentPolicy),
    ("content_policy_violation", FailureKind::ContentPolicy),
    ("responsibleaipolicyviolation", FailureKind::ContentPolicy),
    ("data_inspection_failed", FailureKind::ContentPolicy),
    ("rate_limit_exceeded", FailureKind::RateLimit),
    ("rate_limit_reached_error", FailureKind::RateLimit),
    ("rate_limit_error", FailureKind::RateLimit),
    ("rate_limited", FailureKind::RateLimit),
    ("ratelimitreached", FailureKind::RateLimit),
    ("overloaded_error", FailureKind::Overloaded),
    ("engine_overloaded_error", FailureKind::Overloaded),
    ("engine_overloaded", FailureKind::Overloaded),
    ("server_overloaded", FailureKind::Overloaded),
    ("capacity_exceeded", FailureKind::Overloaded),
    ("service_unavailable", FailureKind::Overloaded),
    ("invalid_api_key", FailureKind::Credential),
    ("authentication_error", FailureKind::Credential),
    ("invalid_authentication_error", FailureKind::Credential),
    ("permission_denied_error", FailureKind::Credential),
    ("model_not_found", FailureKind::NotFound),
    ("deploymentnotfound", FailureKind::NotFound),
    ("not_found_error", FailureKind::NotFound),
    ("resource_not_found_error", FailureKind::NotFound),
    ("timeout", FailureKind::Timeout),
    ("request_timeout", FailureKind::Timeout),
];

/// Codes and types that say little: they count only where nothing else speaks.
const VAGUE: &[(&str, FailureKind)] = &[
    ("invalid_request_error", FailureKind::InvalidRequest),
    ("tool_use_failed", FailureKind::InvalidRequest),
    ("server_error", FailureKind::Server),
    ("internal_server_error", FailureKind::Server),
    ("api_error", FailureKind::Server),
];

const CONTEXT_WORDS: &[&str] = &[
    "maximum context length",
    "context length",
    "context window",
    "context_length",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "too many tokens",
    "total length of all messages is too long",
    "maximum prompt length",
    "maximum number of tokens allowed",
    "reduce the length of",
];

const QUOTA_WORDS: &[&str] = &[
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credit",
    "credit balance is too low",
    "requires more credits",
    "out of credits",
    "spending limit",
];

/// x.ai says of a wrong key that the request is (recorded 2026).
const KEY_WORDS: &[&str] = &["incorrect api key provided"];

const POLICY_WORDS: &[&str] = &[
    "content management policy",
    "content policy",
    "content_policy",
    "usage guidelines",
    "usage policies",
    "safety system",
    "safety_check",
    "content exists risk",
    "flagged as potentially violating",
    "requires moderation",
];

/// The kind of an error.
pub(super) fn classify(said: &Said, status: Option<u16>, text: &str) -> FailureKind {
    let slugs: Vec<String> = [&said.code, &said.wire_type]
        .into_iter()
        .flatten()
        .map(|slug| slug.to_ascii_lowercase())
        .collect();
    let by = |table: &[(&str, FailureKind)]| {
        slugs
            .iter()
            .find_map(|slug| table.iter().find(|(s, _)| s == slug).map(|(_, kind)| *kind))
    };
    let told = by(SLUGS).or_else(|| by_words(said, status, text));
    if matches!(status, Some(401 | 403)) {
        // Whatever the body calls it: this gateway was not let in, and its words may name an organisation, a project or a
        // key ("Project `proj_…` does not have access to model `…`", code `model_not_found`, in OpenAI's forum since 2024).
        return told
            .filter(|kind| speaks_of_more(*kind))
            .unwrap_or(FailureKind::Credential);
    }
    told.or_else(|| status.map(by_status))
        .or_else(|| by(VAGUE))
        .unwrap_or(FailureKind::Server)
}

/// What a service may say under the status of a refused credential although the credential is good: two that are about
/// the request, and an empty account.
fn speaks_of_more(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::ContextLength | FailureKind::ContentPolicy | FailureKind::Quota
    )
}

/// What the words say, for the statuses under which services put several things.
fn by_words(said: &Said, status: Option<u16>, text: &str) -> Option<FailureKind> {
    if !matches!(status, None | Some(400 | 402 | 403 | 413 | 422 | 429)) {
        return None;
    }
    // A router quotes the service behind it in escaped JSON, which the message may not repeat whole.
    let words = if said.message.is_empty() {
        text.to_lowercase()
    } else {
        said.message.to_lowercase()
    };
    let any = |list: &[&str]| list.iter().any(|marker| words.contains(marker));
    if status != Some(429) && status != Some(402) && any(CONTEXT_WORDS) {
        Some(FailureKind::ContextLength)
    } else if any(QUOTA_WORDS) {
        Some(FailureKind::Quota)
    } else if status != Some(429) && any(POLICY_WORDS) {
        Some(FailureKind::ContentPolicy)
    } else if status == Some(400) && any(KEY_WORDS) {
        Some(FailureKind::Credential)
    } else {
        None
    }
}

fn by_status(status: u16) -> FailureKind {
    match status {
        401 | 403 | 407 => FailureKind::Credential,
        402 => FailureKind::Quota,
        404 | 410 => FailureKind::NotFound,
        405 => FailureKind::MethodNotAllowed,
        408 | 504 | 522 | 524 => FailureKind::Timeout,
        409 | 425 => FailureKind::Conflict,
        413 => FailureKind::TooLarge,
        429 => FailureKind::RateLimit,
        // 498: a flex tier without room. 529: the same, as one service has it.
        498 | 503 | 529 => FailureKind::Overloaded,
        400..=499 => FailureKind::InvalidRequest,
        500..=599 => FailureKind::Server,
        _ => FailureKind::InvalidResponse,
    }
}

/// The HTTP status that a `base_resp` code stands for, by the service's own error list.
pub(super) fn envelope_status(code: u64) -> u16 {
    match code {
        1004 | 2049 => 401,
        1008 => 402,
        1002 | 1041 | 2056 => 429,
        1026 | 1027 | 1039 | 1042 | 2013 => 400,
        1001 => 504,
        _ => 500,
    }
}
