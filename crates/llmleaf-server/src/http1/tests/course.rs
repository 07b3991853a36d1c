//! How long a connection lives, and what is waited for on it.

use super::super::wire::{LINGER, MOST_AHEAD};
use super::super::{HEAD_TIMEOUT, IDLE_TIMEOUT};
use super::{LARGE, LAST, SECOND, get, serve, timed};
use crate::alarm::WRITE_STALL;
use crate::incoming::Cut;
use crate::worker::Order;
use http_body_util::BodyExt as _;
use std::cell::Cell;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

#[test]
fn d10_a_connection_that_says_nothing_is_closed_soon() {
    timed(async {
        let mut served = serve(1024);
        let began = Instant::now();
        assert_eq!(served.rest().await, "");
        let took = began.elapsed();
        assert!(took >= HEAD_TIMEOUT && took < HEAD_TIMEOUT + SECOND);
    });
}

#[test]
fn d10_a_head_that_drips_is_given_ten_seconds_and_a_408() {
    timed(async {
        let served = serve(1024);
        let (mut reads, mut writes) = tokio::io::split(served.consumer);
        let began = Instant::now();
        let dripping = async {
            for byte in b"GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyy" {
                if writes.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(SECOND).await;
            }
        };
        let mut told = String::new();
        let reading = async {
            reads.read_to_string(&mut told).await.expect("text");
            began.elapsed()
        };
        let (took, ()) = tokio::join!(reading, dripping);
        assert!(took >= HEAD_TIMEOUT && took < HEAD_TIMEOUT + SECOND);
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    });
}

#[test]
fn d10_between_requests_a_connection_may_be_idle_for_a_minute() {
    timed(async {
        let mut served = serve(1024);
        for _ in 0..3 {
            served.send(get("/")).await;
            served.until("ok").await;
            sleep(IDLE_TIMEOUT - SECOND).await;
        }
        let began = Instant::now();
        assert_eq!(served.rest().await, "");
        assert!(began.elapsed() <= SECOND + SECOND / 2);
    });
}

#[test]
fn d10_while_a_request_is_answered_nobody_is_hurried() {
    timed(async {
        let mut served = serve(1024);
        // Half of the next request is there already.
        let half = "\r\n\r\nGET /next HTTP/1.1\r\n";
        served.send(get("/slow") + half).await;
        let began = Instant::now();
        served.until("late").await;
        assert!(began.elapsed() > 10 * IDLE_TIMEOUT);
        let began = Instant::now();
        let told = served.rest().await;
        let took = began.elapsed();
        assert!(took >= HEAD_TIMEOUT && took < HEAD_TIMEOUT + SECOND);
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        assert_eq!(*served.seen.requests.borrow(), ["/slow"]);
    });
}

#[test]
fn a1_a9_who_has_sent_more_already_is_heard_hanging_up() {
    timed(async {
        for path in ["/never", "/forever"] {
            for more in ["", "\r\n", "\r\n\r\n", &get("/next"), "G"] {
                let mut served = serve(1024);
                served.send(get(path) + more).await;
                sleep(SECOND).await;
                assert!(!served.ended.is_finished());
                served.send("more").await;
                drop(served.consumer);
                let heard = timeout(SECOND / 10, served.ended).await;
                heard.expect("heard").expect("no panic");
                assert_eq!(*served.seen.requests.borrow(), [path], "{more:?}");
                assert_eq!(served.seen.dropped.get(), usize::from(path == "/never"));
            }
        }
    });
}

#[test]
fn a1_who_hangs_up_while_nothing_can_be_written_is_heard() {
    timed(async {
        let mut served = serve(64);
        served.send(get("/large")).await;
        sleep(SECOND).await;
        drop(served.consumer);
        let heard = timeout(SECOND / 10, served.ended).await;
        heard.expect("heard").expect("no panic");
    });
}

