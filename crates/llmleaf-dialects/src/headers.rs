//! Names of headers that services and clients made their own, and that others read or write by now.

/// What the Messages API puts before `{requests,tokens,…}-{limit,remaining,reset}`, with a moment under `reset`.
pub const DATED_LIMITS: &str = "anthropic-ratelimit-";

/// Headers in which clients name their session: requests of one session share a prompt's beginning (Claude Code, Codex, OpenCode,
/// OpenRouter's clients; seen 2026-11).
pub const SESSIONS: [&str; 5] = [
    "x-claude-code-session-id",
    "x-session-affinity",
    "x-session-id",
    "session-id",
    "thread-id",
];
