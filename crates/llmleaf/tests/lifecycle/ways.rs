//! The ways to providers: certificates that are no good, names that do not resolve, proxies.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use llmleaf_testkit::replay::Replay;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Setup, Stage};

use super::crypto::{Authority, Pair, Terminator};
use super::{answer, stage};

/// A stage whose first provider is behind TLS with this certificate, and that is told to trust an authority.
fn behind(pair: &Pair, trusted: &Authority) -> (Setup, Replay, Terminator) {
    let replay = Replay::start();
    let addr = replay.url();
    let addr = addr
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let terminator = Terminator::start(pair, addr);
    let setup = stage()
        .first_at(&format!("https://{}", terminator.addr))
        .first("ca_file = \"ca.pem\"\n")
        .file("ca.pem", &trusted.pem);
    (setup, replay, terminator)
}

#[test]
fn b3_the_authority_of_the_file_is_trusted() {
    let authority = Authority::new();
    let (setup, replay, _terminator) = behind(&authority.signs("127.0.0.1"), &authority);
    let stage = setup.start();
    for pair in Wire::PAIRS {
        replay.push(answer(pair.1, "first answer"));
        let (_, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
        assert_eq!(pair.0.read(&response).text(), "first answer");
    }
    assert_eq!(stage.second.requests().len(), 0);
}

#[test]
fn b3_a_bad_certificate_leads_to_the_next_provider() {
    let (authority, other) = (Authority::new(), Authority::new());
    let expired = authority.signs_with("127.0.0.1", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    for (case, pair) in [
        ("expired", expired),
        ("another host", authority.signs("other.example")),
        ("another authority", other.signs("127.0.0.1")),
        ("no authority", Pair::self_signed("127.0.0.1")),
    ] {
        let (setup, replay, _terminator) = behind(&pair, &authority);
        let stage = setup.start();
        for pair in Wire::PAIRS {
            stage.second.push(answer(pair.1, "second answer"));
            let (id, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
            assert_eq!(pair.0.read(&response).text(), "second answer", "{case}");
            let usage = stage.usage(&id, 2);
            assert_eq!(usage[0].text_at(&["outcome"]), "failed", "{case}");
            assert!(
                !usage[0]
                    .get("possibly_billed")
                    .is_some_and(|v| v.is_truthy())
            );
            let (_, response) = stage.post(pair.0, &Stage::alone(pair.1), false);
            assert_eq!(response.status, 502, "{case}");
            let error = pair.0.read_error(&response);
            assert!(!error.message.is_empty(), "{case}");
        }
        // Nothing was ever said to the one whose certificate is bad.
        assert_eq!(replay.requests().len(), 0, "{case}");
    }
}

#[test]
fn b4_a_name_that_does_not_resolve_leads_to_the_next_provider() {
    // A label of 64 letters: refused by the system's resolver itself, no server is asked.
    let nowhere = format!("http://{}.invalid", "x".repeat(64));
    let stage = stage().first_at(&nowhere).start();
    for pair in Wire::PAIRS {
        stage.second.push(answer(pair.1, "second answer"));
        let (id, response) = stage.post(pair.0, &Stage::chain(pair.1), true);
        assert_eq!(pair.0.read(&response).text(), "second answer");
        assert_eq!(stage.usage(&id, 2)[0].text_at(&["outcome"]), "failed");
    }
}

#[test]
fn a_proxy_is_used_and_its_password_never_shown() {
    const PASSWORD: &str = "canary-proxy-Zx81";
    let proxy = TcpListener::bind("127.0.0.1:0").expect("listens");
    let at = proxy.local_addr().expect("an address");
    let target = Replay::start();
    target.on(|_| answer(Wire::Chat, "first answer"));
    let target_at = target.url().trim_start_matches("http://").to_owned();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().expect("accepts");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.extend_from_slice(&byte);
        }
        let mut behind = std::net::TcpStream::connect(target_at).expect("connects");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .expect("written");
        let mut back = (
            behind.try_clone().expect("a second end"),
            stream.try_clone().expect("a second end"),
        );
        let copying = std::thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        // Both ends close when the test is over.
        let _ = std::io::copy(&mut stream, &mut behind);
        let _ = behind.shutdown(std::net::Shutdown::Both);
        let _ = copying.join();
        String::from_utf8(head).expect("text")
    });
    let mut stage = stage()
        .first_at("http://api.invalid:81")
        .first(&format!("proxy = \"http://me:{PASSWORD}@{at}\"\n"))
        // The environment decides nothing.
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env("LLMLEAF_LOG", "trace")
        .start();
    let (_, response) = stage.post(Wire::Chat, "chat", true);
    assert_eq!(Wire::Chat.read(&response).text(), "first answer");
    // With the proxy gone the message says so, and not who we are to it.
    stage.leaf.signal("TERM");
    assert!(stage.leaf.wait_exit(llmleaf_testkit::stage::LONG).is_some());
    let head = served.join().expect("the proxy");
    assert!(
        head.starts_with("CONNECT api.invalid:81 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("Proxy-Authorization: Basic "), "{head}");
    let log = stage.leaf.log().join("\n");
    assert!(!log.contains(PASSWORD), "{log}");
}