#[test]
fn a9_what_waits_behind_a_request_is_bounded_and_comes_in_order() {
    timed(async {
        let served = serve(1024);
        let request = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc";
        let all = get("/slow") + &request.repeat(1000);
        let (mut reads, mut writes) = tokio::io::split(served.consumer);
        let sent = Cell::new(0);
        let sending = async {
            for piece in all.as_bytes().chunks(100) {
                writes.write_all(piece).await.expect("sent");
                sent.set(sent.get() + piece.len());
            }
        };
        let reading = async {
            sleep(SECOND).await;
            let ahead = sent.get();
            assert!(ahead <= MOST_AHEAD + 4096, "{ahead}");
            let mut answers = Vec::new();
            while answers.windows(3).filter(|three| three == b"abc").count() < 1000 {
                assert!(reads.read_buf(&mut answers).await.expect("read") > 0);
            }
        };
        tokio::join!(sending, reading);
    });
}

#[test]
fn a5_d10_who_takes_nothing_of_its_answer_is_given_up() {
    timed(async {
        let mut served = serve(1024);
        served.send(get("/large")).await;
        // As long as something is taken now and then, it may take its time.
        for _ in 0..5 {
            sleep(WRITE_STALL - SECOND).await;
            let mut piece = [0; 1024];
            served
                .consumer
                .read_exact(&mut piece)
                .await
                .expect("goes on");
        }
        sleep(WRITE_STALL + SECOND).await;
        let rest = served.rest().await;
        assert!(rest.len() <= 2048, "{}", rest.len());
    });
}

#[test]
fn a6_a_whole_answer_may_be_read_for_longer_than_a_connection_may_be_idle() {
    timed(async {
        let mut served = serve(1024);
        served.send(get("/large")).await;
        let mut read = vec![0; 1024];
        for _ in 0..5 {
            sleep(WRITE_STALL - SECOND).await;
            served
                .consumer
                .read_exact(&mut read)
                .await
                .expect("goes on");
        }
        let began = Instant::now();
        let rest = served.rest().await;
        assert!(rest.len() + 5 * 1024 > LARGE, "all of it: {}", rest.len());
        let took = began.elapsed();
        assert!(took >= IDLE_TIMEOUT - SECOND && took <= IDLE_TIMEOUT + SECOND);
    });
}

#[test]
fn d4_who_is_still_sending_is_told_and_listened_to_for_a_moment_and_an_amount() {
    timed(async {
        for sends in [0, 64 << 10, 64 << 20] {
            let mut served = serve(1024);
            let head = "POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n";
            served.send(head).await;
            let answer = served.until("no").await;
            assert!(answer.contains("connection: close"), "{answer}");
            let began = Instant::now();
            let mut sent = 0;
            while sent < sends && served.consumer.write_all(&[b'x'; 1024]).await.is_ok() {
                sent += 1024;
            }
            assert!(sent >= sends.min(1 << 20) && sent <= 2 << 20, "{sent}");
            served.ended.await.expect("no panic");
            assert!(began.elapsed() <= LINGER + SECOND);
        }
    });
}

#[test]
fn a_small_body_that_nobody_wanted_keeps_its_connection() {
    timed(async {
        for body in [
            "content-length: 6\r\n\r\nabcdef",
            "transfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n",
        ] {
            let mut served = serve(1 << 16);
            let (head, rest) = body.split_at(body.len() - 3);
            served
                .send(format!("POST /later HTTP/1.1\r\nhost: x\r\n{head}"))
                .await;
            sleep(SECOND / 2).await;
            served.send(rest).await;
            let answer = served.until("ok").await;
            assert!(!answer.contains("connection"), "{answer}");
            served.send(LAST).await;
            assert!(served.rest().await.ends_with("ok"));
        }
    });
}

#[test]
fn a4_who_goes_while_nobody_reads_its_body_is_heard() {
    timed(async {
        for sent in ["", "ab"] {
            let mut served = serve(1024);
            let head = "POST /never HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n";
            served.send(format!("{head}{sent}")).await;
            sleep(SECOND).await;
            drop(served.consumer);
            let heard = timeout(SECOND / 10, served.ended).await;
            heard.expect("heard").expect("no panic");
        }
    });
}

