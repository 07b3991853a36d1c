use super::{Guard, HEAD_TIMEOUT, IDLE_TIMEOUT, LINGER, MOST_AHEAD, WRITE_STALL};
use crate::line::Line;
use crate::reply;
use http::StatusCode;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test in simulated time: whoever waits moves the clock.
fn timed(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(test);
}

/// A consumer, the guard of its connection, and what is known of that.
fn connected() -> (DuplexStream, Guard<DuplexStream>, Rc<Line>) {
    let (consumer, ours) = duplex(1024);
    let line = Line::new(false);
    (consumer, Guard::new(ours, Rc::clone(&line), false), line)
}

/// One request of that connection, answered.
async fn answer(line: &Rc<Line>) {
    let whole = std::pin::pin!(async { reply::whole(StatusCode::OK, "text/plain", "") });
    drop(line.open(None).reply(whole, || false).await);
}

/// Reads until the guard gives the connection up; how long that took.
async fn until_timeout(guard: &mut Guard<DuplexStream>) -> Duration {
    let started = Instant::now();
    let mut bytes = Vec::new();
    let error = guard.read_to_end(&mut bytes).await.expect_err("gives up");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    started.elapsed()
}

#[test]
fn d10_a_connection_that_says_nothing_is_closed_soon() {
    timed(async {
        let (_consumer, mut guard, _line) = connected();
        let took = until_timeout(&mut guard).await;
        assert!(
            took >= HEAD_TIMEOUT && took < HEAD_TIMEOUT + SECOND,
            "{took:?}"
        );
    });
}

#[test]
fn d10_a_head_that_drips_is_given_ten_seconds_and_a_408() {
    timed(async {
        let (mut consumer, mut guard, _line) = connected();
        let dripping = async {
            for byte in b"GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyy" {
                if consumer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(SECOND).await;
            }
            consumer
        };
        let (took, mut consumer) = tokio::join!(
            async {
                let took = until_timeout(&mut guard).await;
                drop(guard);
                took
            },
            dripping
        );
        assert!(
            took >= HEAD_TIMEOUT && took < HEAD_TIMEOUT + SECOND,
            "{took:?}"
        );
        let mut told = String::new();
        consumer.read_to_string(&mut told).await.expect("text");
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    });
}

#[test]
fn d10_between_requests_a_connection_may_be_idle_for_a_minute() {
    timed(async {
        let (mut consumer, mut guard, line) = connected();
        for _ in 0..3 {
            consumer
                .write_all(b"GET / HTTP/1.1\r\n\r\n")
                .await
                .expect("sent");
            let mut head = [0; 18];
            guard.read_exact(&mut head).await.expect("a head");
            answer(&line).await;
            let waited = tokio::time::timeout(IDLE_TIMEOUT - SECOND, guard.read_u8()).await;
            assert!(waited.is_err(), "it is still open");
        }
        let took = until_timeout(&mut guard).await;
        assert!(took <= SECOND, "{took:?}");
    });
}

#[test]
fn d10_while_a_request_is_answered_nobody_is_hurried() {
    timed(async {
        let (mut consumer, mut guard, line) = connected();
        let open = line.open(None);
        // Half of the next request is there already.
        consumer
            .write_all(b"\r\n\r\nGET /next HTTP/1.1\r\n")
            .await
            .expect("sent");
        let waited = tokio::time::timeout(10 * IDLE_TIMEOUT, guard.read_u8()).await;
        assert!(waited.is_err());
        drop(open);
        let mut half = [0; 20];
        guard.read_exact(&mut half).await.expect("a head");
        assert_eq!(&half, b"GET /next HTTP/1.1\r\n");
        let took = until_timeout(&mut guard).await;
        assert!(
            took >= HEAD_TIMEOUT && took < HEAD_TIMEOUT + SECOND,
            "{took:?}"
        );
    });
}

#[test]
fn a1_a9_who_has_sent_more_already_is_heard_hanging_up() {
    timed(async {
        for more in ["\r\n", "\r\n\r\n", "GET /next HTTP/1.1\r\n\r\n", "G"] {
            let (mut consumer, mut guard, line) = connected();
            let requests = format!("GET / HTTP/1.1\r\n\r\n{more}");
            consumer.write_all(requests.as_bytes()).await.expect("sent");
            let mut first = [0; 100];
            assert_eq!(guard.read(&mut first).await.expect("one request"), 18);
            let _open = line.open(None);
            let waited = tokio::time::timeout(SECOND, guard.read_u8()).await;
            assert!(waited.is_err(), "it waits its turn: {more:?}");
            consumer.write_all(b"more").await.expect("sent");
            drop(consumer);
            // Whoever reads hears it, and so does whoever writes: hyper does not read while a request is answered.
            let heard = [guard.read(&mut first).await.map(drop), guard.flush().await];
            for heard in heard {
                let error = heard.expect_err("an end");
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{more:?}");
            }
        }
    });
}

