//! Where the fields of a JSON object lie, found in one pass that checks the whole text.
//!
//! A request or an answer that goes through as it came is read for a few top-level fields only. A parser that builds or skips
//! values by type costs many times what finding their ends does, and that cost is most of what a small exchange spends on JSON.
//! What is accepted here is JSON by RFC 8259; `serde_json` accepts all of it (a test and a fuzz target hold the two together).

mod block;

use crate::head::MAX_DEPTH;
use block::BLOCK;
use std::ops::Range;

/// Most fields of an object that are told one by one. Where each lies takes more memory than a small field itself.
pub(crate) const MOST_FIELDS: usize = 4096;

/// One field of the outermost object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key with its quotes.
    pub key: Range<usize>,
    /// The key is written with escapes.
    pub escaped: bool,
    /// The value, without white space around it.
    pub value: Range<usize>,
}

/// A key as it reads, if it is written without escapes. `text` is what was read.
pub(crate) fn plain_key(text: &str, key: Range<usize>, escaped: bool) -> Option<&str> {
    let inner = key.start + 1..key.end.checked_sub(1)?;
    text.get(inner).filter(|_| !escaped)
}

/// The fields of the object that a text is, in order, doubles and all; `None` where it is not one JSON object, or nested deeper
/// than [`MAX_DEPTH`]. Of more than [`MOST_FIELDS`] fields, one more than that are returned.
pub(crate) fn fields(text: &str) -> Option<Vec<Entry>> {
    let mut entries = Vec::with_capacity(12);
    each(text, |entry| {
        if entries.len() <= MOST_FIELDS {
            entries.push(entry);
        }
    })?;
    Some(entries)
}

/// Tells the fields of an object in order, as [`fields`] returns them, but all of them. What was told before it turned out to be none
/// is void.
pub(crate) fn each(text: &str, tell: impl FnMut(Entry)) -> Option<()> {
    each_watching(text, &[], tell).map(|_| ())
}

/// The same, and whether an object below the outermost has a key of these: with their quotes, and written as they are here.
pub(crate) fn each_watching(
    text: &str,
    watched: &'static [&'static str],
    mut tell: impl FnMut(Entry),
) -> Option<bool> {
    let read = |scan: &mut Scan<'_>, key, escaped| {
        let value = scan.passed()?;
        tell(Entry {
            key,
            escaped,
            value,
        });
        Some(())
    };
    whole(text, |scan| {
        scan.watched = watched;
        scan.members(read)?;
        Some(scan.watched.len() < watched.len())
    })
}

/// Reads a text that is one object. Each field is `read` by whoever is told its key, with its quotes, and whether that is written with
/// escapes: it has to pass the value, all of it.
pub(crate) fn object<'t>(
    text: &'t str,
    read: impl FnMut(&mut Scan<'t>, Range<usize>, bool) -> Option<()>,
) -> Option<()> {
    whole(text, |scan| scan.members(read))
}

/// Reads a text that is one value, which whoever is asked has to pass.
pub(crate) fn whole<'t, T>(
    text: &'t str,
    read: impl FnOnce(&mut Scan<'t>) -> Option<T>,
) -> Option<T> {
    let mut scan = Scan::of(text);
    scan.space();
    let value = read(&mut scan)?;
    scan.space();
    scan.is_done().then_some(value)
}

/// Tells where the items of a text that is one array lie, in order. What was told before it turned out to be none is void.
pub(crate) fn items(text: &str, mut tell: impl FnMut(Range<usize>) -> Option<()>) -> Option<()> {
    whole(text, |scan| scan.elements(|scan| tell(scan.passed()?)))
}

/// A place in a text that is being read.
pub(crate) struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
    /// How many objects it is within, of those that are read field by field.
    within: usize,
    /// Keys that are looked for; none any more when one was found.
    watched: &'static [&'static str],
}

impl<'t> Scan<'t> {
    fn of(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        Self {
            bytes,
            at: 0,
            within: 0,
            watched: &[],
        }
    }

    fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Reads an object that begins here, as [`object`] does.
    pub fn members(
        &mut self,
        mut read: impl FnMut(&mut Self, Range<usize>, bool) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(());
        }
        self.within += 1;
        loop {
            self.space();
            let start = self.at;
            self.expect(b'"')?;
            let escaped = self.string()?;
            let key = start..self.at;
            self.space();
            self.expect(b':')?;
            self.space();
            read(self, key, escaped)?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        self.within -= 1;
        Some(())
    }

