//! What of an answer is said, and how far that is: sentence by sentence, so that sound begins before the text ends.

use super::wave::Wave;

/// Least bytes of text that are said by themselves, where more is to come: shorter ones are mostly "Mr." and "1.".
const SHORTEST: usize = 16;
/// Most bytes that are said at once.
const LONGEST: usize = 1_000;
/// How long a byte of text lasts in speech where nothing is known of the voice, in milliseconds: 150 words a minute, of six letters
/// with the space behind them.
const BYTE_MS: u64 = 66;

/// A piece of a text that was said, or is being said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it ends in the text.
    pub text: usize,
    /// Where it ends in the sound, in milliseconds.
    pub millis: u64,
    /// All its sound came. Until then more of it follows, nobody knows how much.
    pub whole: bool,
}

/// What is said of one message.
#[derive(Debug, Default)]
pub struct Mouth {
    /// The text so far.
    pub text: String,
    /// Nothing more comes to it.
    pub whole: bool,
    /// How much of it was given to be said.
    given: usize,
    /// What was said, and last what is being said.
    pub pieces: Vec<Piece>,
    /// The sound that comes now, and of which text.
    pub sound: Option<Wave>,
    pub saying: String,
}

impl Mouth {
    /// The next piece of text to be said; what cannot be said is passed over.
    pub fn next(&mut self) -> Option<String> {
        loop {
            let rest = self.text.get(self.given..).unwrap_or_default();
            let end = cut(rest, self.whole, self.pieces.is_empty())?;
            let piece = rest.get(..end).unwrap_or_default().to_owned();
            self.given += end;
            if piece.chars().any(char::is_alphanumeric) {
                let millis = self.millis();
                self.pieces.push(Piece {
                    text: self.given,
                    millis,
                    whole: false,
                });
                return Some(piece.trim().to_owned());
            }
        }
    }

    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.saying.len() + self.pieces.len() * size_of::<Piece>()
    }

    /// How long what was said is.
    pub fn millis(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.millis)
    }

    /// So much more of the piece was said.
    pub fn said(&mut self, millis: u64) {
        let before = self
            .pieces
            .iter()
            .rev()
            .nth(1)
            .map_or(0, |piece| piece.millis);
        if let Some(piece) = self.pieces.last_mut() {
            piece.millis = before.saturating_add(millis);
        }
    }

    /// All of the piece was said.
    pub fn said_whole(&mut self, millis: u64) {
        self.said(millis);
        if let Some(piece) = self.pieces.last_mut() {
            piece.whole = true;
        }
    }

    /// Nothing is being said, and nothing is left to say.
    pub fn is_done(&mut self) -> bool {
        let rest = self.text.get(self.given..).unwrap_or_default();
        self.sound.is_none() && self.whole && !rest.chars().any(char::is_alphanumeric)
    }
}

/// Where the next piece of a text ends: behind the last sentence that is there, for the first one behind the first; `None` while
/// more is to come.
fn cut(rest: &str, whole: bool, first: bool) -> Option<usize> {
    let most = floor(rest, LONGEST);
    let within = rest.get(..most).unwrap_or(rest);
    if whole && rest.len() <= LONGEST && !first {
        return (!rest.is_empty()).then_some(rest.len());
    }
    let mut ends = ends(within).filter(|end| *end >= SHORTEST);
    let found = if first { ends.next() } else { ends.last() };
    if found.is_some() {
        return found;
    }
    if rest.len() > LONGEST {
        // A sentence without an end: at its last word, or anywhere.
        let space = within.char_indices().rev().find(|(_, c)| c.is_whitespace());
        return Some(space.map_or(most, |(at, c)| at + c.len_utf8()).max(1));
    }
    (whole && !rest.is_empty()).then_some(rest.len())
}

/// Where sentences end, behind the space that follows them. The last character may go on: "3." is no sentence before a digit.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let mut ended = false;
    text.char_indices().filter_map(move |(at, c)| {
        let behind = at + c.len_utf8();
        match c {
            '\n' | '。' | '！' | '？' => {
                ended = false;
                Some(behind)
            }
            c if c.is_whitespace() => std::mem::take(&mut ended).then_some(behind),
            '.' | '!' | '?' | '…' | ':' | ';' => {
                ended = true;
                None
            }
            // They stand behind the end of what they close.
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '*' | '_' => None,
            _ => {
                ended = false;
                None
            }
        }
    })
}

/// The end of the last character within so many bytes.
fn floor(text: &str, most: usize) -> usize {
    text.floor_char_boundary(most)
}

