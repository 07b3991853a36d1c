//! What is asked of a program at its end: all that it tells operators.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Watch;

/// Paths for operators; a test holds that the program has no others.
pub const SURFACES: &[&str] = &[
    "/admin/routes",
    "/admin/health",
    "/admin/keys",
    "/admin/recent",
    "/metrics",
];

/// A program that bears a fault may not answer; then there is nothing to look into.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks for everything there is with that token and searches the answers. Returns how many there were.
pub(crate) fn ask_all(addr: SocketAddr, token: &str, watch: &Watch) -> usize {
    let mut answers = 0;
    for path in SURFACES {
        match ask(addr, path, token) {
            Some(bytes) if bytes.starts_with(b"HTTP/1.1 200") => {
                watch.look(path, &bytes);
                answers += 1;
            }
            // Neither plain HTTP nor well: the next would not be either.
            _ => break,
        }
    }
    answers
}

fn ask(addr: SocketAddr, path: &str, token: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let more = if path.ends_with("recent") {
        "?limit=1000"
    } else {
        ""
    };
    let request = format!(
        "GET {path}{more} HTTP/1.1\r\nhost: llmleaf.test\r\nconnection: close\r\nx-admin-token: {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    // What came before it took too long is looked into all the same.
    let _ = stream.read_to_end(&mut bytes);
    Some(bytes)
}
