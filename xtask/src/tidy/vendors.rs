//! The gateway names no provider: vendors live in dialects, providers, config, recordings, docs and tests.
//!
//! Comments may name one, to cite a source. Identifiers, strings and paths of the crates below may not.

use super::Violation;
use super::tree::Tree;

const NAMELESS: &[&str] = &[
    "llmleaf-model",
    "llmleaf-framing",
    "llmleaf-route",
    "llmleaf-auth",
    "llmleaf-mint",
    "llmleaf-transport",
    "llmleaf-exchange",
    "llmleaf-server",
];

/// Names that are no part of another word: found anywhere, in any case.
const DISTINCT: &[&str] = &[
    "openai",
    "anthropic",
    "claude",
    "gemini",
    "openrouter",
    "requesty",
    "groq",
    "deepseek",
    "mistral",
    "perplexity",
    "cerebras",
    "deepinfra",
    "moonshot",
    "azure",
    "ollama",
    "lmstudio",
    "bedrock",
];

/// Short names: found as a whole word, or as a part between `_`, `-` or a change of case.
const WHOLE: &[&str] = &[
    "xai", "zai", "glm", "gpt", "grok", "kimi", "cohere", "vertex",
];

/// English words too: found only as a whole string literal.
const QUOTED: &[&str] = &["\"together\"", "\"fireworks\""];

/// What a crate may say all the same, and why: consumers reach the surface under these base URLs, so that an SDK works by
/// changing nothing else.
const ALLOWED: &[(&str, &str)] = &[
    ("llmleaf-server", "\"/openai"),
    ("llmleaf-server", "\"/anthropic"),
    ("llmleaf-server", "\"/cohere"),
    ("llmleaf-server", "\"/ollama"),
    ("llmleaf-server", "\"/mistral"),
    // A header that tells one wire's consumers from the others.
    ("llmleaf-server", "\"anthropic-version\""),
];

/// Code that writes documentation: it links to the references of the wires it describes.
const DESCRIBES: &[&str] = &[
    "crates/llmleaf-server/src/openapi.rs",
    "crates/llmleaf-server/src/openapi/",
];

/// Wires that are known by the name of who made them: as a dialect's name, they are no vendor's.
const DIALECTS: &[&str] = &[
    "CohereChat",
    "cohere_chat",
    "OllamaChat",
    "ollama_chat",
    "OllamaGenerate",
    "ollama_generate",
];

/// Looks at the production code of the nameless crates.
pub fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for (file, source) in tree.production() {
        let Some(name) = file.crate_name().filter(|name| NAMELESS.contains(name)) else {
            continue;
        };
        if DESCRIBES.iter().any(|path| file.path.starts_with(path)) {
            continue;
        }
        if let Some(vendor) = vendor_in(&file.path) {
            found.push(Violation::new(&file.path, 0, message(name, vendor)));
        }
        for (number, line) in source.speech_lines() {
            if let Some(vendor) = vendor_in(&without_allowed(name, line)) {
                found.push(Violation::new(&file.path, number, message(name, vendor)));
            }
        }
    }
}

fn without_allowed(name: &str, line: &str) -> String {
    let own = ALLOWED.iter().filter(|(whose, _)| *whose == name);
    let phrases = own.map(|(_, phrase)| phrase).chain(DIALECTS);
    phrases.fold(line.to_owned(), |line, phrase| line.replace(phrase, ""))
}

fn message(name: &str, vendor: &str) -> String {
    format!(
        "{name} names the vendor {vendor}: name the phenomenon, or move it to dialects or providers"
    )
}

fn vendor_in(line: &str) -> Option<&'static str> {
    let lower = line.to_lowercase();
    let distinct = DISTINCT.iter().find(|name| lower.contains(**name));
    let quoted = || QUOTED.iter().find(|name| lower.contains(**name));
    let whole = || {
        let words = words(line);
        WHOLE
            .iter()
            .find(|name| words.iter().any(|word| word == *name))
    };
    distinct
        .or_else(quoted)
        .or_else(whole)
        .map(|name| name.trim_matches('"'))
}

/// The words of a line, lower-cased: `XaiKey_zai` is `xai`, `key`, `zai`.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for char in line.chars() {
        if !char.is_alphanumeric() || (char.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if char.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(char.to_lowercase());
        }
        was_lower = char.is_lowercase();
    }
    words
}
