//! One owner: what is dropped is closed at once, and only the socket wakes its owner.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use llmleaf_transport::Response;

use crate::support::{CONNECT_TIMEOUT, Peer, Server, call, pool, post, until};

const STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

async fn streaming(server: &Server) -> (Response, Peer) {
    let pool = pool();
    let (response, peer) = tokio::join!(call(&pool, server), server.answer(STREAM));
    (response.expect("response"), peer)
}

#[tokio::test]
async fn dropping_a_call_before_the_head_closes_the_connection() {
    let (server, pool) = (Server::start().await, pool());
    let mut call = Box::pin(pool.call(&server.origin, post("{}"), CONNECT_TIMEOUT));
    let mut peer = tokio::select! {
        _ = &mut call => panic!("nothing was answered"),
        peer = server.answer("HTTP/1.1 200 OK\r\n") => peer,
    };
    drop(call);
    peer.closed().await;
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn dropping_a_body_closes_the_connection() {
    let server = Server::start().await;
    let (mut response, mut peer) = streaming(&server).await;
    peer.write("3\r\nabc\r\n").await;
    let chunk = response.body.chunk().await.expect("chunk");
    assert_eq!(chunk.as_deref(), Ok(&b"abc"[..]));
    drop(response);
    peer.closed().await;
}

#[tokio::test]
async fn dropping_an_unread_body_closes_the_connection() {
    let (server, pool) = (Server::start().await, pool());
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
    let (response, mut peer) = tokio::join!(call(&pool, &server), server.answer(answer));
    drop(response.expect("response"));
    peer.closed().await;
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn dropping_the_pool_closes_its_idle_connections() {
    let (server, pool) = (Server::start().await, pool());
    let mut peer = server.warm_up(&pool).await;
    drop(pool);
    peer.closed().await;
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once, and once more when woken, and so on; the result and how many polls it took.
async fn polls_of<F: Future + Unpin>(mut future: F, mut feed: impl FnMut()) -> (F::Output, usize) {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for polls in 1.. {
        let woken = count.0.load(Ordering::SeqCst);
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return (output, polls);
        }
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            woken,
            "woken by its own poll"
        );
        feed();
        until(|| count.0.load(Ordering::SeqCst) > woken).await;
    }
    unreachable!("polled for ever")
}

#[tokio::test]
async fn a_chunk_costs_one_wake_up() {
    let server = Server::start().await;
    let (mut response, peer) = streaming(&server).await;
    let peer = std::cell::RefCell::new(peer);
    for _ in 0..3 {
        let chunk = Box::pin(response.body.chunk());
        let feed = || peer.borrow_mut().write_now("3\r\nabc\r\n");
        let (chunk, polls) = polls_of(chunk, feed).await;
        assert_eq!(chunk.expect("chunk").as_deref(), Ok(&b"abc"[..]));
        assert_eq!(polls, 2, "one that waits, one that reads");
    }
}

#[tokio::test]
async fn chunks_that_came_together_go_on_as_one() {
    let server = Server::start().await;
    let (mut response, mut peer) = streaming(&server).await;
    peer.write("1\r\na\r\n1;x=y\r\nb\r\n2\r\ncd\r\n0\r\nt: 1\r\n\r\n")
        .await;
    let first = response.body.chunk().await.expect("chunk");
    assert_eq!(first.as_deref(), Ok(&b"abcd"[..]));
    assert!(response.body.is_end_stream(), "known without another poll");
    assert_eq!(response.body.chunk().await, None);
}
