//! The matrix as text.

use super::{Cell, DIALECTS, answer, answers, ask, asks, wire_for};
use llmleaf_dialects::Dialect;
use llmleaf_providers::Provider;
use std::fmt::Write;

const LEGEND: &str = "\
`=` arrives · `~` the nearest thing that there is arrives, and that is reported · `-` does not arrive, and that is reported ·\n\
`x` refused with an error that says why · `.` the side that it comes from has no form for it · `!` gone without a word, a fault\n";

impl Cell {
    fn sign(self) -> char {
        match self {
            Self::Whole => '=',
            Self::Near => '~',
            Self::Lost => '-',
            Self::Refused => 'x',
            Self::NoForm => '.',
            Self::Silent => '!',
        }
    }
}

/// The matrix for these dialects and providers, and how many of its cells are faults.
pub(crate) fn print(dialect: Option<Dialect>, provider: Option<&Provider>) -> (String, usize) {
    let mut text = format!("# Conformance\n\n{LEGEND}");
    let mut faults = 0;
    let providers: Vec<&Provider> = llmleaf_providers::all()
        .filter(|row| !row.is_local())
        .filter(|row| provider.is_none_or(|only| only.name == row.name))
        .collect();
    let dialects = DIALECTS
        .iter()
        .filter(|(_, it)| dialect.is_none_or(|only| only == *it));
    for (name, dialect) in dialects {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## Consumers of {name}\n\n");
        let _ = write!(text, "Wires: {}\n\n", wires(&providers, *dialect));
        header(&mut text, "In requests", &providers);
        for feature in asks::ALL {
            let cells = providers.iter().map(|row| ask(feature, *dialect, row));
            faults += line(&mut text, feature.name, cells);
        }
        text.push('\n');
        header(&mut text, "In answers", &providers);
        for feature in answers::ALL {
            let cells = providers.iter().map(|row| answer(feature, *dialect, row));
            faults += line(&mut text, feature.name, cells);
        }
    }
    (text, faults)
}

/// Which wire each provider is asked on.
fn wires(providers: &[&Provider], dialect: Dialect) -> String {
    let name = |wire: Dialect| {
        let named = DIALECTS.iter().find(|(_, it)| *it == wire);
        named.map_or("", |(name, _)| *name)
    };
    let each = providers.iter().filter_map(|row| {
        let wire = wire_for(row, dialect)?;
        Some(format!("{} {}", row.name, name(wire.dialect())))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn header(text: &mut String, title: &str, providers: &[&Provider]) {
    let _ = write!(text, "| {title:24} |");
    for row in providers {
        let _ = write!(text, " {} |", row.name);
    }
    let _ = write!(text, "\n|{:-<26}|", "");
    for row in providers {
        let _ = write!(text, ":{}:|", "-".repeat(row.name.len()));
    }
    text.push('\n');
}

fn line(text: &mut String, name: &str, cells: impl Iterator<Item = Cell>) -> usize {
    let mut faults = 0;
    let _ = write!(text, "| {name:24} |");
    for cell in cells {
        let _ = write!(text, " {} |", cell.sign());
        faults += usize::from(cell == Cell::Silent);
    }
    text.push('\n');
    faults
}
