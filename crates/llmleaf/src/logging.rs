//! Logs go to standard error: for people on a terminal, as JSON lines elsewhere. They never keep anybody waiting
//! (`queue.rs`), and warnings that come in floods are held back (`flood.rs`).

mod flood;
mod queue;

use std::sync::OnceLock;
use std::time::Duration;

use llmleaf_config::environment;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use self::flood::Flood;
use self::queue::Queue;
use crate::out;

/// How long the end of the program waits for its last lines to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Installs the subscriber. `LLMLEAF_LOG`, else `RUST_LOG`, sets what is logged: a level, or levels of targets, as in
/// `warn,llmleaf_exchange=debug`; default `info`. Returns the filter's text where it could not be read and the default counts.
pub(crate) fn install() -> Option<String> {
    let wanted = ["LLMLEAF_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| environment::var(name).filter(|text| !text.is_empty()));
    let default = || Targets::new().with_default(LevelFilter::INFO);
    let (filter, unread) = match wanted.as_deref().map(str::parse::<Targets>) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(_)) => (default(), wanted),
        None => (default(), None),
    };
    let for_people = out::stderr_is_terminal();
    let lost = if for_people { lost_text } else { lost_json };
    let Ok(queue) = Queue::start(std::io::stderr(), lost) else {
        // Without a thread for logs there will be none for work either, which is then said.
        return unread;
    };
    let held_back = if for_people { held_text } else { held_json };
    let flood = Flood::new(queue.clone(), held_back);
    let writer = queue.clone();
    let builder = tracing_subscriber::fmt()
        // The filter says what is logged.
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        // Whoever read the log may be gone; complaining of it on the same descriptor would panic.
        .log_internal_errors(false)
        .with_ansi(out::colour());
    // A second subscriber can only mean that one is there already, which is as good.
    let _ = if for_people {
        tracing::subscriber::set_global_default(builder.finish().with(flood).with(filter))
    } else {
        let builder = builder.json().flatten_event(true);
        tracing::subscriber::set_global_default(builder.finish().with(flood).with(filter))
    };
    let _ = QUEUE.set(queue);
    unread
}

/// Waits for the lines that are still on their way.
pub(crate) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_WORDS);
    }
}

fn lost_text(count: u64) -> String {
    format!("WARN llmleaf::log: {count} lines were dropped: nobody read them\n")
}

fn lost_json(count: u64) -> String {
    format!(
        "{{\"level\":\"WARN\",\"target\":\"llmleaf::log\",\"message\":\"lines were dropped: nobody read them\",\
         \"count\":{count}}}\n"
    )
}

fn held_text(target: &str, count: u64) -> String {
    format!("WARN {target}: {count} lines like the next one were held back\n")
}

/// A target is a path of modules, which needs no escapes.
fn held_json(target: &str, count: u64) -> String {
    format!(
        "{{\"level\":\"WARN\",\"target\":\"{target}\",\"message\":\"lines like the next one were held back\",\
         \"count\":{count}}}\n"
    )
}