    /// Reads an array that begins here: each element by whoever is asked, who has to pass it.
    pub fn elements(&mut self, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Some(());
        }
        self.within += 1;
        loop {
            self.space();
            read(self)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        self.within -= 1;
        Some(())
    }

    /// Passes a value, and says where it lies.
    pub fn passed(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.value()?;
        Some(start..self.at)
    }

    /// Passes an integer of at most so many digits; what is anything else is left where it is.
    pub fn integer(&mut self, most_digits: usize) -> Option<u64> {
        let start = self.at;
        let mut sum = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - start;
        let leads = digits > 1 && self.bytes.get(start) == Some(&b'0');
        let goes_on = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if digits == 0 || digits > most_digits || leads || goes_on {
            self.at = start;
            return None;
        }
        Some(sum)
    }

    /// Where it is; to come back to, when what follows was not as expected.
    pub fn place(&self) -> Place {
        let (at, within) = (self.at, self.within);
        Place { at, within }
    }

    /// Goes back to a place that was left.
    pub fn back(&mut self, place: Place) {
        (self.at, self.within) = (place.at, place.within);
    }
}

/// What [`Scan::back`] goes back to.
pub(crate) struct Place {
    at: usize,
    within: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes a value.
    fn value(&mut self) -> Option<()> {
        const { assert!(MAX_DEPTH <= u128::BITS as usize) };
        let deepest = MAX_DEPTH.saturating_sub(self.within);
        // One bit for each bracket that this value opened, set for an object.
        let mut open = 0u128;
        let mut depth = 0;
        loop {
            self.space();
            match self.next()? {
                b'"' => {
                    self.string()?;
                }
                bracket @ (b'{' | b'[') => {
                    if depth == deepest {
                        return None;
                    }
                    let object = bracket == b'{';
                    self.space();
                    if self.peek()? == if object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        depth += 1;
                        open = open << 1 | u128::from(object);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                digit @ (b'-' | b'0'..=b'9') => self.number(digit)?,
                _ => return None,
            }
            // A value has ended: brackets close, or the next one begins.
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.space();
                match (self.next()?, open & 1 == 1) {
                    (b',', true) => {
                        self.space();
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        depth -= 1;
                        open >>= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        let start = self.at;
        self.expect(b'"')?;
        self.string()?;
        if !self.watched.is_empty() {
            self.watch(start);
        }
        self.space();
        self.expect(b':')
    }

    /// Looks whether a key that begins there is one of those that are looked for.
    fn watch(&mut self, start: usize) {
        let key = self.bytes.get(start..self.at).unwrap_or_default();
        if self.watched.iter().any(|name| name.as_bytes() == key) {
            self.watched = &[];
        }
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let end = self.at + rest.len();
        let fits = self.bytes.get(self.at..end) == Some(rest);
        self.at = end;
        fits.then_some(())
    }

    /// Passes a number whose first byte is `first`.
    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        self.next()?.is_ascii_digit().then(|| self.digits())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// Passes a string whose first quote was passed; tells whether it holds an escape.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let rest = self.bytes.get(self.at..)?;
        let (words, _) = rest.as_chunks::<WORD>();
        for word in words.iter().take(SHORT / WORD) {
            match marks(u64::from_le_bytes(*word)) {
                0 => self.at += WORD,
                marks => {
                    self.at += first(marks);
                    if self.bytes.get(self.at) == Some(&b'"') {
                        self.at += 1;
                        return Some(false);
                    }
                    break;
                }
            }
        }
        self.long()
    }

    /// Passes the rest of a string that is long, or has something other than plain text here.
    fn long(&mut self) -> Option<bool> {
        let mut escaped = false;
        // Set where the first byte of a block belongs to an escape at the end of the one before. Where a block begins never hangs on what is
        // found in the one before, so that the processor looks at both at once: waiting took half as long again as looking.
        let mut taken = 0;
        let mut rest = self.bytes.get(self.at..)?;
        while let Some(window) = rest.first_chunk::<WINDOW>() {
            let mut marks = block::marks(window.first_chunk()?) & !taken;
            taken = 0;
            while marks != 0 {
                let at = marks.trailing_zeros() as usize;
                match window.get(at)? {
                    b'"' => {
                        self.at = self.bytes.len() - rest.len() + at + 1;
                        return Some(escaped);
                    }
                    b'\\' => escaped = true,
                    _ => return None,
                }
                if !is_letter(*window.get(at + 1)?) {
                    unit(window.get(at + 1..)?)?;
                }
                // What an escape stands for may itself be marked; the digits of a number are not.
                marks &= !(0b11 << at);
                taken = u64::from(at == BLOCK - 1);
            }
            rest = rest.get(BLOCK..)?;
        }
        self.at = self.bytes.len() - rest.len() + taken as usize;
        self.last(escaped)
    }

    /// The same, near the end of the whole text.
    fn last(&mut self, mut escaped: bool) -> Option<bool> {
        loop {
            self.at += plain(self.bytes.get(self.at..)?);
            match self.next()? {
                b'"' => return Some(escaped),
                b'\\' => escaped = true,
                _ => return None,
            }
            if !is_letter(self.next()?) {
                self.at -= 1;
                unit(self.bytes.get(self.at..)?)?;
                self.at += UNIT;
            }
        }
    }
}

/// Stands behind a backslash for one character.
#[inline]
fn is_letter(byte: u8) -> bool {
    LETTERS.get(usize::from(byte)) == Some(&true)
}

/// A table, since of comparisons the compiler makes a jump to a place for each letter.
#[expect(
    clippy::indexing_slicing,
    reason = "reckoned by the compiler, within the length"
)]
static LETTERS: [bool; 256] = {
    let letters = b"\"\\/bfnrt";
    let (mut table, mut at) = ([false; 256], 0);
    while at < letters.len() {
        table[letters[at] as usize] = true;
        at += 1;
    }
    table
};

/// Whether what follows a backslash is the number of a character.
fn unit(rest: &[u8]) -> Option<()> {
    let (letter, digits) = rest.get(..UNIT)?.split_first()?;
    (*letter == b'u' && digits.iter().all(u8::is_ascii_hexdigit)).then_some(())
}

/// The length of `u` and four digits.
const UNIT: usize = 5;
/// A block, and what an escape at its end may have behind it.
const WINDOW: usize = BLOCK + 8;
const WORD: usize = 8;
/// Most strings are short: only what is longer pays for a look that takes more to begin than to go on.
const SHORT: usize = 32;

/// How many bytes come before a quote, a backslash or a control character.
#[inline]
pub(crate) fn plain(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<WORD>();
    let mut at = 0;
    for word in words {
        match marks(u64::from_le_bytes(*word)) {
            0 => at += WORD,
            marks => return at + first(marks),
        }
        if at == 2 * SHORT {
            return at + plain_long(bytes.get(at..).unwrap_or_default());
        }
    }
    let special = |b: &u8| *b == b'"' || *b == b'\\' || *b < b' ';
    at + tail.iter().position(special).unwrap_or(tail.len())
}

/// Tells each quote, backslash and control character of a text, and where it is.
#[inline]
pub(crate) fn specials(bytes: &[u8], mut tell: impl FnMut(usize, u8)) {
    let (blocks, tail) = bytes.as_chunks();
    let mut begins = 0;
    for block in blocks {
        let mut marks = block::marks(block);
        while marks != 0 {
            let at = marks.trailing_zeros() as usize;
            if let Some(special) = block.get(at) {
                tell(begins + at, *special);
            }
            marks &= marks - 1;
        }
        begins += BLOCK;
    }
    let mut rest = tail;
    while let Some((special, behind)) = rest.get(plain(rest)..).and_then(<[u8]>::split_first) {
        tell(bytes.len() - behind.len() - 1, *special);
        rest = behind;
    }
}

/// Bytes of a long text that are looked at together.
const PIECE: usize = 1024;

fn plain_long(bytes: &[u8]) -> usize {
    let mut at = 0;
    // In pieces, so that what is near is found without a look at all that is behind it: whoever writes a text asks once for each of its lines.
    for piece in bytes.chunks(PIECE) {
        let end = memchr::memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
        let run = piece.get(..end).unwrap_or_default();
        // Without an early end this is a few vector instructions for many bytes.
        let control = run.iter().fold(0, |any, b| any | u8::from(*b < b' '));
        if control != 0 {
            return at + run.iter().position(|b| *b < b' ').unwrap_or(end);
        }
        at += end;
        if end < piece.len() {
            break;
        }
    }
    at
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. Right for the lowest such byte; bytes
/// above it may be marked falsely.
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    // This bit makes a space of a quote and the other way round, and leaves the control characters among themselves: so all that is
    // looked for but the backslash is what is not above the space.
    let quote_or_control = below(word ^ (ONES * 0x02), b' ' as u64 + 1);
    let backslash = below(word ^ (ONES * b'\\' as u64), 1);
    (quote_or_control | backslash) & HIGH
}

fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests;
