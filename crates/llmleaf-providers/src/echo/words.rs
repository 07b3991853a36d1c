//! Words as tokens: a word is its letters and the white space behind it, so that the words joined are the text.

/// The words of a text; white space at its head belongs to the first.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = word_end(rest)?;
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

/// Where the first word ends; `None` for an empty text.
fn word_end(text: &str) -> Option<usize> {
    let start = text.find(|c: char| !c.is_whitespace());
    let Some(start) = start else {
        return (!text.is_empty()).then_some(text.len());
    };
    let mut in_space = false;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < start) {
        if c.is_whitespace() {
            in_space = true;
        } else if in_space {
            return Some(at);
        }
    }
    Some(text.len())
}

/// How many words a text has.
pub(super) fn count(text: &str) -> u64 {
    u64::try_from(words(text).count()).unwrap_or(u64::MAX)
}

/// The text's first words, and whether that is not all of it.
pub(super) fn first(text: &str, most: u64) -> (&str, bool) {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let end = words(text).take(most).map(str::len).sum();
    text.split_at_checked(end)
        .map_or((text, false), |(head, tail)| (head, !tail.is_empty()))
}

/// The text's first bytes, at most so many and whole characters only, and whether that is not all of it.
pub(super) fn first_bytes(text: &str, most: usize) -> (&str, bool) {
    if text.len() <= most {
        return (text, false);
    }
    let end = (0..=most)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    (text.get(..end).unwrap_or_default(), true)
}

/// The text in at most so many pieces of whole words, all of about the same number of words.
pub(super) fn pieces(text: &str, most: usize) -> Vec<&str> {
    let words: Vec<&str> = words(text).collect();
    let per_piece = words.len().div_ceil(most.max(1)).max(1);
    let mut rest = text;
    words
        .chunks(per_piece)
        .filter_map(|group| {
            let end = group.iter().map(|word| word.len()).sum();
            let (piece, tail) = rest.split_at_checked(end)?;
            rest = tail;
            Some(piece)
        })
        .collect()
}

/// The text in at most so many pieces that do not care for words, as arguments of a tool call come.
pub(super) fn fragments(text: &str, most: usize) -> Vec<&str> {
    const AIM: usize = 16;
    let size = text.len().div_ceil(most.max(1)).max(AIM);
    let mut rest = text;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let end = (size..=rest.len())
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        out.push(piece);
        rest = tail;
    }
    out
}
