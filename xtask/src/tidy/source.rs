//! The little of Rust's grammar that the rules need: what is a comment, what is a string, what is a test module.
//!
//! Masks keep every line where it was, so a line number in a mask is one in the file.

/// One Rust file, read.
#[derive(Debug)]
pub struct Source {
    /// Code alone: comments and the insides of strings are blank.
    code: String,
    /// Code and strings: comments are blank.
    speech: String,
    /// Modules under `#[cfg(test)]`.
    pub tests: Vec<TestModule>,
}

/// A module that exists in tests only.
#[derive(Debug, PartialEq, Eq)]
pub struct TestModule {
    pub name: String,
    /// First and last line, counted from 1; `None` when it is a file of its own.
    pub lines: Option<(usize, usize)>,
}

impl Source {
    /// Reads a file's text.
    pub fn new(text: &str) -> Self {
        let (code, speech) = Masker::run(text);
        let tests = test_modules(&code);
        Self {
            code,
            speech,
            tests,
        }
    }

    /// Lines of code outside test modules: no comments, strings empty.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.outside_tests(&self.code)
    }

    /// The same with the strings in place.
    pub fn speech_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.outside_tests(&self.speech)
    }

    fn outside_tests<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        numbered(text).filter(|(number, _)| {
            let mut ranges = self.tests.iter().filter_map(|module| module.lines);
            !ranges.any(|(first, last)| (first..=last).contains(number))
        })
    }
}

/// A text's lines, counted from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// Walks the characters once and writes both masks.
struct Masker {
    chars: Vec<char>,
    at: usize,
    code: String,
    speech: String,
}

/// Which masks a character shows in.
#[derive(Clone, Copy)]
enum Part {
    Code,
    Text,
    Comment,
}

impl Masker {
    fn run(text: &str) -> (String, String) {
        let mut masker = Self {
            chars: text.chars().collect(),
            at: 0,
            code: String::with_capacity(text.len()),
            speech: String::with_capacity(text.len()),
        };
        while let Some(char) = masker.peek(0) {
            match (char, masker.peek(1)) {
                ('/', Some('/')) => masker.line_comment(),
                ('/', Some('*')) => masker.block_comment(),
                ('"', _) => masker.string(),
                ('\'', _) => masker.quote(),
                ('r', _) => match masker.raw_hashes() {
                    Some(hashes) => masker.raw_string(hashes),
                    None => masker.emit(1, Part::Code),
                },
                _ => masker.emit(1, Part::Code),
            }
        }
        (masker.code, masker.speech)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn emit(&mut self, count: usize, part: Part) {
        for _ in 0..count {
            let Some(char) = self.peek(0) else { return };
            let blank = if char == '\n' { '\n' } else { ' ' };
            let (code, speech) = match part {
                Part::Code => (char, char),
                Part::Text => (blank, char),
                Part::Comment => (blank, blank),
            };
            self.code.push(code);
            self.speech.push(speech);
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|char| char != '\n') {
            self.emit(1, Part::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.emit(2, Part::Comment);
                }
                (Some('*'), Some('/')) => {
                    depth = depth.saturating_sub(1);
                    self.emit(2, Part::Comment);
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.emit(1, Part::Comment),
                (None, _) => return,
            }
        }
    }

    fn string(&mut self) {
        self.emit(1, Part::Code);
        loop {
            match self.peek(0) {
                Some('\\') => self.emit(2, Part::Text),
                Some('"') => return self.emit(1, Part::Code),
                Some(_) => self.emit(1, Part::Text),
                None => return,
            }
        }
    }

    /// A character literal, or the tick of a lifetime.
    fn quote(&mut self) {
        self.emit(1, Part::Code);
        if self.peek(0) == Some('\\') {
            self.emit(2, Part::Text);
            while self
                .peek(0)
                .is_some_and(|char| char != '\'' && char != '\n')
            {
                self.emit(1, Part::Text);
            }
            self.emit(1, Part::Code);
        } else if self.peek(1) == Some('\'') {
            self.emit(1, Part::Text);
            self.emit(1, Part::Code);
        }
    }

    /// How many `#` a raw string that starts here has; `None` when this `r` starts none.
    fn raw_hashes(&self) -> Option<usize> {
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .and_then(|at| self.chars.get(at))
                .copied()
                .filter(|char| char.is_alphanumeric() || *char == '_')
        };
        let starts_word = match before(1) {
            None => true,
            Some('b' | 'c') => before(2).is_none(),
            Some(_) => false,
        };
        let mut hashes = 0;
        while self.peek(1 + hashes) == Some('#') {
            hashes += 1;
        }
        (starts_word && self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) {
        self.emit(2 + hashes, Part::Code);
        while let Some(char) = self.peek(0) {
            let closes = char == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                return self.emit(1 + hashes, Part::Code);
            }
            self.emit(1, Part::Text);
        }
    }
}

fn test_modules(code: &str) -> Vec<TestModule> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut modules = Vec::new();
    for (start, _) in code.match_indices(ATTRIBUTE) {
        let (before, rest) = code.split_at(start);
        let first = 1 + newlines(before);
        let item = past_attributes(rest);
        let Some(after_mod) = past_visibility(item).strip_prefix("mod ") else {
            continue;
        };
        let Some(end) = after_mod.find([';', '{']) else {
            continue;
        };
        let (name, body) = after_mod.split_at(end);
        let lines = body.starts_with('{').then(|| {
            let skipped = rest.len() - body.len();
            let length = skipped + block_length(body);
            let module = rest.get(..length).unwrap_or(rest);
            (first, first + newlines(module))
        });
        modules.push(TestModule {
            name: name.trim().to_owned(),
            lines,
        });
    }
    modules
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

fn past_attributes(item: &str) -> &str {
    let mut rest = item.trim_start();
    while rest.starts_with("#[") {
        let Some((_, after)) = rest.split_once(']') else {
            return rest;
        };
        rest = after.trim_start();
    }
    rest
}

fn past_visibility(item: &str) -> &str {
    let Some(rest) = item.strip_prefix("pub") else {
        return item;
    };
    let rest = match rest.strip_prefix('(').and_then(|open| open.split_once(')')) {
        Some((_, after)) => after,
        None => rest,
    };
    rest.trim_start()
}

/// Bytes from the opening brace to its closing one.
fn block_length(body: &str) -> usize {
    let mut depth = 0_usize;
    for (at, char) in body.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    body.len()
}
