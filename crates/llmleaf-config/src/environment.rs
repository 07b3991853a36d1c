//! The process environment: the only place in the workspace that reads it.

/// The value of an environment variable; one that is not UTF-8 counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that everything else must use"
)]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
