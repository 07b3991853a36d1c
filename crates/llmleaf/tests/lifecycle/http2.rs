//! HTTP/2 without TLS, by prior knowledge.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::queued::Thread;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{LONG, Stage};
use tokio::runtime::Builder;

use super::{answer, stage};

/// Runs a test on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let ended = tokio::time::timeout(LONG, test).await;
        ended.expect("the test ends in time");
    });
}

async fn connect(addr: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(addr)
        .await
        .expect("connects");
    let io = TokioIo::new(stream);
    let (sender, connection) = handshake(TokioExecutor::new(), io)
        .await
        .expect("speaks HTTP/2");
    #[expect(
        clippy::disallowed_methods,
        reason = "a consumer of its own, not the product"
    )]
    tokio::spawn(async {
        // Its end is seen by the requests on it.
        let _ = connection.await;
    });
    sender
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    stage: &Stage,
    wire: Wire,
    id: &str,
) -> http::Response<Incoming> {
    let request = http::Request::post(format!("http://{}{}", stage.leaf.addr, wire.path()))
        .header("authorization", stage.bearer())
        .header("x-request-id", id)
        .body(Full::new(Bytes::from(wire.request(wire.name(), true))))
        .expect("a request");
    sender.send_request(request).await.expect("a response")
}

/// Reads a body to its end.
async fn read(response: http::Response<Incoming>) -> Response {
    let (head, mut body) = response.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)));
    let mut read = Response {
        status: head.status.as_u16(),
        headers: headers.collect(),
        end: End::Clean,
        ..Response::default()
    };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read
                .body
                .extend_from_slice(frame.data_ref().map_or(b"", |data| data)),
            Err(_) => {
                read.end = End::Reset;
                break;
            }
        }
    }
    read
}

#[test]
fn both_dialects_are_answered_side_by_side() {
    let stage = stage().start();
    run(async {
        let mut sender = connect(stage.leaf.addr).await;
        for wire in Wire::BOTH {
            stage.first.push(answer(wire, "first answer"));
            let response = read(ask(&mut sender, &stage, wire, "h2").await).await;
            assert_eq!((response.status, response.end), (200, End::Clean));
            assert_eq!(wire.read(&response).text(), "first answer");
            assert_eq!(response.header("connection"), None);
        }
    });
}

#[test]
fn a10_one_stream_that_goes_harms_no_other() {
    let stage = stage().start();
    run(async {
        let mut sender = connect(stage.leaf.addr).await;
        let gate = Gate::new();
        let stream = Wire::Chat.stream("first answer");
        let at = stream.until(1).len();
        let mut running = Vec::new();
        for number in 0..10 {
            stage
                .first
                .push(Script::sse(stream.body()).hold_at(at, &gate));
            running.push(ask(&mut sender, &stage, Wire::Chat, &format!("h2-{number}")).await);
        }
        // The consumer's side of the connection runs on this thread.
        let consumer = Thread::own();
        let queued = || stage.leaf.queued() + stage.first.queued() + consumer.queued();
        let (before, left) = (queued(), std::time::Instant::now());
        drop(running.remove(4));
        let closed = stage.first.closed(4).await;
        let took = closed.at.saturating_duration_since(left);
        let own = took.saturating_sub(queued().saturating_sub(before));
        assert!(
            own <= std::time::Duration::from_millis(100),
            "{own:?} of {took:?}"
        );
        let still = stage
            .first
            .connections()
            .iter()
            .filter(|c| c.closed.is_none())
            .count();
        assert_eq!(still, 9);
        gate.release();
        for response in running {
            assert_eq!(
                Wire::Chat.read(&read(response).await).text(),
                "first answer"
            );
        }
        assert_eq!(stage.usage("h2-4", 1)[0].text_at(&["outcome"]), "cancelled");
    });
}

#[test]
fn a_broken_stream_is_reset_after_its_error() {
    let stage = stage().start();
    run(async {
        let mut sender = connect(stage.leaf.addr).await;
        for wire in Wire::BOTH {
            let stream = wire.stream("first answer");
            stage
                .first
                .push(Script::sse(stream.body()).close_at(stream.until(1).len()));
            let response = read(ask(&mut sender, &stage, wire, "h2").await).await;
            assert_eq!(response.end, End::Reset, "{wire}");
            let digest = wire.read(&response);
            assert!(
                digest.error.is_some() && !digest.terminal,
                "{wire}: {}",
                response.text()
            );
            assert_eq!(digest.text(), "first ");
        }
    });
}

#[test]
fn a_running_stream_finishes_after_the_signal_to_stop() {
    let mut stage = stage().start();
    run(async {
        let mut sender = connect(stage.leaf.addr).await;
        let gate = Gate::new();
        let stream = Wire::Messages.stream("first answer");
        let at = stream.until(1).len();
        stage
            .first
            .push(Script::sse(stream.body()).hold_at(at, &gate));
        let response = ask(&mut sender, &stage, Wire::Messages, "h2").await;
        stage.leaf.signal("TERM");
        let heard = stage
            .leaf
            .wait_lines(1, LONG, |line| line.contains("\"draining\""));
        assert!(heard.is_some());
        gate.release();
        let response = read(response).await;
        assert_eq!(Wire::Messages.read(&response).text(), "first answer");
        assert_eq!(response.end, End::Clean);
    });
    assert!(stage.leaf.wait_exit(LONG).is_some());
}
