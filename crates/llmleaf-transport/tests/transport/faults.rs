//! Upstreams that misbehave: an end that is not one is never taken for one.

use llmleaf_transport::{Limits, TransportError};

use crate::support::{CONNECT_TIMEOUT, OK, Server, call, fetch, pool, pool_with, post, until};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const CUT_SHORT: TransportError = TransportError::Closed {
    sent: true,
    response_started: true,
};

#[tokio::test]
async fn b21_a_body_shorter_than_declared_is_an_error() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc";
    assert_eq!(fetch(answer).await, Err(CUT_SHORT));
}

#[tokio::test]
async fn b21_chunks_without_a_terminator_are_an_error() {
    for end in ["", "3\r\nabc\r\n", "3\r\nab", "3\r\nabc\r\n0\r\n", "0"] {
        let answer = format!("{CHUNKED}{end}");
        assert_eq!(fetch(&answer).await, Err(CUT_SHORT), "{end:?}");
    }
}

#[tokio::test]
async fn an_end_by_closing_is_one_only_where_nothing_else_was_declared() {
    let body = fetch("HTTP/1.1 200 OK\r\n\r\nabc").await;
    assert_eq!(body.as_deref(), Ok(&b"abc"[..]));
}

#[tokio::test]
async fn a_failed_body_stays_failed() {
    let (server, pool) = (Server::start().await, pool());
    let answer = format!("{CHUNKED}3\r\nabc\r\n");
    let (response, peer) = tokio::join!(call(&pool, &server), server.answer(&answer));
    let mut body = response.expect("response").body;
    drop(peer);
    assert_eq!(
        body.chunk().await.expect("chunk").as_deref(),
        Ok(&b"abc"[..])
    );
    for _ in 0..2 {
        assert_eq!(body.chunk().await, Some(Err(CUT_SHORT)));
        assert!(!body.is_end_stream());
    }
}

#[tokio::test]
async fn a_reset_in_the_body_is_an_error() {
    let (server, pool) = (Server::start().await, pool());
    let answer = format!("{CHUNKED}3\r\nabc\r\n");
    let (response, peer) = tokio::join!(call(&pool, &server), server.answer(&answer));
    let mut body = response.expect("response").body;
    assert_eq!(
        body.chunk().await.expect("chunk").as_deref(),
        Ok(&b"abc"[..])
    );
    peer.reset();
    let error = body
        .chunk()
        .await
        .expect("an error, no end")
        .expect_err("error");
    assert_eq!(error.kind(), "reset");
    assert!(error.response_started() && error.possibly_billed());
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn a_fresh_connection_closed_without_an_answer_is_not_retried() {
    let error = fetch("").await.expect_err("error");
    let lost = TransportError::Closed {
        sent: true,
        response_started: false,
    };
    assert_eq!(error, lost);
    assert!(error.possibly_billed() && !error.retry_is_safe());
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let two_lengths = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok";
    let both =
        CHUNKED.replace("transfer", "content-length: 2\r\ntransfer") + "2\r\nok\r\n0\r\n\r\n";
    let gzip = CHUNKED.replace("chunked", "gzip");
    let bad_size = format!("{CHUNKED}xyz\r\nabc\r\n");
    let overflow = format!("{CHUNKED}fffffffffffffffff\r\nabc\r\n");
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let folded = OK.replace("content-length", "x: 1\r\n 2\r\ncontent-length");
    let nameless = OK.replace("content-length", "no colon\r\ncontent-length");
    let cases = [
        "SSH-2.0-x\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        two_lengths,
        &both,
        &gzip,
        &bad_size,
        &overflow,
        upgrade,
        &folded,
        &nameless,
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ];
    for answer in cases {
        match fetch(answer).await {
            Err(error) => assert_eq!(error.kind(), "protocol", "{answer:?}: {error:?}"),
            Ok(body) => panic!("{answer:?} was taken for {body:?}"),
        }
    }
}

#[tokio::test]
async fn b22_oversized_heads_are_an_error() {
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n");
    let hundred = "a: b\r\n".repeat(99);
    assert_eq!(fetch(&with(&hundred)).await.as_deref(), Ok(&b""[..]));
    let cases = [
        with(&"a: b\r\n".repeat(100)),
        with(&format!("a: {}\r\n", "b".repeat(70_000))),
        format!("HTTP/1.1 200 {}\r\n\r\n", "b".repeat(70_000)),
        format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(70_000)),
    ];
    for answer in cases {
        assert_eq!(fetch(&answer).await, Err(TransportError::HeadTooLarge));
    }
}

