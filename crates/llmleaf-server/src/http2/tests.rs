use super::line::Held;
use super::{Line, talk};
use crate::alarm::WRITE_STALL;
use crate::http1::{HEAD_TIMEOUT, IDLE_TIMEOUT};
use crate::incoming::Incoming as Inbound;
use crate::reply;
use crate::worker::Order;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder as Client, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use llmleaf_exchange::Aborted;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

const SECOND: Duration = Duration::from_secs(1);
/// An answer that no buffer on the way holds.
const LARGE: usize = 1 << 20;
/// What a consumer of HTTP/2 takes at a time, of one stream.
const WINDOW: u32 = 16 * 1024;

/// Runs a test in simulated time: whoever waits moves the clock.
fn timed(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(test);
}

/// A body that always has another piece.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let piece = Bytes::from_static(&[b'x'; 40_000]);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// A body that ends in no clean end after so many pieces and a word.
struct Broken(usize);

/// Pieces of a broken body: what is handed on of it, and no socket of these tests has room for.
const PIECES: usize = 3;
const PIECE_BYTES: usize = 16 * 1024;
const WORD: &[u8] = b"the error";

impl Body for Broken {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let said = &mut self.get_mut().0;
        *said += 1;
        Poll::Ready(Some(match *said {
            ..=PIECES => Ok(Frame::data(Bytes::from_static(&[b'x'; PIECE_BYTES]))),
            said if said == PIECES + 1 => Ok(Frame::data(Bytes::from_static(WORD))),
            _ => Err(Aborted),
        }))
    }
}

/// Whole where the path is `/whole`, broken where it is `/broken`, else endless.
type Answer = Either<Held, Either<Held<Endless>, Held<Broken>>>;

