//! I-8: no credential gets out, in any spelling, but to whom it is for.

use std::fmt::Write as _;

use super::{Evidence, Invariant, Report};

/// What is shorter than this is found in any text.
pub(crate) const SHORTEST: usize = 8;

/// Something that may be told to nobody, in every spelling that is looked for.
#[derive(Clone, Debug)]
pub struct Secret {
    /// What it is, for a message: the secret itself is not shown.
    pub name: String,
    forms: Vec<String>,
}

impl Secret {
    /// A secret and its spellings: as it is, in base64 at any offset, in hexadecimal of both cases, percent-encoded, and its
    /// first eight characters.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Secret::with_start(name, text, SHORTEST)
    }

    /// The same, where the first characters are no secret by themselves: so many are.
    pub(crate) fn with_start(name: &str, text: &str, start: usize) -> Self {
        let mut forms = vec![text.to_owned(), percent(text)];
        let hex = hex(text);
        forms.push(hex.to_uppercase());
        forms.push(hex);
        for lead in 0..3 {
            forms.extend(base64_within(text.as_bytes(), lead));
        }
        forms.push(text.chars().take(start).collect());
        // One that is short proves nothing.
        forms.retain(|form| form.len() >= SHORTEST);
        Secret {
            name: name.to_owned(),
            forms,
        }
    }

    /// Its spellings, each of at least [`SHORTEST`] bytes.
    pub(crate) fn forms(&self) -> &[String] {
        &self.forms
    }

    /// The spelling that a text has of it.
    fn found_in(&self, text: &str) -> Option<&str> {
        let mut forms = self.forms.iter();
        forms
            .find(|form| text.contains(form.as_str()))
            .map(String::as_str)
    }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            // As above.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The characters that base64 of any text has wherever these bytes stand in it behind `lead` others, modulo three: in both
/// alphabets.
fn base64_within(bytes: &[u8], lead: usize) -> [String; 2] {
    let padded: Vec<u8> = std::iter::repeat_n(0, lead)
        .chain(bytes.iter().copied())
        .collect();
    let alphabet = |last: [u8; 2]| {
        let digits = (b'A'..=b'Z')
            .chain(b'a'..=b'z')
            .chain(b'0'..=b'9')
            .chain(last);
        digits.map(char::from).collect::<Vec<char>>()
    };
    // Sextets that hold bits of the bytes alone.
    let first = (lead * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    let sextet = |at: usize| {
        let bit = |place: usize| usize::from(padded[place / 8] >> (7 - place % 8) & 1);
        (at * 6..at * 6 + 6).fold(0, |value, place| value << 1 | bit(place))
    };
    [*b"+/", *b"-_"].map(|end| {
        let digits = alphabet(end);
        (first..last).map(|at| digits[sextet(at)]).collect()
    })
}

pub(super) fn check(evidence: &Evidence, report: &mut Report) {
    const I: Invariant = Invariant::Secrets;
    let mut scan = |text: &str, place: &str| {
        for secret in &evidence.secrets {
            let found = secret.found_in(text);
            report.expect(found.is_none(), I, place, || {
                format!(
                    "{} as a form of {} characters",
                    secret.name,
                    found.map_or(0, str::len)
                )
            });
        }
    };
    for exchange in &evidence.exchanges {
        for (name, value) in &exchange.response.headers {
            scan(value, &format!("{}, header {name}", exchange.id));
        }
        let body = String::from_utf8_lossy(&exchange.response.body);
        scan(&body, &format!("{}, body", exchange.id));
    }
    for line in evidence.records.iter().chain(&evidence.log) {
        scan(line, "the log");
    }
    for attempt in &evidence.attempts {
        let request = &attempt.answer.request;
        let own = &attempt.credential;
        let place = format!("a request to {}", attempt.provider);
        scan(&request.path, &place);
        scan(&String::from_utf8_lossy(&request.body), &place);
        for (name, value) in &request.headers {
            let name = name.to_ascii_lowercase();
            let carries = matches!(
                name.as_str(),
                "authorization" | "x-api-key" | "x-goog-api-key"
            );
            // Its own credential, in the header that is for it and nothing else in that.
            if !(carries && value.trim_start_matches("Bearer ") == own) {
                scan(value, &format!("{place}, header {name}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn every_spelling_is_found_wherever_it_stands() {
        let secret = Secret::new("a key", "sk-canary/Zx81?first");
        for text in [
            "a sk-canary/Zx81?first z",
            "sk-canar",
            "key=sk%2Dcanary%2FZx81%3Ffirst",
            "736b2d63616e6172792f5a7838313f6669727374",
            // base64 of the secret behind nothing, `x` and `xy`.
            "c2stY2FuYXJ5L1p4ODE/Zmlyc3Q=",
            "eHNrLWNhbmFyeS9aeDgxP2ZpcnN0",
            "eHlzay1jYW5hcnkvWng4MT9maXJzdA==",
        ] {
            assert!(secret.found_in(text).is_some(), "{text}");
        }
        assert_eq!(secret.found_in("sk-canap and c2stY2FuYXA="), None);
    }
}
