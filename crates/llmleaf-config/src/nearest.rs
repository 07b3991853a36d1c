//! The known name that a misspelt one most likely stands for.

/// The candidate closest to `name`, if one is close enough to be a fair guess.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let plain = normalise(name);
    let candidates: Vec<&'c str> = candidates.into_iter().collect();
    // `idle` for `idle_ms`: the unit, or the rest of a longer name, was left out.
    let stem = format!("{name}_");
    if name.len() > 2
        && let Some(longer) = candidates.iter().find(|c| c.starts_with(&stem))
    {
        return Some(longer);
    }
    let allowed = (plain.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(&plain, &normalise(candidate)), candidate))
        .filter(|&(d, candidate)| d <= allowed && d < candidate.chars().count())
        .min_by_key(|&(d, _)| d)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", else the list of what there is, when that list is short enough to read.
pub(crate) fn suggestion(name: &str, what: &str, candidates: &[&str]) -> Option<String> {
    const READABLE: usize = 20;
    if let Some(near) = nearest(name, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    if candidates.is_empty() || candidates.len() > READABLE {
        return None;
    }
    let names: Vec<String> = candidates.iter().map(|c| format!("`{c}`")).collect();
    Some(format!("{what}: {}", names.join(", ")))
}

/// Case, and the choice among `-`, `_` and space, are no spelling mistakes worth counting.
fn normalise(name: &str) -> Vec<char> {
    name.chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '-' || c == ' ' { '_' } else { c })
        .collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    // Three rows of the table: two back (for swaps), one back, and the one being filled.
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=b.len()).collect();
    let mut a_before = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left = i + 1;
        let mut b_before = None;
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&old, j) + usize::from(x != y))
                .min(at(&old, j + 1) + 1)
                .min(left + 1);
            if a_before == Some(y) && b_before == Some(x) && j > 0 {
                best = best.min(at(&older, j - 1) + 1);
            }
            row.push(best);
            left = best;
            b_before = Some(y);
        }
        a_before = Some(x);
        older = std::mem::replace(&mut old, row);
    }
    old.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(a: &str, b: &str) -> usize {
        distance(&normalise(a), &normalise(b))
    }

    #[test]
    fn counts_each_kind_of_slip_once() {
        assert_eq!(d("listen", "listen"), 0);
        assert_eq!(d("lisen", "listen"), 1);
        assert_eq!(d("listten", "listen"), 1);
        assert_eq!(d("lusten", "listen"), 1);
        assert_eq!(d("lsiten", "listen"), 1);
        assert_eq!(d("max-body-bytes", "Max_Body_Bytes"), 0);
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("abc", ""), 3);
        assert_eq!(d("kitten", "sitting"), 3);
    }

    #[test]
    fn guesses_only_when_close() {
        assert_eq!(nearest("lisen", ["workers", "listen"]), Some("listen"));
        assert_eq!(nearest("zebra", ["workers", "listen"]), None);
        assert_eq!(nearest("idle", ["idle_ms"]), Some("idle_ms"));
        assert_eq!(nearest("x", ["y"]), None, "no letter in common");
    }

    #[test]
    fn lists_the_names_when_none_is_close() {
        let names = ["report", "error"];
        assert_eq!(
            suggestion("fail", "one of", &names).as_deref(),
            Some("one of: `report`, `error`")
        );
        assert_eq!(suggestion("fail", "one of", &[]), None);
    }
}