/// Begins at once to answer, as the worker does.
fn answer(
    line: &Rc<Line>,
    path: &str,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + use<> {
    let (open, path) = (line.open(None), path.to_owned());
    async move {
        match &*path {
            "/whole" => {}
            "/broken" => {
                let body = Either::Right(open.hold(Broken(0), false));
                return Ok(Response::new(Either::Right(body)));
            }
            _ => {
                let body = Either::Left(open.hold(Endless, false));
                return Ok(Response::new(Either::Right(body)));
            }
        }
        let reply = async { reply::whole(StatusCode::OK, "text/plain", vec![b'x'; LARGE]) };
        Ok(open
            .reply(std::pin::pin!(reply), || false)
            .await
            .map(Either::Left))
    }
}

/// Serves a connection, and gives back what a consumer has of it.
fn serve(room: usize) -> DuplexStream {
    let (consumer, ours) = duplex(room);
    tokio::task::spawn_local(async move {
        let (_orders, heard) = watch::channel(Order::Run);
        let line = Line::new();
        let of_service = Rc::clone(&line);
        let service = move |request: Request<Inbound>| answer(&of_service, request.uri().path());
        talk(ours, &line, heard, service).await;
    });
    consumer
}

#[derive(Clone)]
struct Here;

impl<F: Future + 'static> Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A consumer of HTTP/2 with room for `WINDOW` on a stream.
async fn consumer() -> SendRequest<Empty<Bytes>> {
    let io = TokioIo::new(serve(64 * 1024));
    let mut builder = Client::new(Here);
    builder
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(io).await.expect("HTTP/2");
    tokio::task::spawn_local(connection);
    sender
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Incoming {
    let request = Request::get(format!("http://x{path}")).body(Empty::new());
    let response = sender.send_request(request.expect("a request"));
    response.await.expect("a response").into_body()
}

/// Reads a piece of a body now and then; how much in all.
async fn dawdle(body: &mut Incoming, pieces: usize, pause: Duration) -> usize {
    let mut read = 0;
    for _ in 0..pieces {
        sleep(pause).await;
        let frame = body.frame().await.expect("not the end").expect("no reset");
        read += frame.into_data().expect("data").len();
    }
    read
}

#[test]
fn a6_a_stream_of_http2_may_be_read_for_longer_than_it_may_stall() {
    timed(async {
        let mut sender = consumer().await;
        let mut endless = get(&mut sender, "/").await;
        dawdle(&mut endless, 20, WRITE_STALL / 4).await;
        let mut whole = get(&mut sender, "/whole").await;
        // Nothing else keeps the connection.
        drop(endless);
        let read = dawdle(&mut whole, 20, WRITE_STALL / 4).await;
        let rest = whole.collect().await.expect("all of it").to_bytes();
        assert_eq!(read + rest.len(), LARGE);
    });
}

#[test]
fn a5_a_stream_of_http2_that_takes_nothing_is_reset_alone() {
    timed(async {
        let mut sender = consumer().await;
        let mut stalled = [
            get(&mut sender, "/").await,
            get(&mut sender, "/whole").await,
        ];
        let mut other = get(&mut sender, "/").await;
        dawdle(&mut other, 10, WRITE_STALL / 4).await;
        for stalled in &mut stalled {
            let mut read = 0;
            while let Some(Ok(frame)) = stalled.frame().await {
                read += frame.into_data().map_or(0, |data| data.len());
            }
            assert!(
                read <= WINDOW as usize,
                "{read}: no more than there was room for"
            );
        }
        dawdle(&mut other, 10, WRITE_STALL / 4).await;
    });
}

/// A consumer's end that reads nothing for a while, once it has read a little.
struct Pausing {
    stream: DuplexStream,
    read: usize,
    pause: Duration,
    over: Option<Pin<Box<Sleep>>>,
}

/// Enough for the head of an answer, and less than the answer.
const A_LITTLE: usize = 4096;

impl AsyncRead for Pausing {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= A_LITTLE {
            let pause = this.pause;
            let over = this.over.get_or_insert_with(|| Box::pin(sleep(pause)));
            if !over.is_elapsed() {
                ready!(over.as_mut().poll(cx));
            }
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.read += buf.filled().len() - before;
        polled
    }
}

impl AsyncWrite for Pausing {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Asks for the broken answer over a connection that holds a KiB, on which nothing is read for so long when its head is there. How
/// much came of it.
async fn reads_late(pause: Duration) -> Vec<u8> {
    let mut builder = Client::new(Here);
    builder.initial_stream_window_size(1 << 20);
    let io = TokioIo::new(Pausing {
        stream: serve(1024),
        read: 0,
        pause,
        over: None,
    });
    let (mut sender, connection) = builder.handshake(io).await.expect("HTTP/2");
    tokio::task::spawn_local(connection);
    let mut body = get(&mut sender, "/broken").await;
    let mut read = Vec::new();
    loop {
        match body.frame().await.expect("no clean end") {
            Ok(frame) => read.extend_from_slice(&frame.into_data().expect("data")),
            Err(_) => return read,
        }
    }
}

#[test]
fn b9_the_last_words_on_http2_leave_when_their_reader_reads() {
    timed(async {
        for pause in [Duration::ZERO, SECOND, WRITE_STALL - SECOND] {
            let read = reads_late(pause).await;
            assert_eq!(read.len(), PIECES * PIECE_BYTES + WORD.len(), "{pause:?}");
            assert!(read.ends_with(WORD));
        }
    });
}

#[test]
fn a5_last_words_on_http2_wait_no_longer_than_any_others() {
    timed(async {
        let read = reads_late(WRITE_STALL + SECOND).await;
        assert!(read.len() < PIECES * PIECE_BYTES, "{}", read.len());
    });
}

#[test]
fn d10_a_connection_of_http2_is_idle_when_its_last_stream_ends() {
    timed(async {
        let mut consumer = serve(64 * 1024);
        let began = Instant::now();
        let mut read = Vec::new();
        consumer.read_to_end(&mut read).await.expect("closed");
        assert!(began.elapsed() <= HEAD_TIMEOUT + SECOND);
        let mut sender = self::consumer().await;
        get(&mut sender, "/whole")
            .await
            .collect()
            .await
            .expect("a body");
        let began = Instant::now();
        while !sender.is_closed() {
            sleep(SECOND).await;
        }
        assert!(began.elapsed() >= IDLE_TIMEOUT && began.elapsed() <= IDLE_TIMEOUT + 2 * SECOND);
    });
}
