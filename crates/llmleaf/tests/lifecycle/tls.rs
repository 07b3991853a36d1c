//! TLS on the listener.

use std::io::Read as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llmleaf_testkit::http::{Connection, End, get};
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Setup, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::crypto::{Authority, Pair, connect, run};
use super::{answer, stage};

fn with_tls(pair: &Pair, more: &str) -> Setup {
    stage()
        .server(&format!(
            "tls = {{ cert = \"cert.pem\", key = \"key.pem\"{more} }}"
        ))
        .file("cert.pem", &pair.cert)
        .file("key.pem", &pair.key)
}

/// Asks over a TLS connection of its own, by HTTP/1.1, and reads to the end.
async fn ask(stage: &Stage, addr: SocketAddr, ca: &str) -> std::io::Result<String> {
    let mut stream = connect(addr, ca, &["http/1.1"]).await?;
    let body = Wire::Chat.request("chat", true);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        stage.bearer(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[test]
fn both_protocols_are_spoken_inside_tls() {
    let authority = Authority::new();
    let stage = with_tls(&authority.signs("127.0.0.1"), "").start();
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    run(async {
        let text = ask(&stage, stage.leaf.addr, &authority.pem).await;
        let text = text.expect("an answer and a proper end");
        assert!(text.contains("answer") && text.contains("[DONE]"), "{text}");

        let stream = connect(stage.leaf.addr, &authority.pem, &["h2", "http/1.1"]).await;
        let stream = stream.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .expect("HTTP/2");
        #[expect(
            clippy::disallowed_methods,
            reason = "a consumer of its own, not the product"
        )]
        tokio::spawn(async {
            // Its end is seen by the request on it.
            let _ = connection.await;
        });
        let body = Full::new(Bytes::from(Wire::Chat.request("chat", true)));
        let request =
            http::Request::post(format!("https://{}/v1/chat/completions", stage.leaf.addr))
                .header("authorization", stage.bearer())
                .body(body)
                .expect("a request");
        let response = sender.send_request(request).await.expect("a response");
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("[DONE]"));
    });
    // Plain HTTP gets no answer there.
    let mut plain = Connection::open(stage.leaf.addr);
    plain.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!String::from_utf8_lossy(&plain.drain().0).contains("HTTP/1.1 200"));
}

#[test]
fn plain_http_may_stand_beside_it_also_where_only_ipv6_is() {
    let authority = Authority::new();
    let pair = authority.signs("::1");
    let stage = with_tls(&pair, ", listen = \"[::1]:0\"").start();
    assert_eq!(get(stage.leaf.addr, "/healthz", &[]).status, 200);
    let told = stage
        .leaf
        .wait_lines(1, LONG, |line| {
            line.contains("listening") && line.contains("[::1]:")
        })
        .expect("the second address is told");
    let port = told[0].split("[::1]:").nth(1).expect("a port");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let addr: SocketAddr = format!("[::1]:{port}").parse().expect("an address");
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    let text = run(ask(&stage, addr, &authority.pem)).expect("an answer");
    assert!(text.contains("[DONE]"), "{text}");
}

#[test]
fn g10_a_renewed_certificate_is_for_new_connections_and_old_streams_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let stage = with_tls(&old.signs("127.0.0.1"), "")
        .server("watch_secs = 1")
        .start();
    let gate = Gate::new();
    let stream = Wire::Chat.stream("first answer");
    let at = stream.until(1).len();
    stage
        .first
        .push(Script::sse(stream.body()).hold_at(at, &gate));
    let shakes = |ca: &str| run(connect(stage.leaf.addr, ca, &[])).is_ok();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(ask(&stage, stage.leaf.addr, &old.pem)));
        assert!(gate.wait_reached(LONG), "the stream runs");
        let pair = new.signs("127.0.0.1");
        let folder = stage.leaf.folder();
        // A certificate without its key, as it is for a moment while both are written, changes nothing.
        std::fs::write(folder.join("cert.pem"), &pair.cert).expect("written");
        stage.leaf.signal("HUP");
        let refused = |line: &str| line.contains("configuration refused");
        let told = stage.leaf.wait_lines(1, LONG, refused).expect("refused");
        assert!(told[0].contains("cert.pem"), "{}", told[0]);
        assert!(shakes(&old.pem));
        std::fs::write(folder.join("key.pem"), &pair.key).expect("written");
        let reloaded = |line: &str| line.contains("configuration reloaded");
        let told = stage.leaf.wait_lines(1, LONG, reloaded);
        let told = told.expect("seen without a signal");
        assert!(
            told[0].contains("certificate is another one"),
            "{}",
            told[0]
        );
        assert!(!shakes(&old.pem) && shakes(&new.pem));
        gate.release();
        let text = running.join().expect("no panic").expect("the old stream");
        assert!(text.contains("[DONE]"), "{text}");
    });
}

