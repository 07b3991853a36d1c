//! Parts of the test support as a program. So far one: `controller`, for those who write a controller of their own.

#![expect(clippy::print_stdout, reason = "what it is told is what it prints")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use llmleaf_testkit::controller::{Served, TOKEN};

const USAGE: &str = "llmleaf-testkit controller [--listen 127.0.0.1:9090] [--folder .]";

fn main() -> ExitCode {
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 9090));
    let mut folder = PathBuf::from(".");
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some("controller") {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    while let Some(word) = words.next() {
        let value = words.next();
        let understood = match (word.as_str(), value) {
            ("--listen", Some(value)) => value.parse().map(|parsed| listen = parsed).is_ok(),
            ("--folder", Some(value)) => {
                folder = value.into();
                true
            }
            _ => false,
        };
        if !understood {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    let served = Served::start(listen, folder);
    println!(
        "listening on {}; nodes send: authorization: Bearer {TOKEN}",
        served.addr()
    );
    for line in served.lines() {
        println!("{line}");
    }
    ExitCode::SUCCESS
}
