//! The one entry for project chores: `cargo xtask help` lists them.
//!
//! Only the standard library is used, so that the checks build in a second on a cold machine. To read: `tidy.rs` has the
//! table of rules, each rule's file has its reasons, `tidy/source.rs` has the little that is understood of Rust.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod check;
mod faults;
mod mutants;
mod tidy;

/// One chore: what is typed, what it is for, what it runs.
struct Chore {
    name: &'static str,
    about: &'static str,
    run: Run,
}

enum Run {
    Whole(fn(&Path) -> Result<(), String>),
    /// What takes long can be begun at a number, told behind its name.
    From(fn(&Path, usize) -> Result<(), String>),
}

const CHORES: &[Chore] = &[
    Chore {
        name: "check",
        about: "formatting, clippy and tidy, in that order; stops at the first that fails",
        run: Run::Whole(check::run),
    },
    Chore {
        name: "tidy",
        about: "the house rules that rustfmt and clippy cannot see; lists every violation",
        run: Run::Whole(tidy::run),
    },
    Chore {
        name: "faults",
        about: "which row of docs/faults.md has no test of its name and no reason for that",
        run: Run::Whole(faults::run),
    },
    Chore {
        name: "mutants",
        about: "plants faults in a copy of the routing crate: its simulator must catch each; `mutants 40` begins at the 40th",
        run: Run::From(mutants::routing),
    },
    Chore {
        name: "planted",
        about: "plants faults in a copy of the program: the judge must see what each breaks; half an hour",
        run: Run::From(mutants::program),
    },
    Chore {
        name: "help",
        about: "this list",
        run: Run::Whole(help),
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_else(|| "help".to_owned());
    let outcome = match (
        CHORES.iter().find(|chore| chore.name == wanted),
        arguments.next(),
    ) {
        (Some(chore), extra) => run(chore, extra.as_deref()),
        (None, _) => Err(format!(
            "no chore is named {wanted:?}; `cargo xtask help` lists them"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore, extra: Option<&str>) -> Result<(), String> {
    match (&chore.run, extra) {
        (Run::Whole(run), None) => run(&root()),
        (Run::Whole(_), Some(extra)) => Err(format!(
            "{} takes no argument, {extra:?} was given",
            chore.name
        )),
        (Run::From(run), None) => run(&root(), 1),
        (Run::From(run), Some(extra)) => match extra.parse() {
            Ok(first) => run(&root(), first),
            Err(_) => Err(format!("{extra:?} is no number to begin at")),
        },
    }
}

fn help(_root: &Path) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for chore in CHORES {
        writeln!(out, "cargo xtask {:<8}{}", chore.name, chore.about)
            .map_err(|error| format!("cannot print: {error}"))?;
    }
    Ok(())
}

/// The workspace, wherever the command was typed.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
