//! Files are sent on while they come: they cost no memory, whoever is slow slows the other, and whoever goes is followed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use llmleaf_testkit::binary::{Llmleaf, played};
use llmleaf_testkit::http::{Connection, End, Response};
use llmleaf_testkit::replay::{Gate, Replay, Script};
use llmleaf_testkit::stage::LONG;

pub const KEY: &str = "[[keys]]\nid = \"matrix\"\npw_hash = '$llk$sha256$BRAzf4gpbamV6RvI5rndWnZifSt1iT7HGoOeAkePAU0'\n";
pub const BEARER: &str = "Bearer llk_matrix_Vl9DkcwD6qKHX1ZsrErVV0gw0MpE9A";

/// A service that counts what it gets, and answers when it has all.
pub struct Sink {
    pub addr: SocketAddr,
    heard: Receiver<Heard>,
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Head(String),
    /// So many bytes of body so far.
    Body(usize),
    /// The connection ended before the body did.
    Gone,
}

impl Sink {
    pub fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                serve(stream, answer, &tell);
            }
        });
        Self { addr, heard }
    }

    fn next(&self) -> Heard {
        self.heard.recv_timeout(LONG).expect("something is heard")
    }

    /// Waits until so many bytes have come.
    pub fn wait(&self, bytes: usize) {
        loop {
            match self.next() {
                Heard::Body(came) if came >= bytes => return,
                Heard::Gone => panic!("the connection ended early"),
                _ => {}
            }
        }
    }
}

fn serve(mut stream: TcpStream, answer: &str, tell: &Sender<Heard>) {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break String::from_utf8_lossy(&bytes[..at + 4]).into_owned();
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    };
    let length: Option<usize> = (head.lines())
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|text| text.parse().ok());
    let mut came = bytes.len() - head.len();
    let mut tail = bytes[head.len()..].to_vec();
    let _ = tell.send(Heard::Head(head));
    loop {
        let _ = tell.send(Heard::Body(came));
        tail.drain(..tail.len().saturating_sub(5));
        if length.map_or(tail == b"0\r\n\r\n", |length| came >= length) {
            break;
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => {
                let _ = tell.send(Heard::Gone);
                return;
            }
            Ok(read) => {
                came += read;
                tail.extend_from_slice(&piece[read.saturating_sub(5)..read]);
            }
        }
    }
    let status = if answer.contains("error") {
        "500 No"
    } else {
        "200 OK"
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

/// The program in front of services at these addresses.
pub fn leaf(services: &[SocketAddr]) -> Llmleaf {
    let mut config =
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\ntries_per_target = 1\nmax_upload_bytes = 4294967296\n".to_owned();
    let mut targets = Vec::new();
    for (at, addr) in services.iter().enumerate() {
        config += &format!(
            "[[providers]]\nname = \"s{at}\"\nkind = \"openai\"\nendpoint = \"http://{addr}/v1\"\ncredential = \"k\"\n"
        );
        targets.push(format!(
            "{{ provider = \"s{at}\", model = \"named-there\" }}"
        ));
    }
    config += &format!(
        "[[routes]]\nmodel = \"m\"\ntargets = [{}]\n",
        targets.join(", ")
    );
    Llmleaf::with_config(played(env!("CARGO_BIN_EXE_llmleaf")), &(config + KEY)).start()
}

pub const BEFORE: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
pub const AFTER: &str = "\r\n--b--\r\n";
/// The longer name of the model there.
const LONGER: usize = "named-there".len() - "m".len();

/// Begins to send a form with a file of that length.
fn begin(leaf: &Llmleaf, file: usize) -> Connection {
    let mut connection = Connection::open(leaf.addr);
    let length = BEFORE.len() + file + AFTER.len();
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: {BEARER}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: {length}\r\n\r\n{BEFORE}"
    );
    connection.send(head.as_bytes());
    connection
}

fn send(connection: &mut Connection, bytes: usize) {
    let piece = vec![b'x'; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        connection.send(&piece[..now]);
        left -= now;
    }
}

fn upload(leaf: &Llmleaf, file: usize) -> Response {
    let mut connection = begin(leaf, file);
    send(&mut connection, file);
    connection.send(AFTER.as_bytes());
    connection.response()
}

#[test]
fn a_file_is_sent_on_before_all_of_it_is_there() {
    const FILE: usize = 3 << 20;
    let sink = Sink::start(&["{\"text\":\"heard\"}"]);
    let leaf = leaf(&[sink.addr]);
    let mut connection = begin(&leaf, FILE);
    send(&mut connection, FILE / 2);
    sink.wait(FILE / 3);
    send(&mut connection, FILE - FILE / 2);
    connection.send(AFTER.as_bytes());
    // The length is what the consumer says and the other name makes of it.
    sink.wait(BEFORE.len() + FILE + AFTER.len() + LONGER);
    let response = connection.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "{\"text\":\"heard\"}")
    );
}