#[test]
fn a9_what_waits_behind_a_request_is_bounded_and_comes_in_order() {
    timed(async {
        let (mut consumer, mut guard, line) = connected();
        let request = "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
        let all = request.repeat(1000);
        let sent = std::cell::Cell::new(0);
        let sending = async {
            for piece in all.as_bytes().chunks(100) {
                consumer.write_all(piece).await.expect("sent");
                sent.set(sent.get() + piece.len());
            }
        };
        let reading = async {
            let mut buf = vec![0; 64 << 10];
            for answered in 1..=1000 {
                let read = guard.read(&mut buf).await.expect("a request");
                assert_eq!(&buf[..read], request.as_bytes());
                let open = line.open(None);
                let waited = tokio::time::timeout(SECOND, guard.read(&mut buf)).await;
                assert!(waited.is_err());
                let behind = sent.get() - answered * request.len();
                assert!(behind <= MOST_AHEAD + 4096, "{behind}");
                let whole = async { reply::whole(StatusCode::OK, "text/plain", "") };
                drop(open.reply(std::pin::pin!(whole), || false).await);
            }
        };
        tokio::join!(sending, reading);
    });
}

#[test]
fn a5_d10_who_takes_nothing_of_its_answer_is_given_up() {
    timed(async {
        let (mut consumer, mut guard, line) = connected();
        let _open = line.open(None);
        let started = Instant::now();
        let writing = async {
            let error = guard
                .write_all(&[b'x'; 8 << 10])
                .await
                .expect_err("gives up");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        };
        let reading = async {
            // As long as something is taken now and then, it may take its time.
            for _ in 0..5 {
                advance(WRITE_STALL - SECOND).await;
                let mut piece = [0; 1024];
                consumer.read_exact(&mut piece).await.expect("a piece");
            }
            Instant::now()
        };
        let ((), last) = tokio::join!(writing, reading);
        assert!(last - started > 4 * WRITE_STALL - 10 * SECOND);
        assert!(last.elapsed() >= WRITE_STALL - SECOND);
    });
}

#[test]
fn d4_who_is_still_sending_is_listened_to_for_a_moment_and_an_amount() {
    timed(async {
        for sends in [0, 64 << 10, 64 << 20] {
            let (mut consumer, mut guard, _line) = connected();
            consumer
                .write_all(b"POST / HTTP/1.1\r\ncontent-length: 100000000\r\n\r\n")
                .await
                .expect("sent");
            let mut head = [0; 46];
            guard.read_exact(&mut head).await.expect("a head");
            let started = Instant::now();
            let sending = async {
                let mut sent = 0;
                while sent < sends && consumer.write_all(&[b'x'; 1024]).await.is_ok() {
                    sent += 1024;
                }
                sent
            };
            let ((), sent) = tokio::join!(
                async {
                    guard.shutdown().await.expect("closed");
                    drop(guard);
                },
                sending
            );
            assert!(sent >= sends.min(1 << 20) && sent <= 2 << 20, "{sent}");
            assert!(started.elapsed() <= LINGER + SECOND);
        }
    });
}

#[test]
fn d4_a_connection_that_is_done_closes_at_once() {
    timed(async {
        let (mut consumer, mut guard, _line) = connected();
        consumer
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("sent");
        let mut head = [0; 18];
        guard.read_exact(&mut head).await.expect("a head");
        let started = Instant::now();
        guard.shutdown().await.expect("closed");
        assert_eq!(started.elapsed(), Duration::ZERO);
    });
}

#[test]
fn d14_who_throws_its_answers_away_loses_its_connection() {
    timed(async {
        let (mut consumer, mut guard, line) = connected();
        let mut left = 0;
        while !line.is_abusive() {
            drop(line.open(None));
            left += 1;
        }
        assert!((50..1000).contains(&left), "{left}");
        consumer.write_all(b"x").await.expect("sent");
        let error = guard.read_u8().await.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);

        let (_, _, fair) = connected();
        for _ in 0..10_000 {
            drop(fair.open(None));
            answer(&fair).await;
        }
        assert!(
            !fair.is_abusive(),
            "each that it took to the end makes up for one"
        );
    });
}
