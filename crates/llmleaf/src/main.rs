//! The llmleaf program: command line, logging, and the call that serves.
//!
//! Reading order: `cli.rs` (what can be asked for), `command.rs` (one file per answer), `dev.rs` (what runs
//! when there is no file), `logging.rs`, `out.rs`. Exit codes: 0 all went well, 1 it failed while running,
//! 2 the command line or the configuration is wrong.

mod cli;
mod command;
mod conform;
mod dev;
mod logging;
mod out;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse() {
        Ok(asked) => command::run(asked).into(),
        Err(end) => end.into(),
    }
}
