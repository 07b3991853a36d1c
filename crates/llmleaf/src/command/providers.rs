//! `llmleaf providers`: the kinds that a configuration may name.

use super::Exit;
use crate::out;

pub(crate) fn run() -> Exit {
    out::print(&table())
}

fn table() -> String {
    let lines = llmleaf_providers::all().map(|row| {
        let name = match row.aliases {
            [] => row.name.to_owned(),
            aliases => format!("{} ({})", row.name, aliases.join(", ")),
        };
        format!(
            "{name:42}  {}\n",
            row.base_url.unwrap_or(match row.is_local() {
                true => "(answers by itself)",
                false => "(needs an `endpoint`)",
            })
        )
    });
    std::iter::once(format!("{:42}  {}\n", "KIND (ALIASES)", "DEFAULT ENDPOINT"))
        .chain(lines)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_line() {
        let text = table();
        for kind in llmleaf_providers::kinds() {
            let row = llmleaf_providers::find(kind).expect("its row");
            let start = |line: &&str| line.split_whitespace().next() == Some(row.name);
            assert_eq!(text.lines().filter(start).count(), 1, "{kind}");
        }
    }
}
