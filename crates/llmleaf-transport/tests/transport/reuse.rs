//! When a connection serves again, and when it must not.

use std::sync::Arc;
use std::time::Duration;

use llmleaf_transport::{Limits, Origin, Pool, Preamble, TransportError};

use crate::support::{CONNECT_TIMEOUT, OK, Server, call, pool, pool_with, post, until};

async fn idle_after(answer: &str) -> usize {
    let (server, pool) = (Server::start().await, pool());
    let (response, _peer) = tokio::join!(call(&pool, &server), server.answer(answer));
    let collected = response.expect("response").body.collect(99).await;
    assert_eq!(collected.as_deref(), Ok(&b"ok"[..]));
    pool.idle()
}

async fn reused(pool: &Pool, server: &Server) -> bool {
    let response = call(pool, server).await.expect("response");
    let reused = response.reused();
    assert!(response.body.collect(99).await.is_ok());
    reused
}

#[tokio::test]
async fn a_connection_serves_again() {
    let (server, pool) = (Server::start().await, pool());
    let mut peer = server.warm_up(&pool).await;
    for _ in 0..3 {
        let (reused, ()) = tokio::join!(reused(&pool, &server), async {
            peer.request().await;
            peer.write(OK).await;
        });
        assert!(reused);
    }
    assert_eq!(pool.idle(), 1);
}

#[tokio::test]
async fn the_request_is_written_as_it_should_be() {
    let (server, pool) = (Server::start().await, pool());
    let mut written = post("");
    // What is told of origin and body replaces what a request says of them.
    let lies = [
        ("host", "elsewhere"),
        ("content-length", "9"),
        ("transfer-encoding", "chunked"),
    ];
    for (name, value) in lies {
        written
            .headers_mut()
            .insert(name, value.parse().expect("value"));
    }
    let preamble = Preamble::new(&written.map(drop), &server.origin).expect("preamble");
    let host = server.origin.host_header().to_str().expect("text");
    for (body, call) in [
        ("{}", pool.call(&server.origin, post("{}"), CONNECT_TIMEOUT)),
        (
            "{}",
            pool.post(&server.origin, &preamble, "{}".into(), CONNECT_TIMEOUT),
        ),
        (
            "",
            pool.post(&server.origin, &preamble, "".into(), CONNECT_TIMEOUT),
        ),
    ] {
        let (response, (head, sent)) = tokio::join!(call, async {
            let mut peer = server.accept().await;
            let request = peer.request().await;
            peer.write(OK).await;
            request
        });
        assert_eq!(response.expect("response").status, 200);
        let mut lines: Vec<_> = head.trim_end().lines().collect();
        lines.sort_unstable();
        let wanted = [
            "POST /v1/x?y=z HTTP/1.1",
            &format!("content-length: {}", body.len()),
            &format!("host: {host}"),
            "x-test: 1",
        ];
        assert_eq!(lines, wanted);
        assert_eq!(sent, body.as_bytes());
    }
}

#[tokio::test]
async fn headers_of_another_host_and_length_are_replaced() {
    let (server, pool) = (Server::start().await, pool());
    let mut request = post("");
    *request.uri_mut() = "http://elsewhere.example/p".parse().expect("uri");
    for (name, value) in [("host", "elsewhere.example"), ("content-length", "7")] {
        request
            .headers_mut()
            .insert(name, value.parse().expect("value"));
    }
    request
        .headers_mut()
        .insert("transfer-encoding", "chunked".parse().expect("value"));
    let call = pool.call(&server.origin, request, CONNECT_TIMEOUT);
    let (response, head) = tokio::join!(call, async {
        let mut peer = server.accept().await;
        let (head, _) = peer.request().await;
        peer.write(OK).await;
        head
    });
    assert_eq!(response.expect("response").status, 200);
    assert!(head.starts_with("POST /p HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 0\r\n"), "{head}");
    assert!(
        !head.contains("elsewhere") && !head.contains("chunked"),
        "{head}"
    );
}

#[tokio::test]
async fn every_clean_end_returns_the_connection() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
    assert_eq!(idle_after(OK).await, 1);
    assert_eq!(idle_after(chunked).await, 1);
    let trailers = chunked.replace("0\r\n\r\n", "0\r\nx-t: 1\r\n\r\n");
    assert_eq!(idle_after(&trailers).await, 1);
    let early_hints = format!("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}");
    assert_eq!(idle_after(&early_hints).await, 1);
}

#[tokio::test]
async fn an_empty_response_returns_the_connection_with_its_head() {
    let (server, pool) = (Server::start().await, pool());
    let answer = server.answer("HTTP/1.1 204 No Content\r\n\r\n");
    let (response, _peer) = tokio::join!(call(&pool, &server), answer);
    let response = response.expect("response");
    assert_eq!(pool.idle(), 1);
    assert!(response.body.is_end_stream());
    assert_eq!(response.body.collect(0).await.as_deref(), Ok(&b""[..]));
}

