//! Bodies that come piece by piece: how they are framed, who waits for whom, and what becomes of them on a connection that was closed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use llmleaf_transport::{Feed, TransportError, Unfed};

use crate::support::{CONNECT_TIMEOUT, OK, Peer, Server, pool, post};

/// What a test feeds: pieces that are there, and more when it says so.
#[derive(Default)]
struct Trough {
    pieces: VecDeque<Result<Bytes, Unfed>>,
    ended: bool,
    waker: Option<Waker>,
    /// How often it was asked for more.
    asked: usize,
    rewinds: usize,
}

#[derive(Clone, Default)]
struct Fed {
    trough: Rc<RefCell<Trough>>,
    length: Option<u64>,
    again: Vec<&'static str>,
}

impl Fed {
    fn of(pieces: &[&'static str], length: Option<u64>) -> Self {
        let fed = Fed {
            length,
            ..Fed::default()
        };
        pieces.iter().for_each(|piece| fed.push(Ok(piece)));
        fed.trough.borrow_mut().ended = true;
        fed
    }

    fn push(&self, piece: Result<&'static str, Unfed>) {
        let mut trough = self.trough.borrow_mut();
        let piece = piece.map(|text| Bytes::from_static(text.as_bytes()));
        trough.pieces.push_back(piece);
        if let Some(waker) = trough.waker.take() {
            waker.wake();
        }
    }
}

impl Feed for Fed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unfed>>> {
        let mut trough = self.trough.borrow_mut();
        trough.asked += 1;
        match trough.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(piece)),
            None if trough.ended => Poll::Ready(None),
            None => {
                trough.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn rewind(&mut self) -> bool {
        let mut trough = self.trough.borrow_mut();
        trough.rewinds += 1;
        let again = self.again.iter();
        trough.pieces = again
            .map(|text| Ok(Bytes::from_static(text.as_bytes())))
            .collect();
        !self.again.is_empty()
    }

    fn length(&self) -> Option<u64> {
        self.length
    }
}

async fn upload(
    pool: &llmleaf_transport::Pool,
    server: &Server,
    fed: &Fed,
) -> Result<u16, TransportError> {
    let request = post("").map(|_| ());
    let feed = Box::new(fed.clone());
    let call = pool.upload(&server.origin, request, feed, CONNECT_TIMEOUT);
    let response = call.await?;
    let status = response.status.as_u16();
    response.body.collect(99).await?;
    Ok(status)
}

/// Reads a head, then bytes up to this end.
async fn read(peer: &mut Peer, end: &str) -> (String, String) {
    let (head, mut body) = peer.request().await;
    while !body.ends_with(end.as_bytes()) {
        body.push(peer.byte().await);
    }
    (head, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn a_body_of_a_known_length_says_it_and_others_go_in_chunks() {
    for (length, framing, end, body) in [
        (Some(5), "content-length: 5", "abcde", "abcde"),
        (
            None,
            "transfer-encoding: chunked",
            "0\r\n\r\n",
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
    ] {
        let (server, pool) = (Server::start().await, pool());
        let fed = Fed::of(&["abc", "", "de"], length);
        let (status, ((head, came), _peer)) = tokio::join!(upload(&pool, &server, &fed), async {
            let mut peer = server.accept().await;
            let came = read(&mut peer, end).await;
            peer.write(OK).await;
            (came, peer)
        });
        assert_eq!(status, Ok(200));
        assert!(head.contains(framing), "{head}");
        assert_eq!(came, body);
        assert_eq!(pool.idle(), 1, "the connection serves again");
    }
}

#[tokio::test]
async fn it_is_asked_for_more_only_when_there_is_room_and_wakes_when_more_comes() {
    let (server, pool) = (Server::start().await, pool());
    let fed = Fed::default();
    fed.push(Ok("first"));
    let (status, ()) = tokio::join!(upload(&pool, &server, &fed), async {
        let mut peer = server.accept().await;
        let (_, came) = read(&mut peer, "first").await;
        assert_eq!(came, "5\r\nfirst");
        fed.push(Ok("more"));
        let mut came = String::new();
        while !came.ends_with("more") {
            came.push(char::from(peer.byte().await));
        }
        fed.trough.borrow_mut().ended = true;
        fed.push(Ok("!"));
        while !came.ends_with("0\r\n\r\n") {
            came.push(char::from(peer.byte().await));
        }
        peer.write(OK).await;
    });
    assert_eq!(status, Ok(200));
}

#[tokio::test]
async fn a_body_that_cannot_be_completed_closes_the_connection() {
    let short = Fed::of(&["abc"], Some(5));
    let long = Fed::of(&["abc", "def"], Some(5));
    let broken = Fed::default();
    broken.push(Ok("abc"));
    broken.push(Err(Unfed));
    for fed in [short, long, broken] {
        let (server, pool) = (Server::start().await, pool());
        let (status, ()) = tokio::join!(upload(&pool, &server, &fed), async {
            let mut peer = server.accept().await;
            peer.closed().await;
        });
        assert_eq!(status, Err(TransportError::Fed));
        assert_eq!(pool.idle(), 0);
    }
}

#[tokio::test]
async fn an_answer_that_comes_early_ends_the_request() {
    let (server, pool) = (Server::start().await, pool());
    let fed = Fed::default();
    fed.push(Ok("first"));
    let (status, ()) = tokio::join!(upload(&pool, &server, &fed), async {
        let mut peer = server.accept().await;
        read(&mut peer, "first").await;
        peer.write("HTTP/1.1 429 x\r\ncontent-length: 2\r\n\r\nno")
            .await;
        peer.closed().await;
    });
    assert_eq!(status, Ok(429));
    let asked = fed.trough.borrow().asked;
    fed.push(Ok("more"));
    assert_eq!(fed.trough.borrow().asked, asked, "nobody asks any more");
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_where_the_body_can_begin_again() {
    for again in [vec!["abc", "de"], vec![]] {
        let (server, pool) = (Server::start().await, pool());
        let peer = server.warm_up(&pool).await;
        let mut fed = Fed::of(&["abc", "de"], Some(5));
        fed.again = again.clone();
        let (status, came) = tokio::join!(upload(&pool, &server, &fed), async {
            // It was idle when the request began, and is closed with the request on its way: the call waits its turn first.
            tokio::task::yield_now().await;
            drop(peer);
            if again.is_empty() {
                return String::new();
            }
            let mut peer = server.accept().await;
            let (_, came) = read(&mut peer, "abcde").await;
            peer.write(OK).await;
            came
        });
        match again.is_empty() {
            false => assert_eq!((status, came.as_str()), (Ok(200), "abcde")),
            true => assert!(status.is_err(), "{status:?}"),
        }
    }
}
