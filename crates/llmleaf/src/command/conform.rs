//! `llmleaf conform`: what becomes of each feature, for every dialect and provider; with `--target`, what a real service makes of it.

use super::{Exit, load, refuse};
use crate::cli::Conform;
use crate::conform::{DIALECTS, live, table};
use crate::out;
use llmleaf_dialects::Dialect;

pub(crate) fn run(asked: &Conform) -> Exit {
    match dialect(asked.dialect.as_deref()) {
        Ok(dialect) => match &asked.target {
            Some(target) => against(asked, target, dialect),
            None => matrix(asked.provider.as_deref(), dialect),
        },
        Err(exit) => exit,
    }
}

fn dialect(name: Option<&str>) -> Result<Option<Dialect>, Exit> {
    let Some(name) = name else { return Ok(None) };
    if let Some((_, dialect)) = DIALECTS.iter().find(|(known, _)| *known == name) {
        return Ok(Some(*dialect));
    }
    let known: Vec<&str> = DIALECTS.iter().map(|(name, _)| *name).collect();
    let known = known.join(", ");
    out::error(&format!(
        "llmleaf: no dialect is called {name:?}; there are {known}\n"
    ));
    Err(Exit::Usage)
}

fn matrix(provider: Option<&str>, dialect: Option<Dialect>) -> Exit {
    let row = provider.and_then(llmleaf_providers::find);
    if let (Some(name), None) = (provider, row) {
        out::error(&format!(
            "llmleaf: no kind of provider is called {name:?}; see `llmleaf providers`\n"
        ));
        return Exit::Usage;
    }
    let (text, faults) = table::print(dialect, row);
    match (out::print(&text), faults) {
        (Exit::Fine, 1..) => Exit::Failed,
        (exit, _) => exit,
    }
}

fn against(asked: &Conform, target: &str, dialect: Option<Dialect>) -> Exit {
    let config = match load(asked.file.named().as_ref()) {
        Ok(config) => config,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    let mut say = |text: &str| {
        out::print(text);
    };
    match live::run(config, target, asked.model.as_deref(), dialect, &mut say) {
        Ok(0) => Exit::Fine,
        Ok(_) => Exit::Failed,
        Err(error) => {
            out::error(&format!("llmleaf: {error}\n"));
            Exit::Usage
        }
    }
}