#[tokio::test]
async fn a_connection_that_says_close_is_not_kept() {
    let close = OK.replace("content-length", "connection: close\r\ncontent-length");
    assert_eq!(idle_after(&close).await, 0);
    assert_eq!(idle_after(&OK.replace("HTTP/1.1", "HTTP/1.0")).await, 0);
}

#[tokio::test]
async fn bytes_behind_a_response_spoil_the_connection() {
    assert_eq!(idle_after(&format!("{OK}HTTP/1.1 200 OK\r\n")).await, 0);
}

#[tokio::test]
async fn unsolicited_bytes_spoil_an_idle_connection() {
    let (server, pool) = (Server::start().await, pool());
    let mut peer = server.warm_up(&pool).await;
    peer.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        .await;
    until(|| {
        pool.sweep();
        pool.idle() == 0
    })
    .await;
    peer.closed().await;
    let (reused, _peer) = tokio::join!(reused(&pool, &server), server.answer(OK));
    assert!(!reused);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let (server, pool) = (Server::start().await, pool());
    drop(server.warm_up(&pool).await);
    let (reused, _peer) = tokio::join!(reused(&pool, &server), server.answer(OK));
    assert!(!reused);
    assert_eq!(pool.idle(), 1);
}

#[tokio::test]
async fn a_sweep_drops_what_the_upstream_has_closed() {
    let (server, pool) = (Server::start().await, pool());
    let peer = server.warm_up(&pool).await;
    pool.sweep();
    assert_eq!(pool.idle(), 1);
    drop(peer);
    until(|| {
        pool.sweep();
        pool.idle() == 0
    })
    .await;
}

#[tokio::test]
async fn a_request_lost_on_a_reused_connection_is_sent_once_more() {
    let (server, pool) = (Server::start().await, pool());
    let mut stale = server.warm_up(&pool).await;
    let (reused, (first, second)) = tokio::join!(reused(&pool, &server), async {
        let first = stale.request().await;
        drop(stale);
        let mut fresh = server.accept().await;
        let second = fresh.request().await;
        fresh.write(OK).await;
        (first, second)
    });
    assert!(!reused);
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_request_reset_on_a_reused_connection_is_sent_once_more() {
    let (server, pool) = (Server::start().await, pool());
    let mut stale = server.warm_up(&pool).await;
    let (reused, ()) = tokio::join!(reused(&pool, &server), async {
        stale.request().await;
        stale.reset();
        server.answer(OK).await;
    });
    assert!(!reused);
}

#[tokio::test]
async fn b17_a_request_that_ran_for_minutes_is_not_sent_once_more() {
    let (server, pool) = (Server::start().await, pool());
    let mut stale = server.warm_up(&pool).await;
    let (result, ()) = tokio::join!(call(&pool, &server), async {
        stale.request().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(120)).await;
        tokio::time::resume();
        drop(stale);
    });
    let lost = TransportError::Closed {
        sent: true,
        response_started: false,
    };
    assert_eq!(result.err(), Some(lost));
}

#[tokio::test]
async fn it_is_not_sent_a_third_time() {
    let (server, pool) = (Server::start().await, pool());
    let mut stale = server.warm_up(&pool).await;
    let (result, ()) = tokio::join!(call(&pool, &server), async {
        stale.request().await;
        drop(stale);
        server.answer("").await;
    });
    let lost = TransportError::Closed {
        sent: true,
        response_started: false,
    };
    assert_eq!(result.err(), Some(lost));
}

#[tokio::test]
async fn a_response_begun_on_a_reused_connection_is_not_retried() {
    let (server, pool) = (Server::start().await, pool());
    let mut peer = server.warm_up(&pool).await;
    let (result, ()) = tokio::join!(call(&pool, &server), async {
        peer.request().await;
        peer.write("HTTP/1.1 20").await;
        drop(peer);
    });
    let error = result.err().expect("error");
    assert!(
        error.response_started() && error.possibly_billed(),
        "{error:?}"
    );
}

#[tokio::test]
async fn idle_connections_are_bounded_and_expire() {
    let server = Server::start().await;
    let pool = pool_with(Limits {
        idle_per_origin: 1,
        ..Limits::default()
    });
    let both = async { tokio::join!(reused(&pool, &server), reused(&pool, &server)) };
    let (_, _one, _two) = tokio::join!(both, server.answer(OK), server.answer(OK));
    assert_eq!(pool.idle(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(54)).await;
    pool.sweep();
    assert_eq!(pool.idle(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    let (reused, _peer) = tokio::join!(reused(&pool, &server), server.answer(OK));
    assert!(!reused);
}

#[tokio::test]
async fn origins_do_not_share_connections() {
    let (server, other, pool) = (Server::start().await, Server::start().await, pool());
    let _peer = server.warm_up(&pool).await;
    let (reused, _other) = tokio::join!(reused(&pool, &other), other.answer(OK));
    assert!(!reused);
    assert_eq!(pool.idle(), 2);
    // The same host and port, parsed again, is the same origin.
    let again = Origin::parse(&server.origin.to_string()).expect("origin").0;
    let again = pool.call(&Arc::new(again), post("{}"), CONNECT_TIMEOUT);
    drop(again);
    assert_eq!(pool.idle(), 2);
}