#[test]
fn a1_a_consumer_that_goes_takes_its_upload_along() {
    const FILE: usize = 8 << 20;
    let sink = Sink::start(&["{}"]);
    let leaf = leaf(&[sink.addr]);
    let mut connection = begin(&leaf, FILE);
    send(&mut connection, FILE / 2);
    sink.wait(FILE / 4);
    drop(connection);
    while sink.next() != Heard::Gone {}
}

#[test]
fn another_target_is_tried_while_what_was_taken_is_held() {
    let good = "{\"text\":\"heard\"}";
    let bad = "{\"error\":{\"message\":\"no\"}}";
    // Nobody listens at the first: nothing was taken, however long the file is.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = closed.local_addr().expect("an address");
    drop(closed);
    let sink = Sink::start(&["{\"text\":\"heard\"}"]);
    let response = upload(&leaf(&[nobody, sink.addr]), 12 << 20);
    assert_eq!((response.status, response.text().as_str()), (200, good));
    assert_eq!(response.header("x-llmleaf-attempts"), Some("2"));
    for (file, served) in [(1 << 20, true), (6 << 20, false)] {
        let first = Sink::start(&["{\"error\":{\"message\":\"no\"}}"]);
        let second = Sink::start(&["{\"text\":\"heard\"}"]);
        let leaf = leaf(&[first.addr, second.addr]);
        let response = upload(&leaf, file);
        let text = response.text();
        assert_eq!(response.status == 200 && text == good, served, "{text}");
        if served {
            second.wait(BEFORE.len() + file);
        } else {
            assert!(
                response.status >= 500 && text != bad,
                "{} {text}",
                response.status
            );
            assert!(
                second.heard.try_recv().is_err(),
                "it has nothing to be sent"
            );
        }
    }
}

/// How long a long file is.
pub fn mebibytes() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long is said by whoever runs the tests"
    )]
    let said = std::env::var("LLMLEAF_UPLOAD_MIB");
    said.map_or(24, |text| text.parse().expect("a number"))
}

#[test]
fn a7_a_long_file_costs_no_memory() {
    let mebibytes = mebibytes();
    let file = mebibytes << 20;
    let sink = Sink::start(&["{\"text\":\"a\"}", "{\"text\":\"b\"}"]);
    let leaf = leaf(&[sink.addr]);
    assert_eq!(upload(&leaf, 1 << 20).status, 200);
    sink.wait(1 << 20);
    let before = leaf.resident_kib().expect("a size");
    let mut connection = begin(&leaf, file);
    let mut most = 0;
    for _ in 0..8 {
        send(&mut connection, file / 8);
        most = most.max(leaf.resident_kib().expect("a size"));
    }
    connection.send(AFTER.as_bytes());
    let response = connection.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "{\"text\":\"b\"}")
    );
    let grown = most.saturating_sub(before);
    eprintln!("{mebibytes} MiB: {grown} KiB above idle");
    assert!(grown < 8 << 10, "{grown} KiB for {mebibytes} MiB");
}

#[test]
fn sound_goes_on_before_its_provider_has_finished() {
    let replay = Replay::start();
    let leaf = leaf(&[replay.addr]);
    let gate = Gate::new();
    let sound = vec![7u8; 100_000];
    let script = Script::body(200, "audio/mpeg", sound.clone()).hold_at(10_000, &gate);
    replay.push(script);
    let body = r#"{"model":"m","input":"hello","voice":"alloy"}"#;
    let mut connection = Connection::open(leaf.addr);
    let head = [
        ("authorization", BEARER),
        ("content-type", "application/json"),
    ];
    connection.send(&llmleaf_testkit::http::request(
        "POST",
        "/v1/audio/speech",
        &head,
        body.as_bytes(),
    ));
    let begun = connection.read_body(10_000);
    assert_eq!(
        (begun.status, begun.end, begun.body.len()),
        (200, End::Open, 10_000)
    );
    gate.release();
    let response = connection.response();
    assert_eq!(response.body, sound);
    assert_eq!(response.header("content-type"), Some("audio/mpeg"));
    // A sound that breaks off does not end well.
    replay.push(Script::body(200, "audio/mpeg", sound).close_at(10_000));
    let mut connection = Connection::open(leaf.addr);
    connection.send(&llmleaf_testkit::http::request(
        "POST",
        "/v1/audio/speech",
        &head,
        body.as_bytes(),
    ));
    let cut = connection.response();
    assert!(matches!(cut.end, End::Cut | End::Reset), "{:?}", cut.end);
}