#[tokio::test]
async fn a_head_limit_is_kept() {
    let server = Server::start().await;
    let pool = pool_with(Limits {
        max_header_bytes: 1000,
        ..Limits::default()
    });
    let answer = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(2000));
    let (response, _peer) = tokio::join!(call(&pool, &server), server.answer(&answer));
    assert_eq!(response.err(), Some(TransportError::HeadTooLarge));
}

#[tokio::test]
async fn b20_interim_responses_without_end_are_an_error() {
    let (server, pool) = (Server::start().await, pool());
    let (response, ()) = tokio::join!(call(&pool, &server), async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer.flood("HTTP/1.1 102 Processing\r\n\r\n").await;
    });
    assert_eq!(response.err(), Some(TransportError::HeadTooLarge));
}

#[tokio::test]
async fn an_early_refusal_arrives_while_the_body_is_going_up() {
    let (server, pool) = (Server::start().await, pool());
    let call = pool.call(&server.origin, post(vec![b'x'; 64 << 20]), CONNECT_TIMEOUT);
    let (response, mut peer) = tokio::join!(call, async {
        let mut peer = server.accept().await;
        peer.some().await;
        peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
            .await;
        peer
    });
    let response = response.expect("response");
    assert_eq!(response.status, 413);
    assert_eq!(response.body.collect(99).await.as_deref(), Ok(&b"big"[..]));
    assert_eq!(pool.idle(), 0);
    peer.closed().await;
}

#[tokio::test]
async fn an_early_refusal_survives_the_reset_after_it() {
    let (server, pool) = (Server::start().await, pool());
    let call = pool.call(&server.origin, post(vec![b'x'; 64 << 20]), CONNECT_TIMEOUT);
    let (response, ()) = tokio::join!(call, async {
        let mut peer = server.accept().await;
        peer.some().await;
        peer.write("HTTP/1.1 401 No\r\ncontent-length: 3\r\n\r\nkey")
            .await;
        // Closing with unread bytes makes the kernel send RST.
        drop(peer);
    });
    let response = response.expect("response");
    assert_eq!(response.status, 401);
    assert_eq!(response.body.collect(99).await.as_deref(), Ok(&b"key"[..]));
}

#[tokio::test]
async fn a_request_cut_off_while_going_up_was_not_executed() {
    let (server, pool) = (Server::start().await, pool());
    let call = pool.call(&server.origin, post(vec![b'x'; 64 << 20]), CONNECT_TIMEOUT);
    let (response, ()) = tokio::join!(call, async {
        let mut peer = server.accept().await;
        peer.some().await;
        peer.reset();
    });
    let error = response.err().expect("error");
    assert_eq!(error.kind(), "reset");
    assert!(error.retry_is_safe(), "{error:?}");
}

#[tokio::test]
async fn a_whole_body_is_bounded() {
    let too_large = Err(TransportError::BodyTooLarge { limit: 4 });
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        "HTTP/1.1 200 OK\r\n\r\nabcde",
    ] {
        let (server, pool) = (Server::start().await, pool());
        let (response, _peer) = tokio::join!(call(&pool, &server), server.answer(answer));
        assert_eq!(response.expect("response").body.collect(4).await, too_large);
    }
}

#[tokio::test]
async fn any_split_of_the_bytes_reads_the_same() {
    let answer =
        format!("HTTP/1.1 100 Continue\r\n\r\n{CHUNKED}3\r\nabc\r\na\r\ndefghijklm\r\n0\r\n\r\n");
    let (server, pool) = (Server::start().await, pool());
    let read = async {
        let response = call(&pool, &server).await.expect("response");
        response.body.collect(99).await
    };
    let (body, _peer) = tokio::join!(read, async {
        let mut peer = server.accept().await;
        peer.request().await;
        for byte in answer.chars() {
            peer.write(byte.encode_utf8(&mut [0; 4])).await;
            tokio::task::yield_now().await;
        }
        peer
    });
    assert_eq!(body.as_deref(), Ok(&b"abcdefghijklm"[..]));
    until(|| pool.idle() == 1).await;
}

#[tokio::test]
async fn a_large_exchange_goes_through_both_ways() {
    let (server, pool) = (Server::start().await, pool());
    let big = "x".repeat(5 << 20);
    let exchange = async {
        let request = post(big.clone());
        let response = pool.call(&server.origin, request, CONNECT_TIMEOUT).await;
        response.expect("response").body.collect(big.len()).await
    };
    let (body, _peer) = tokio::join!(exchange, async {
        let mut peer = server.accept().await;
        let (_, body) = peer.request().await;
        let body = String::from_utf8(body).expect("text");
        peer.write(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        peer
    });
    assert!(body.is_ok_and(|body| body == big));
    assert_eq!(pool.idle(), 1);
}
