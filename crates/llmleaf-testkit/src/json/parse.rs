//! The reader itself: one pass over the bytes, recursive, bounded in depth.

use super::{ParseError, Value};

const DEPTH_LIMIT: usize = 512;

pub(super) fn document(text: &str) -> Result<Value, ParseError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blank();
    if reader.at < text.len() {
        return reader.fail("something follows the value");
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError { what, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        if depth > DEPTH_LIMIT {
            return self.fail("nested too deep");
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let (text, raw) = self.string()?;
                Ok(Value::String { text, raw })
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, ParseError> {
        let rest = &self.text[self.at..];
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.fail("no value here")
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return self.fail("a digit is missing");
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        let mut elements = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.take(b',') {
                return self.fail("neither , nor ] in an array");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        let mut members = Vec::new();
        self.blank();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return self.fail("no key here");
            }
            let (key, _) = self.string()?;
            self.blank();
            if !self.take(b':') {
                return self.fail("no : after a key");
            }
            members.push((key, self.value(depth + 1)?));
            self.blank();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return self.fail("neither , nor } in an object");
            }
        }
    }

    /// A string at its opening quote: the decoded text and the spelling.
    fn string(&mut self) -> Result<(String, String), ParseError> {
        self.at += 1;
        let start = self.at;
        let mut text = String::new();
        loop {
            let run = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            text.push_str(&self.text[run..self.at]);
            match self.peek() {
                Some(b'"') => {
                    let raw = self.text[start..self.at].to_owned();
                    self.at += 1;
                    return Ok((text, raw));
                }
                Some(b'\\') => self.escape(&mut text)?,
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("a string does not end"),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), ParseError> {
        self.at += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(text),
            _ => return self.fail("an unknown escape"),
        };
        self.at += 1;
        text.push(plain);
        Ok(())
    }

    fn unicode_escape(&mut self, text: &mut String) -> Result<(), ParseError> {
        let mut units = vec![self.code_unit()?];
        // A pair of surrogates is one character, so a run of escapes is decoded together.
        while self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            units.push(self.code_unit()?);
        }
        text.push_str(&String::from_utf16_lossy(&units));
        Ok(())
    }

    /// At the `u` of an escape: its four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u16, ParseError> {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return self.fail("four hexadecimal digits are missing");
        }
        self.at += 5;
        Ok(u16::from_str_radix(digits, 16).unwrap_or_default())
    }
}