#[test]
fn a_body_is_cut_when_its_connection_has_gone_or_gone_on() {
    timed(async {
        let head = "POST /keep HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\n";
        for next in [
            "now",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nno",
            "",
        ] {
            let mut served = serve(1024);
            served.send(head).await;
            sleep(SECOND / 2).await;
            served.send("abcdef").await;
            served.until("kept").await;
            match next {
                // As soon as its answer was made.
                "now" => {}
                "" => drop(served.consumer),
                next => served.send(next).await,
            }
            if next != "now" {
                sleep(SECOND).await;
            }
            let kept = served.seen.kept.take();
            let mut kept = kept.expect("a body");
            let frame = kept.frame().await.expect("no clean end");
            assert_eq!(frame.map(drop), Err(Cut), "{next:?}");
        }
    });
}

#[test]
fn d10_empty_lines_before_a_request_have_an_end() {
    timed(async {
        let mut served = serve(1024);
        served.send("\r\n".repeat(8) + &get("/")).await;
        served.until("ok").await;
        for _ in 0..8 {
            served.send("\r\n").await;
            sleep(SECOND).await;
        }
        served.send("\r\n").await;
        assert!(served.rest().await.starts_with("HTTP/1.1 400 "));
    });
}

#[test]
fn d4_a_connection_that_is_done_closes_at_once() {
    timed(async {
        let mut served = serve(1024);
        let began = Instant::now();
        served.send(LAST).await;
        let answer = served.rest().await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(began.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a12_a_body_is_asked_for_when_somebody_wants_it() {
    timed(async {
        let head = |path| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
            )
        };
        let mut served = serve(1024);
        served.send(head("/echo")).await;
        served.until("HTTP/1.1 100 Continue\r\n\r\n").await;
        served.send("hi").await;
        assert!(served.until("hi").await.starts_with("HTTP/1.1 200 "));
        // Who did not wait is not asked, and who is not wanted neither.
        served.send(head("/echo") + "hi").await;
        assert!(served.until("hi").await.starts_with("HTTP/1.1 200 "));
        served.send(head("/unread")).await;
        assert!(served.rest().await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn who_is_idle_goes_when_told_to_and_who_is_answered_is_answered() {
    timed(async {
        let mut idle = serve(1024);
        idle.send(get("/")).await;
        idle.until("ok").await;
        let mut busy = serve(1 << 16);
        busy.send(get("/stream")).await;
        let mut late = serve(1024);
        sleep(SECOND / 2).await;
        let began = Instant::now();
        for served in [&idle, &busy, &late] {
            served.orders.send_replace(Order::Drain);
        }
        assert_eq!(idle.rest().await, "");
        assert_eq!(began.elapsed(), Duration::ZERO);
        late.send(get("/")).await;
        let answer = late.rest().await;
        assert!(answer.ends_with("ok"), "{answer}");
        assert!(busy.rest().await.ends_with("0\r\n\r\n"));
    });
}

#[test]
fn what_waits_in_the_buffer_comes_before_what_is_read_then() {
    timed(async {
        let body: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
        let mut served = serve(1 << 20);
        let head = format!(
            "POST /echo-late HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        served.send(head).await;
        for piece in body.chunks(7_000) {
            served.send(piece).await;
            sleep(SECOND / 20).await;
        }
        served.send(LAST).await;
        let mut all = Vec::new();
        served
            .consumer
            .read_to_end(&mut all)
            .await
            .expect("the end");
        let begin = all.windows(4).position(|four| four == b"\r\n\r\n");
        let begin = begin.expect("a head") + 4;
        assert!(all[begin..].starts_with(&body), "in order");
        assert!(all.ends_with(b"\r\n\r\nok"));
    });
}

#[test]
fn a12_nobody_is_asked_for_a_body_in_the_midst_of_an_answer() {
    timed(async {
        let mut served = serve(1024);
        let head = "POST /stream-and-read HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                    content-length: 4\r\n\r\n";
        served.send(head).await;
        let mut answer = served.until("1\r\na\r\n").await;
        served.send("body").await;
        answer += &served.rest().await;
        assert!(!answer.contains("100 Continue"), "{answer}");
        assert!(answer.ends_with("4\r\nbody\r\n0\r\n\r\n"), "{answer}");
    });
}
