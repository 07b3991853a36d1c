//! `llmleaf hash-password` and `llmleaf key new`: what an operator pastes, and what a consumer sends.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmleaf_auth::{NewKey, hash_password as hash};

use super::Exit;
use crate::out;

/// Longest input, in bytes: far over any password, and no file by mistake.
const MAX_INPUT: u64 = 4096;

/// Reads a password from standard input.
pub(crate) fn hash_password(id: &str) -> Exit {
    let mut input = String::new();
    let stdin = std::io::stdin().lock();
    if stdin.take(MAX_INPUT).read_to_string(&mut input).is_err() {
        out::error("llmleaf: standard input is not UTF-8 text\n");
        return Exit::Usage;
    }
    let password = without_newline(&input);
    if id.is_empty() || id.contains(':') {
        out::error("llmleaf: an id holds at least one character and no colon\n");
        return Exit::Usage;
    }
    match hash(password) {
        Ok(hash) => out::print(&password_block(id, password, &hash)),
        Err(why) => {
            out::error(&format!("llmleaf: {why}\n"));
            Exit::Usage
        }
    }
}

/// Makes a random key.
pub(crate) fn new(id: &str) -> Exit {
    match NewKey::generate(id) {
        Ok(key) => out::print(&key_block(id, key.credential.expose(), &key.stored_hash)),
        Err(why) => {
            out::error(&format!("llmleaf: {why}\n"));
            Exit::Usage
        }
    }
}

/// `echo`, and the return key, add a line break that is no part of the password. One, not all: a password
/// may end in any other character.
fn without_newline(input: &str) -> &str {
    let input = input.strip_suffix('\n').unwrap_or(input);
    input.strip_suffix('\r').unwrap_or(input)
}

fn password_block(id: &str, password: &str, hash: &str) -> String {
    let bearer = STANDARD.encode(format!("{id}:{password}"));
    format!(
        "{hash}\n\n{}\n# The consumer sends (keep it secret):\n#   Authorization: Bearer {bearer}\n",
        table(id, hash)
    )
}

fn key_block(id: &str, credential: &str, hash: &str) -> String {
    format!(
        "{}\n# The consumer sends this; it is shown only now (keep it secret):\n#   Authorization: Bearer {credential}\n",
        table(id, hash)
    )
}

/// The lines to paste. Everything that is not the table is a comment, so that all of it can be pasted.
fn table(id: &str, hash: &str) -> String {
    format!("[[keys]]\nid = {}\npw_hash = '{hash}'\n", toml_string(id))
}

fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use llmleaf_auth::PasswordHash;
    use llmleaf_config::Config;

    use super::*;

    fn parsed(text: &str) -> Config {
        Config::parse(text, "pasted.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"))
    }

    #[test]
    fn one_line_break_at_the_end_is_not_the_password() {
        for (input, password) in [
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("pw\n\n", "pw\n"),
            (" pw ", " pw "),
        ] {
            assert_eq!(without_newline(input), password, "{input:?}");
        }
    }

    #[test]
    fn a_hashed_password_pastes_as_it_is_printed() {
        let hashed = hash("open sesame").expect("hashes");
        let text = password_block("ali \"baba\"", "open sesame", &hashed);
        // The first line is the bare hash, for those who keep it elsewhere.
        let (first, rest) = text.split_once('\n').expect("lines");
        assert_eq!(first, hashed);
        assert!(rest.contains("Authorization: Bearer "));
        let id = "[[keys]]\nid = \"ali \\\"baba\\\"\"";
        assert!(rest.contains(id), "{rest}");
        let config =
            parsed(&password_block("ali", "open sesame", &hashed).replacen(&hashed, "", 1));
        let stored = PasswordHash::parse(config.keys[0].pw_hash.expose()).expect("a hash");
        assert!(stored.verify(b"open sesame"));
    }

    #[test]
    fn a_new_key_pastes_as_it_is_printed() {
        let key = NewKey::generate("team-a").expect("a key");
        let config = parsed(&key_block(
            "team-a",
            key.credential.expose(),
            &key.stored_hash,
        ));
        assert_eq!(config.keys[0].id, "team-a");
        let stored = PasswordHash::parse(config.keys[0].pw_hash.expose()).expect("a hash");
        assert!(stored.verify(key.credential.expose().as_bytes()));
    }
}
