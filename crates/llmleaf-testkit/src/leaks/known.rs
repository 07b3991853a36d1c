//! Where secrets are read from: the text of a configuration with what it refers to, and the heads of requests.

/// Keys of a configuration whose values are secrets.
const KEYS: &[&str] = &[
    "credential",
    "credentials",
    "admin_token",
    "token",
    "batch_id_secret",
    "batch_id_secret_previous",
    "client_secret",
    "password",
    "secret",
    "api_key",
];

/// Headers whose values are credentials, in lower case.
const HEADERS: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-admin-token",
    "x-node-token",
];

/// Longest head that is looked at.
const MAX_HEAD: usize = 16 * 1024;

/// The secrets of a configuration, with what they are; `env` and `file` resolve references.
pub(crate) fn in_config(
    config: &str,
    env: impl Fn(&str) -> Option<String>,
    file: impl Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for key in KEYS {
        for value in values(config, key) {
            let text = match value.split_once(':') {
                Some(("env", name)) => env(name),
                Some(("file", path)) => file(path),
                _ => Some(value.clone()).filter(|text| !text.starts_with('$')),
            };
            for text in text.iter() {
                let inner = in_text(text);
                // A key file is many lines of which the first are the same in all of them.
                match inner.is_empty() && !text.contains("-----BEGIN") {
                    true => all.push(((*key).to_owned(), text.clone())),
                    false => all.extend(inner),
                }
            }
        }
    }
    all.extend(in_text(config));
    all
}

/// The strings that stand behind a key, one or a list.
fn values(config: &str, key: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, _) in config.match_indices(key) {
        let before = config[..at].chars().next_back();
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '#';
        if before.is_some_and(part) {
            continue;
        }
        let rest = config[at + key.len()..].trim_start_matches(['"', ' ']);
        let Some(rest) = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':')) else {
            continue;
        };
        let rest = rest.trim_start();
        match rest.strip_prefix('[') {
            Some(list) => {
                let list = list.split(']').next().unwrap_or_default();
                all.extend(list.split(',').filter_map(|one| quoted(one.trim_start())));
            }
            None => all.extend(quoted(rest)),
        }
    }
    all
}

fn quoted(text: &str) -> Option<String> {
    let end = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text[1..].split(end).next()?;
    Some(inner.to_owned())
}

/// A line of each private key in a text.
pub(crate) fn in_text(text: &str) -> Vec<(String, String)> {
    const MARK: &str = "PRIVATE KEY-----";
    let behind = text
        .split("-----BEGIN ")
        .skip(1)
        .filter_map(|rest| rest.split_once(MARK));
    let keys = behind.filter_map(|(_, rest)| {
        let lines = rest.split("-----END").next()?.split(['\n', '\\']);
        // The first says of which kind the key is; a short key has one line, whose beginning does.
        let lines: Vec<&str> = lines
            .map(|line| line.trim_start_matches('n').trim())
            .filter(|line| line.len() >= 24)
            .collect();
        let line = lines.get(1).or(lines.first())?;
        let from = if lines.len() > 1 { 0 } else { line.len() - 24 };
        Some(("a private key".to_owned(), line.get(from..)?.to_owned()))
    });
    keys.collect()
}

/// The credentials that a request brings, where the bytes begin one.
pub(crate) fn sent(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let head = &bytes[..bytes.len().min(MAX_HEAD)];
    let end = head.windows(4).position(|four| four == b"\r\n\r\n");
    let Ok(text) = std::str::from_utf8(&head[..end.unwrap_or(head.len())]) else {
        return Vec::new();
    };
    let lines = text.split("\r\n").skip(1);
    let found = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        let name = HEADERS.iter().find(|known| **known == name)?;
        let value = value.trim();
        let bare = match value.split_once(' ') {
            Some((scheme, bare)) if !scheme.is_empty() => bare.trim(),
            _ => value,
        };
        Some((*name, bare.to_owned()))
    });
    found.collect()
}
