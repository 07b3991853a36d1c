//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use llmleaf_config::environment;

use crate::command::Exit;
use crate::out;

/// The file to use when the command line names none.
const CONFIG_VAR: &str = "LLMLEAF_CONFIG";

#[derive(Debug, Parser)]
#[command(
    name = "llmleaf",
    about = "One small, fast, extensible proxy in front of every LLM provider.",
    after_help = "Without a configuration file, a built-in one answers on 127.0.0.1:8080 by itself.",
    disable_version_flag = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub file: ConfigFile,
    /// Print version and target
    #[arg(short = 'V', long)]
    pub version: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a configuration file, and print where each route leads
    Check(Check),
    /// Print what becomes of each feature, for every consumer dialect and every provider
    Conform(Conform),
    /// Read a password from standard input; print its hash and how to use it
    HashPassword {
        /// Id of the key that the password is for
        #[arg(long, default_value = "my-key", value_name = "ID")]
        id: String,
    },
    /// Make a key of a consumer
    Key {
        #[command(subcommand)]
        action: KeyAction,
    },
    /// List the models that a configuration offers
    Models {
        #[command(flatten)]
        file: ConfigFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the provider kinds that this program knows
    Providers,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a random key; print its `[[keys]]` table and its credential
    New {
        /// Id of the key: letters, digits and `. _ - @ + ~`
        #[arg(long, value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Print what would be tried for this model, in which order, at what price, and what a request may lose there
    #[arg(long, value_name = "MODEL")]
    pub route: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Conform {
    #[command(flatten)]
    pub file: ConfigFile,
    /// Only for consumers of this dialect
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<String>,
    /// Only with this kind of provider
    #[arg(long, value_name = "KIND", conflicts_with = "target")]
    pub provider: Option<String>,
    /// Ask this provider of the configuration for each feature: real requests, which it may bill
    #[arg(long, value_name = "PROVIDER")]
    pub target: Option<String>,
    /// The model to ask for there; that of a route if none is named
    #[arg(long, value_name = "MODEL", requires = "target")]
    pub model: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file; `LLMLEAF_CONFIG` names one, too
    #[arg(value_name = "CONFIG")]
    path: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that was named, here or in the environment.
    pub(crate) fn named(&self) -> Option<PathBuf> {
        let from_env = || environment::var(CONFIG_VAR).filter(|name| !name.is_empty());
        self.path.clone().or_else(|| from_env().map(PathBuf::from))
    }
}

/// What was asked for, or how the program ends when that was a mistake or a question about itself.
pub(crate) fn parse() -> Result<Cli, Exit> {
    Cli::try_parse().map_err(|error| {
        let text = error.render().to_string();
        if error.use_stderr() {
            out::error(&text);
            Exit::Usage
        } else {
            out::print(&text)
        }
    })
}