#[test]
fn g10_an_address_is_told_when_all_of_the_configuration_takes_effect() {
    let authority = Authority::new();
    let stage = with_tls(&authority.signs("127.0.0.1"), "").start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken_at = taken.local_addr().expect("its address");
    let moved = stage.config.replace("127.0.0.1:0", "127.0.0.2:0");
    let key = "key = \"key.pem\"";
    let bad = moved.replace(key, &format!("{key}, listen = \"{taken_at}\""));
    assert_ne!(bad, moved);
    let told = |what: &'static str| move |line: &str| line.contains(what);
    stage.leaf.write_config(&bad);
    stage.leaf.signal("HUP");
    let refused = stage
        .leaf
        .wait_lines(1, LONG, told("configuration refused"));
    assert!(refused.is_some());
    let listening = told("listening there from now on");
    assert!(!stage.leaf.log().iter().any(|line| listening(line)));
    stage.leaf.write_config(&moved);
    stage.leaf.signal("HUP");
    let lines = stage.leaf.wait_lines(1, LONG, listening).expect("told");
    assert!(lines[0].contains("127.0.0.2:"), "{}", lines[0]);
}

#[test]
fn d19_what_is_no_handshake_is_closed_in_time() {
    let authority = Authority::new();
    let mut stage = with_tls(&authority.signs("127.0.0.1"), "").start();
    let mut stalls = vec![Connection::open(stage.leaf.addr)];
    // A handshake that begins, and one whose first message would be 16 MiB.
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"\x16\x03\x01\x40\x00\x01\xff\xff\xff",
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(bytes);
        stalls.push(connection);
    }
    // Junk is answered with an alert, or not at all, and closed at once.
    for junk in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        b"\x16\x03\x01\x00\x02\x01\x00",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x80\x2e\x01\x00\x02",
    ] {
        let mut connection = Connection::open(stage.leaf.addr);
        connection.send(junk);
        connection.half_close();
        let (bytes, end) = connection.drain();
        assert!(bytes.len() < 64, "{junk:?}: {bytes:?}");
        assert_ne!(end, End::TimedOut, "{junk:?}");
    }
    let began = std::time::Instant::now();
    for mut stall in stalls {
        stall.read_timeout(LONG);
        assert_ne!(stall.drain().1, End::TimedOut);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(12));
    // Others are served meanwhile and after.
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    let text = run(ask(&stage, stage.leaf.addr, &authority.pem)).expect("an answer");
    assert!(text.contains("[DONE]"), "{text}");
    // A handshake that has not ended keeps nothing up.
    let mut begun = std::net::TcpStream::connect(stage.leaf.addr).expect("connects");
    stage.leaf.signal("TERM");
    assert!(stage.leaf.wait_exit(LONG).is_some());
    let mut rest = Vec::new();
    assert!(begun.read_to_end(&mut rest).is_ok() || rest.is_empty());
}

#[test]
fn d19_who_says_nothing_shuts_nobody_out() {
    let authority = Authority::new();
    let stage = with_tls(&authority.signs("127.0.0.1"), "")
        .instead("workers", "1")
        .start();
    stage.first.on(|_| answer(Wire::Chat, "first answer"));
    let began = std::time::Instant::now();
    let silent: Vec<Connection> = (0..300)
        .map(|_| Connection::open(stage.leaf.addr))
        .collect();
    let text = run(ask(&stage, stage.leaf.addr, &authority.pem)).expect("an answer");
    assert!(text.contains("[DONE]"), "{text}");
    // None of them has met its own deadline yet.
    assert!(began.elapsed() < std::time::Duration::from_secs(8));
    drop(silent);
}

#[test]
fn i8_streams_inside_tls_finish_too() {
    let authority = Authority::new();
    let mut stage = with_tls(&authority.signs("127.0.0.1"), "").start();
    let gate = Gate::new();
    let stream = Wire::Chat.stream("first answer");
    let at = stream.until(1).len();
    stage
        .first
        .push(Script::sse(stream.body()).hold_at(at, &gate));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(ask(&stage, stage.leaf.addr, &authority.pem)));
        assert!(gate.wait_reached(LONG), "the stream runs");
        stage.leaf.signal("TERM");
        let heard = |line: &str| line.contains("\"draining\"");
        assert!(stage.leaf.wait_lines(1, LONG, heard).is_some());
        gate.release();
        let text = running.join().expect("no panic").expect("a proper end");
        assert!(text.contains("[DONE]"), "{text}");
    });
    assert!(stage.leaf.wait_exit(LONG).expect("it ends").success());
}
