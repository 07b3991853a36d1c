//! Real exchanges, read from the folder beside the repository.

use llmleaf_testkit::recordings;
use serde_json::Value;
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

/// One exchange.
pub struct Exchange {
    pub id: String,
    pub wire: String,
    /// The request body as text, key order kept; `None` where it was not published.
    pub request: Option<String>,
    pub status: u16,
    /// A stream's text.
    pub sse: Option<String>,
    /// A whole body.
    pub body: Option<String>,
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    id: String,
    wire: String,
    #[serde(borrow)]
    request_body: &'a RawValue,
    #[serde(borrow)]
    response: Reply<'a>,
}

#[derive(serde::Deserialize)]
struct Reply<'a> {
    status: u16,
    sse: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Every exchange of the named wires; empty, and said so, where the folder is absent.
pub fn of(test: &str, wires: &[&str]) -> Vec<Exchange> {
    let Some(root) = recordings::folder() else {
        println!("skipped: {test}: no recordings beside the repository");
        return Vec::new();
    };
    let mut out = Vec::new();
    for file in files(&root) {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let line: Line<'_> = serde_json::from_str(line).unwrap();
            if wires.contains(&line.wire.as_str()) {
                out.push(exchange(line));
            }
        }
    }
    assert!(!out.is_empty(), "no recordings of {wires:?}");
    println!("{test}: {} exchanges", out.len());
    out
}

fn exchange(line: Line<'_>) -> Exchange {
    let request = line.request_body.get();
    Exchange {
        id: line.id,
        wire: line.wire,
        request: request.starts_with('{').then(|| request.to_owned()),
        status: line.response.status,
        sse: line.response.sse,
        body: line.response.body.map(|b| b.get().to_owned()),
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            for file in std::fs::read_dir(folder).unwrap() {
                let file = file.unwrap().path();
                if file.extension().is_some_and(|e| e == "jsonl") {
                    out.push(file);
                }
            }
        }
    }
    out.sort();
    out
}

/// True where two JSON texts say the same.
pub fn same(a: &str, b: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    read(a) == read(b)
}
