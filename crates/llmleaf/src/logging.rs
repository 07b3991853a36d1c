//! Logs go to standard error: for people on a terminal, as JSON lines elsewhere.

use llmleaf_config::environment;
use tracing_subscriber::EnvFilter;

use crate::out;

/// Installs the subscriber. `LLMLEAF_LOG`, else `RUST_LOG`, sets what is logged; default `info`. Returns the
/// filter's text where it could not be read and the default counts.
pub(crate) fn install() -> Option<String> {
    let wanted = ["LLMLEAF_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| environment::var(name).filter(|text| !text.is_empty()));
    let parsed = wanted.as_deref().map(EnvFilter::try_new);
    let (filter, unread) = match parsed {
        Some(Ok(filter)) => (filter, None),
        Some(Err(_)) => (EnvFilter::new("info"), wanted),
        None => (EnvFilter::new("info"), None),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Whoever read the log may be gone; complaining of it on the same descriptor would panic.
        .log_internal_errors(false)
        .with_ansi(out::colour());
    // A second subscriber can only mean that one is there already, which is as good.
    let _ = if out::stderr_is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    unread
}
