use super::{IDLE_TIMEOUT, Refused, Service, talk};
use crate::inbound;
use crate::incoming::Incoming;
use crate::worker::Order;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use llmleaf_exchange::Aborted;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

mod course;

const SECOND: Duration = Duration::from_secs(1);
/// An answer that no buffer on the way holds.
const LARGE: usize = 1 << 20;

/// Runs a test in simulated time: whoever waits moves the clock.
fn timed<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(test)
}

/// What an answer's body does next.
enum Step {
    Piece(Bytes),
    Wait(Pin<Box<Sleep>>),
    /// What comes of the request's body, to its end.
    Read(Incoming),
    Cut,
}

struct Script {
    steps: VecDeque<Step>,
    exact: Option<u64>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.steps.front_mut() {
            Some(Step::Wait(sleep)) => {
                ready!(sleep.as_mut().poll(cx));
                self.steps.pop_front();
            }
            Some(Step::Read(body)) => {
                if let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) {
                    return Poll::Ready(Some(frame.map_err(|_| Aborted)));
                }
                self.steps.pop_front();
            }
            _ => {}
        }
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Piece(piece)) => Some(Ok(Frame::data(piece))),
            Some(Step::Cut) => Some(Err(Aborted)),
            Some(Step::Wait(_) | Step::Read(_)) | None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map(SizeHint::with_exact).unwrap_or_default()
    }
}

fn script(steps: impl IntoIterator<Item = Step>) -> Script {
    let steps = steps.into_iter().collect();
    Script { steps, exact: None }
}

fn whole(text: impl Into<Bytes>) -> Script {
    let text = text.into();
    let exact = Some(text.len() as u64);
    let steps = [Step::Piece(text)].into();
    Script { steps, exact }
}

/// What the service saw.
#[derive(Default)]
struct Seen {
    requests: RefCell<Vec<String>>,
    /// The body of a request that was kept beyond it.
    kept: RefCell<Option<Incoming>>,
    /// Answers that were begun, and dropped before they were made.
    dropped: Cell<usize>,
}

struct Answers(Rc<Seen>);

/// Counts itself when an answer is not made.
struct Unmade<'s>(&'s Seen, bool);

impl Drop for Unmade<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.dropped.set(self.0.dropped.get() + 1);
        }
    }
}

impl Service for Answers {
    type Body = Script;

