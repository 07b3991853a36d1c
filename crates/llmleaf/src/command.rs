//! One answer per thing that can be asked for.

mod check;
mod conform;
mod keys;
mod models;
mod plan;
mod providers;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use llmleaf_config::{Config, Diagnostics};

use crate::cli::{Cli, Command, KeyAction};
use crate::{dev, out};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Fine,
    /// It failed while running.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

/// Does what was asked for.
pub(crate) fn run(asked: Cli) -> Exit {
    if asked.version {
        return out::print(&version());
    }
    match asked.command {
        None => serve::run(asked.file.named()),
        Some(Command::Check(asked)) => check::run(asked.file.named(), asked.route.as_deref()),
        Some(Command::Conform(asked)) => conform::run(&asked),
        Some(Command::HashPassword { id }) => keys::hash_password(&id),
        Some(Command::Key {
            action: KeyAction::New { id },
        }) => keys::new(&id),
        Some(Command::Models { file, json }) => models::run(file.named(), json),
        Some(Command::Providers) => providers::run(),
    }
}

fn version() -> String {
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    format!("llmleaf {} ({arch}-{os})\n", env!("CARGO_PKG_VERSION"))
}

/// The configuration of that file, or the built-in one.
fn load(path: Option<&PathBuf>) -> Result<Config, Diagnostics> {
    match path {
        Some(path) => Config::load(path),
        None => dev::config(),
    }
}

/// Shows why a configuration is refused.
fn refuse(diagnostics: &Diagnostics) -> Exit {
    out::error(&diagnostics.render(out::colour()));
    Exit::Usage
}
