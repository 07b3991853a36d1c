use super::super::line::Line;
use super::Guard;
use crate::reply;
use http::StatusCode;
use std::io::ErrorKind;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// A consumer, the guard of its connection, and what is known of that.
fn connected() -> (DuplexStream, Guard<DuplexStream>, Rc<Line>) {
    let (consumer, ours) = duplex(1024);
    let line = Line::new();
    (consumer, Guard::new(ours, Rc::clone(&line)), line)
}

/// One request of that connection, answered.
async fn answer(line: &Rc<Line>) {
    let whole = std::pin::pin!(async { reply::whole(StatusCode::OK, "text/plain", "") });
    drop(line.open(None).reply(whole, || false).await);
}

#[tokio::test]
async fn d14_who_throws_its_answers_away_loses_its_connection() {
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
}