    async fn answer(&self, request: Request<Incoming>) -> Response<Script> {
        let mut unmade = Unmade(&self.0, true);
        let path = request.uri().path().to_owned();
        self.0.requests.borrow_mut().push(path.clone());
        let piece = |text: &'static str| Step::Piece(Bytes::from_static(text.as_bytes()));
        let (parts, body) = request.into_parts();
        let mut response = Response::new(match &*path {
            "/large" => whole(vec![b'x'; LARGE]),
            "/echo" => match inbound::read(&parts.headers, body, 1 << 22).await {
                Ok(body) => whole(body),
                Err(failure) => whole(failure.message.to_string()),
            },
            "/stream-and-read" => script([piece("a"), Step::Read(body)]),
            "/echo-late" => {
                sleep(SECOND / 2).await;
                whole(
                    inbound::read(&parts.headers, body, 1 << 22)
                        .await
                        .expect("a body"),
                )
            }
            "/unread" => whole("no"),
            "/later" => {
                sleep(SECOND).await;
                whole("ok")
            }
            "/keep" => {
                self.0.kept.replace(Some(body));
                sleep(SECOND).await;
                whole("kept")
            }
            "/never" => std::future::pending().await,
            "/slow" => {
                sleep(Duration::from_secs(3600)).await;
                whole("late")
            }
            "/stream" => script([
                piece("a"),
                Step::Wait(Box::pin(sleep(SECOND))),
                piece("bc"),
                Step::Piece(Bytes::from(vec![b'y'; 20_000])),
                piece("d"),
            ]),
            "/broken" => script([
                piece("a"),
                Step::Piece(Bytes::from(vec![b'y'; 50_000])),
                piece("the error"),
                Step::Cut,
            ]),
            "/forever" => script([piece("a"), Step::Wait(Box::pin(sleep(100 * IDLE_TIMEOUT)))]),
            "/short" => script([piece("ab")]),
            "/long" => script([piece("abcdef")]),
            _ => whole("ok"),
        });
        if ["/short", "/long"].contains(&&*path) {
            let length = HeaderValue::from_static("3");
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        if path == "/none" {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        unmade.1 = false;
        response
    }

    fn refuse(&self, refused: Refused) -> Response<Script> {
        let mut response = Response::new(whole(refused.failure.message.to_string()));
        let status = refused.failure.status.expect("a status");
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response
    }
}

/// A consumer of a connection that is served, and what is seen at its other end.
struct Served {
    consumer: DuplexStream,
    seen: Rc<Seen>,
    orders: watch::Sender<Order>,
    ended: tokio::task::JoinHandle<()>,
}

fn serve(room: usize) -> Served {
    let (consumer, ours) = duplex(room);
    let seen = Rc::<Seen>::default();
    let (orders, heard) = watch::channel(Order::Run);
    let answers = Answers(Rc::clone(&seen));
    let ended = tokio::task::spawn_local(async move {
        talk(Box::new(ours), answers, &Rc::default(), heard).await;
    });
    Served {
        consumer,
        seen,
        orders,
        ended,
    }
}

/// A request after which there is no other.
const LAST: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

impl Served {
    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.consumer.write_all(text.as_ref()).await.expect("sent");
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        self.consumer.read_to_end(&mut all).await.expect("the end");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Reads until what came ends so.
    async fn until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        while !all.ends_with(end.as_bytes()) {
            let came = self.consumer.read_buf(&mut all).await.expect("more");
            let text = String::from_utf8_lossy(&all);
            assert!(came > 0, "the end, after {text:?}");
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// The body of an answer, with its head before it.
fn parted(answer: &str) -> (&str, &str) {
    answer.split_once("\r\n\r\n").expect("a head")
}

#[test]
fn answers_are_framed_as_their_bodies_are() {
    timed(async {
        let mut served = serve(1 << 16);
        served.send(get("/")).await;
        let answer = served.until("ok").await;
        let (head, body) = parted(&answer);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-length: 2") && head.contains("date: "));
        assert!(!head.contains("connection") && body == "ok");

        served.send(get("/stream")).await;
        let answer = served.until("\r\n0\r\n\r\n").await;
        let (head, body) = parted(&answer);
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let large = "y".repeat(20_000);
        let expected = format!("1\r\na\r\n2\r\nbc\r\n4e20\r\n{large}\r\n1\r\nd\r\n0\r\n\r\n");
        assert_eq!(body, expected);

        served.send("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = served.until("\r\n\r\n").await;
        assert!(answer.contains("content-length: 2"), "{answer}");
        served.send(get("/none")).await;
        let answer = served.until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert!(!answer.contains("content-length") && !answer.contains("chunked"));
        assert_eq!(served.seen.requests.borrow().len(), 4);
    });
}

#[test]
fn http_1_0_is_answered_to_the_end_of_the_connection_or_by_length() {
    timed(async {
        let mut served = serve(1 << 16);
        served
            .send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            .await;
        let answer = served.until("ok").await;
        assert!(answer.contains("connection: keep-alive"), "{answer}");
        served.send("GET /stream HTTP/1.0\r\n\r\n").await;
        let answer = served.rest().await;
        let (head, body) = parted(&answer);
        assert!(head.contains("connection: close") && !head.contains("chunked"));
        assert_eq!(body.len(), 1 + 2 + 20_000 + 1);
    });
}

#[test]
fn b8_b9_an_answer_that_ends_where_it_should_not_is_seen_to() {
    timed(async {
        let mut served = serve(512);
        served.send(get("/broken")).await;
        let answer = served.rest().await;
        assert!(answer.ends_with("9\r\nthe error\r\n"), "all that was said");
        for (path, body) in [("/short", "ab"), ("/long", "abc")] {
            let mut served = serve(512);
            served.send(get(path)).await;
            served.send(get("/")).await;
            let answer = served.rest().await;
            assert_eq!(parted(&answer).1, body, "and no second answer");
        }
    });
}

/// Requests of each kind, and the bodies that they have.
fn requests() -> Vec<(String, &'static str)> {
    let chunked = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                   3;x=y\r\na\r\n\r\n2\r\nbc\r\n0\r\nt: r\r\n\r\n";
    let length = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\na\n\n\r\nb";
    vec![
        (get("/"), "ok"),
        (length.to_owned(), "a\n\n\r\nb"),
        (chunked.to_owned(), "a\r\nbc"),
        (format!("\r\n\r\n{length}"), "a\n\n\r\nb"),
        (get("/"), "ok"),
    ]
}

/// Sends bytes in pieces, each when the one before was read.
async fn in_pieces(bytes: &[u8], cuts: &[usize]) -> String {
    let mut served = serve(1 << 16);
    let mut start = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        served.send(&bytes[start..cut]).await;
        sleep(Duration::from_millis(1)).await;
        start = cut;
    }
    served.orders.send_replace(Order::Drain);
    served.rest().await
}

#[test]
fn d1_requests_are_the_same_however_they_are_cut() {
    let all = requests();
    let bytes: String = all.iter().map(|(text, _)| text.as_str()).collect();
    let expected: Vec<_> = all.iter().map(|(_, body)| *body).collect();
    timed(async {
        let each: Vec<usize> = (0..bytes.len()).collect();
        for cuts in each.iter().map(|cut| vec![*cut]).chain([each.clone()]) {
            let answers = in_pieces(bytes.as_bytes(), &cuts).await;
            let bodies = answers.split("HTTP/1.1 200 OK\r\n").skip(1);
            let bodies: Vec<_> = bodies.map(|answer| parted(answer).1).collect();
            assert_eq!(bodies, expected, "cut at {cuts:?}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bodies_of_any_size_come_as_they_were_sent(
        sizes in prop::collection::vec(0usize..60_000, 1..6),
        chunked in any::<bool>(),
        piece in 1usize..40_000,
        room in 64usize..70_000,
    ) {
        timed(async {
            let body: Vec<u8> = (0..sizes.iter().sum()).map(|at: usize| (at % 251) as u8).collect();
            let mut text = b"POST /echo HTTP/1.1\r\nhost: x\r\n".to_vec();
            if chunked {
                text.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                let mut at = 0;
                for size in sizes.iter().filter(|size| **size > 0) {
                    text.extend_from_slice(format!("{size:X}\r\n").as_bytes());
                    text.extend_from_slice(&body[at..at + size]);
                    text.extend_from_slice(b"\r\n");
                    at += size;
                }
                text.extend_from_slice(b"0\r\n\r\n");
            } else {
                text.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            }
            if !chunked {
                text.extend_from_slice(&body);
            }
            text.extend_from_slice(LAST.as_bytes());
            let served = serve(room);
            let (mut reads, mut writes) = tokio::io::split(served.consumer);
            let sending = async {
                for piece in text.chunks(piece) {
                    writes.write_all(piece).await.expect("sent");
                }
            };
            let mut answers = Vec::new();
            let (_, read) = tokio::join!(sending, reads.read_to_end(&mut answers));
            read.expect("the end");
            let begin = answers.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
            let came = answers[begin..].iter().zip(&body).take_while(|(a, b)| a == b).count();
            assert_eq!(came, body.len(), "{:?}", String::from_utf8_lossy(&answers[..begin]));
            let rest = String::from_utf8_lossy(&answers[begin + body.len()..]).into_owned();
            assert!(rest.starts_with("HTTP/1.1 200 OK") && rest.ends_with("\r\n\r\nok"), "{rest}");
        });
    }
}

#[test]
fn d3_a_body_that_is_not_well_chunked_ends_the_connection() {
    for body in [
        "x\r\n",
        "3\r\nabcd\r\n",
        "3\nabc",
        "10000000000000000\r\n",
        "1;\n",
        "-1\r\n",
        "0\r\nno field\r\n\r\n",
    ] {
        timed(async {
            let mut served = serve(1 << 16);
            let head = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
            served.send(format!("{head}{body}{}", get("/"))).await;
            let answer = served.rest().await;
            assert!(answer.contains("connection: close"), "{body:?}: {answer}");
            assert!(answer.ends_with("cut off"), "{body:?}: {answer}");
            assert_eq!(served.seen.requests.borrow().len(), 1);
        });
    }
}

#[test]
fn what_is_refused_is_told_why_and_nothing_more_is_read() {
    timed(async {
        let mut served = serve(1 << 16);
        served.send("GET / HTTP/1.1\r\nhost: x\n\r\n").await;
        served.send(get("/")).await;
        let answer = served.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer}"
        );
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("without a carriage return"), "{answer}");
        assert!(served.seen.requests.borrow().is_empty());
    });
}

/// Asks over a real connection by HTTP/1.0, and does something while the answer is on its way; how the answer ended.
fn http_1_0(path: &str, meanwhile: impl AsyncFnOnce(&mut TcpStream)) -> std::io::Result<usize> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut consumer = TcpStream::connect(address).await.expect("connected");
        let (ours, _) = listener.accept().await.expect("accepted");
        let (_orders, heard) = watch::channel(Order::Run);
        let talks = tokio::task::spawn_local(async move {
            let answers = Answers(Rc::default());
            talk(Box::new(ours), answers, &Rc::default(), heard).await;
        });
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        consumer.write_all(request.as_bytes()).await.expect("sent");
        let mut all = vec![0; 1];
        consumer.read_exact(&mut all).await.expect("a beginning");
        meanwhile(&mut consumer).await;
        if path == "/forever" {
            talks.abort();
        }
        consumer.read_to_end(&mut all).await
    })
}

#[test]
fn b8_an_answer_to_http_1_0_that_does_not_end_does_not_end_clean() {
    let nothing = async |_: &mut TcpStream| {};
    let half_closes = async |consumer: &mut TcpStream| {
        consumer.shutdown().await.expect("half closed");
    };
    http_1_0("/stream", nothing).expect("a clean end");
    let unclean = [
        http_1_0("/broken", nothing),
        // It is stopped, as by a fault or the end of the program.
        http_1_0("/forever", nothing),
        http_1_0("/stream", half_closes),
    ];
    for unclean in unclean {
        let error = unclean.expect_err("no end");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
