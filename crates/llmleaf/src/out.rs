//! The one place that writes to standard output and standard error.

use std::io::{self, IsTerminal, Write};

use llmleaf_config::environment;

use crate::command::Exit;

/// Writes `text` to standard output. A reader that has gone away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Exit {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Exit::Fine,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
        Err(_) => Exit::Failed,
    }
}

/// Writes `text` to standard error, where there may be nobody to read it.
pub(crate) fn error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether standard error is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether colours are wanted on standard error (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    stderr_is_terminal() && environment::var("NO_COLOR").is_none_or(|set| set.is_empty())
}