/// How much of a text was heard, where sound was heard up to a moment: whole pieces, and of the last one as many words as fit. How long
/// a piece is whose sound broke off is not known, so that is told from its text, by the pace of those before it.
pub fn heard<'t>(text: &'t str, pieces: &[Piece], millis: u64) -> &'t str {
    let pace = pace(pieces);
    let (mut from, mut begun) = (0, 0);
    for piece in pieces {
        let to = piece.text.min(text.len());
        let said = text.get(from..to).unwrap_or_default();
        let spoken = said.trim_end().len() as u64;
        let until = match piece.whole {
            true => piece.millis,
            false => piece.millis.max(begun + pace.of(spoken)),
        };
        let millis = if piece.whole {
            millis
        } else {
            millis.min(piece.millis)
        };
        if until > millis {
            let share = spoken * millis.saturating_sub(begun) / (until - begun).max(1);
            let share = floor(said, usize::try_from(share).unwrap_or(usize::MAX));
            let words = said.get(..share).unwrap_or_default();
            let end = words.rfind(char::is_whitespace).unwrap_or(0);
            return text.get(..from + end).unwrap_or_default().trim_end();
        }
        (from, begun) = (to, piece.millis);
    }
    text.get(..from).unwrap_or_default().trim_end()
}

/// How fast a voice is: so many milliseconds for so many bytes.
struct Pace(u64, u64);

impl Pace {
    fn of(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(self.0) / self.1
    }
}

/// How fast the pieces were said that were said whole.
fn pace(pieces: &[Piece]) -> Pace {
    let whole = pieces.iter().take_while(|piece| piece.whole).last();
    match whole {
        Some(last) if last.text > 0 && last.millis > 0 => Pace(last.millis, last.text as u64),
        _ => Pace(BYTE_MS, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a text that comes in pieces of that many characters, and how much of it was there at each.
    fn said(text: &str, step: usize) -> Vec<(String, usize)> {
        let mut mouth = Mouth::default();
        let mut out = Vec::new();
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(step) {
            mouth.text.extend(piece);
            out.extend(mouth.next().map(|piece| (piece, mouth.text.len())));
        }
        mouth.whole = true;
        while let Some(piece) = mouth.next() {
            out.push((piece, mouth.text.len()));
        }
        assert!(mouth.is_done());
        out
    }

    fn pieces(text: &str, step: usize) -> Vec<String> {
        said(text, step)
            .into_iter()
            .map(|(piece, _)| piece)
            .collect()
    }

    #[test]
    fn sentences_are_said_as_soon_as_they_are_there() {
        let text = "Mr. Smith has 3.5 apples. He said \"No, thanks!\" and went. Bye";
        let parts = [
            "Mr. Smith has 3.5 apples.",
            "He said \"No, thanks!\"",
            "and went. Bye",
        ];
        assert_eq!(pieces(text, 1), parts);
        assert_eq!(said(text, 1)[0].1, 26, "with the first space behind it");
        // What is there at once is said in two: the first soon, and the rest together.
        assert_eq!(pieces(text, 1000), [parts[0], &text[26..]]);
        assert_eq!(
            pieces("私は学生です。あなたは先生ですか？はい。", 1).len(),
            3
        );
        assert_eq!(pieces("Yes", 1), ["Yes"]);
        assert!(pieces("  ...\n\n*** — 🙂", 1).is_empty());
        // Without an end of a sentence it is cut between words.
        let long = "word ".repeat(600);
        let cut = pieces(&long, 7);
        assert!(
            cut.iter()
                .all(|piece| piece.len() <= LONGEST && piece.ends_with("word"))
        );
        assert_eq!(cut.join(" "), long.trim());
        assert_eq!(pieces(&"字".repeat(700), 3).concat(), "字".repeat(700));
    }

    #[test]
    fn what_was_heard_is_counted_in_whole_words() {
        let text = "One two three. Four five six.";
        let at = |text, millis| Piece {
            text,
            millis,
            whole: true,
        };
        let pieces = [at(15, 1000), at(29, 2000)];
        for (millis, words) in [
            (0, ""),
            (300, "One"),
            (999, "One two"),
            (1000, "One two three."),
            (1500, "One two three. Four"),
            (2000, text),
            (9000, text),
        ] {
            assert_eq!(heard(text, &pieces, millis), words, "{millis}");
        }
        assert_eq!(heard(text, &pieces[..1], 5000), "One two three.");
        // A piece that broke off is told by the pace of the one before it, or by the usual one.
        let broken = |text, millis| Piece {
            whole: false,
            ..at(text, millis)
        };
        for (millis, heard_of, words) in [
            (1000, 1000, "One two three."),
            (1600, 9000, "One two three. Four"),
            (1600, 1200, "One two three."),
            (2500, 2500, text),
        ] {
            let pieces = [at(15, 1000), broken(29, millis)];
            assert_eq!(heard(text, &pieces, heard_of), words, "{millis}");
        }
        assert_eq!(heard(text, &[broken(15, 0)], 9000), "");
        assert_eq!(heard(text, &[broken(15, 600)], 9000), "One two");
        assert_eq!(heard(text, &[broken(15, 9000)], 9000), "One two three.");
    }
}
