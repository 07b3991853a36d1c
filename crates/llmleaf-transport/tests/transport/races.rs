//! Idle connections that close while a request is on its way: a hundred, or as many as `LLMLEAF_RACES` says.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use llmleaf_transport::Origin;

use crate::support::{CONNECT_TIMEOUT, OK, pool, post};

/// The latest that a connection closes after its answer.
const LATEST: Duration = Duration::from_micros(100);

fn races() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of this test, not the program's configuration"
    )]
    let set = std::env::var("LLMLEAF_RACES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Answers one request and closes, a little later each time. Whether another request had come by then.
fn serve(mut stream: TcpStream, round: usize) -> std::io::Result<bool> {
    let (mut request, mut byte) = (Vec::new(), [0; 1]);
    while !request.ends_with(b"\r\n\r\n{}") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    stream.write_all(OK.as_bytes())?;
    let pause = LATEST * u32::try_from(round % 64).unwrap_or(0) / 64;
    let answered = Instant::now();
    while answered.elapsed() < pause {
        std::hint::spin_loop();
    }
    stream.set_nonblocking(true)?;
    Ok(stream.peek(&mut byte).is_ok_and(|came| came > 0))
}

#[tokio::test]
async fn b17_of_many_requests_that_cross_a_close_none_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let (origin, _) = Origin::parse(&format!("http://{address}")).expect("origin");
    let (origin, pool, count) = (Arc::new(origin), pool(), races());
    let crossed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&crossed);
    let server = std::thread::spawn(move || {
        for round in 0..count {
            let (stream, _) = listener.accept().expect("accept");
            if serve(stream, round).expect("a request") {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    for round in 0..count {
        let response = pool.call(&origin, post("{}"), CONNECT_TIMEOUT).await;
        let response = response.unwrap_or_else(|error| panic!("{round}: {error}"));
        let body = response.body.collect(99).await;
        assert_eq!(body.as_deref(), Ok(&b"ok"[..]), "{round}");
    }
    server.join().expect("each answered one request");
    println!(
        "{count} closes, {} crossed a request",
        crossed.load(Ordering::Relaxed)
    );
}
