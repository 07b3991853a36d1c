use super::{Bounds, Fault, Handshake, Message, Received, Role, WebSocket};
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const MOST: usize = 1 << 20;
const MASK: [u8; 4] = [7, 0, 255, 129];

/// What a peer's bytes come to.
#[derive(Clone, Debug, PartialEq)]
enum Comes {
    /// A message of so many bytes.
    Whole(usize),
    /// An end that the peer told, with this code.
    Closed(u16),
    /// An end that the peer is told, with this code.
    Broken(u16),
    /// An end without a word.
    Gone,
}
use Comes::{Broken, Closed, Gone, Whole};

/// A frame: its first byte and its payload; masked as whoever sends it to `role` must.
fn frame(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    frame_as(role == Role::Server, first, payload)
}

fn frame_as(masked: bool, first: u8, payload: &[u8]) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(bit | u8::try_from(short).expect("short")),
        middle @ 126..65_536 => {
            bytes.push(bit | 126);
            bytes.extend(u16::try_from(middle).expect("middle").to_be_bytes());
        }
        long => {
            bytes.push(bit | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend(MASK);
        let masked = payload.iter().zip(MASK.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    } else {
        bytes.extend(payload);
    }
    bytes
}

fn closing(code: u16, why: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), why].concat()
}

/// Cases for one end, by the names that a failure is told with.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn cases(role: Role) -> Vec<(String, Vec<u8>, Comes)> {
    let mut all = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>, comes| all.push((name, bytes, comes));
    let f = |first, payload: &[u8]| frame(role, first, payload);
    for rsv in 1..8_u8 {
        for opcode in [0, 1, 2, 8, 9] {
            add(
                format!("rsv {rsv} opcode {opcode}"),
                f(0x80 | rsv << 4 | opcode, b""),
                Broken(1002),
            );
        }
    }
    for opcode in (3..8).chain(11..16) {
        for fin in [0x80, 0] {
            add(
                format!("opcode {opcode} fin {fin}"),
                f(fin | opcode, b"x"),
                Broken(1002),
            );
        }
    }
    for opcode in [1, 2, 8, 9, 10] {
        let bytes = frame_as(role == Role::Client, 0x80 | opcode, b"");
        add(format!("wrong mask opcode {opcode}"), bytes, Broken(1002));
    }
    for opcode in [8, 9, 10] {
        add(
            format!("cut control {opcode}"),
            f(opcode, b""),
            Broken(1002),
        );
        add(
            format!("long control {opcode}"),
            f(0x80 | opcode, &[b'x'; 126]),
            Broken(1002),
        );
    }
    add("close of one byte".into(), f(0x88, b"x"), Broken(1002));
    add("close without a code".into(), f(0x88, b""), Closed(1005));
    add(
        "close with words".into(),
        f(0x88, &closing(1000, b"bye")),
        Closed(1000),
    );
    add(
        "close with bad words".into(),
        f(0x88, &closing(1000, b"\xff")),
        Broken(1007),
    );
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999,
    ] {
        add(
            format!("close {code}"),
            f(0x88, &closing(code, b"")),
            Closed(code),
        );
    }
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        add(
            format!("close {code}"),
            f(0x88, &closing(code, b"")),
            Closed(1002),
        );
    }
    for (at, text) in BAD_TEXTS.iter().enumerate() {
        add(format!("bad text {at}"), f(0x81, text), Broken(1007));
        let cut = [f(1, b"good "), f(0x80, text)].concat();
        add(format!("bad text {at} cut"), cut, Broken(1007));
    }
    let euro = "€".as_bytes();
    add(
        "a letter cut".into(),
        [f(1, &euro[..1]), f(0, &euro[1..2]), f(0x80, &euro[2..])].concat(),
        Whole(3),
    );
    add("continues nothing".into(), f(0x80, b"x"), Broken(1002));
    add("continues nothing, cut".into(), f(0, b"x"), Broken(1002));
    for opcode in [1, 2] {
        for inner in [1, 2] {
            let bytes = [f(opcode, b"x"), f(0x80 | inner, b"y")].concat();
            add(format!("{inner} within {opcode}"), bytes, Broken(1002));
        }
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, MOST] {
            add(
                format!("{opcode} of {length}"),
                f(0x80 | opcode, &vec![b'x'; length]),
                Whole(length),
            );
        }
        for count in [2, 3, 100] {
            let mut bytes = f(opcode, b"x");
            (2..count).for_each(|_| bytes.extend(f(0, b"x")));
            bytes.extend(f(0x80, b"x"));
            add(format!("{opcode} in {count}"), bytes, Whole(count));
        }
        let between = [
            f(opcode, b"x"),
            f(0x89, b"there?"),
            f(0x8a, b""),
            f(0x80, b"y"),
        ]
        .concat();
        add(format!("pings within {opcode}"), between, Whole(2));
        add(
            format!("{opcode} too long"),
            f(0x80 | opcode, &vec![b'x'; MOST + 1]),
            Broken(1009),
        );
        let half = vec![b'x'; MOST / 2 + 1];
        let halves = [f(opcode, &half), f(0x80, &half)].concat();
        add(format!("{opcode} too long in two"), halves, Broken(1009));
        for length in [MOST as u64 + 1, 1 << 30, 1 << 62, u64::MAX] {
            let mask = if role == Role::Server { 0x80 } else { 0 };
            let bytes = [
                &[0x80 | opcode, mask | 127][..],
                &length.to_be_bytes(),
                &MASK,
            ]
            .concat();
            add(format!("{opcode} says {length}"), bytes, Broken(1009));
        }
        let whole = f(0x80 | opcode, b"abc");
        add(
            format!("{opcode} breaks off"),
            whole[..whole.len() - 1].to_vec(),
            Gone,
        );
    }
    add("nothing".into(), Vec::new(), Gone);
    add("no more than a mark".into(), vec![0x81], Gone);
    let many = |opcode: u8| (0..1000).flat_map(|_| f(0x80 | opcode, b"x")).collect();
    add("a flood of pings".into(), many(9), Broken(1008));
    add("a flood of pongs".into(), many(10), Broken(1008));
    let some: Vec<u8> = (0..100).flat_map(|_| f(0x89, b"x")).collect();
    add(
        "some pings".into(),
        [some, f(0x81, b"x")].concat(),
        Whole(1),
    );
    all
}

/// What is no UTF-8: stray and missing continuations, over-long forms, surrogates, what is beyond the last letter.
const BAD_TEXTS: &[&[u8]] = &[
    b"\x80",
    b"\xbf",
    b"\xff",
    b"\xfe",
    b"a\x80b",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xe0\x80\x80",
    b"\xf0\x80\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xc2",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xc2\xc2\x80",
    b"\xce\xba\xed\xa0\x80",
];

async fn open(role: Role) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(4 * MOST);
    let bounds = Bounds {
        message_bytes: MOST,
        ping: Duration::from_secs(15),
        unheard: 3,
    };
    (WebSocket::new(near, b"", role, bounds).await, far)
}

async fn received(socket: &mut WebSocket<DuplexStream>) -> Received {
    poll_fn(|cx| socket.poll_next(cx)).await
}

/// The code of the close among the frames that were written.
async fn told(far: &mut DuplexStream, masked: bool) -> u16 {
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.expect("it reads");
    let mut rest = &bytes[..];
    loop {
        let (first, length) = (rest[0], usize::from(rest[1] & 0x7f));
        assert_eq!(rest[1] & 0x80 != 0, masked);
        let head = if masked { 6 } else { 2 };
        let key: &[u8] = if masked { &rest[2..6] } else { &[0; 4] };
        let payload = &rest[head..head + length];
        if first == 0x88 {
            return u16::from_be_bytes([payload[0] ^ key[0], payload[1] ^ key[1]]);
        }
        rest = &rest[head + length..];
    }
}

async fn check(role: Role, name: &str, bytes: &[u8], comes: &Comes) {
    let (mut socket, mut far) = open(role).await;
    far.write_all(bytes).await.expect("it takes them");
    if *comes == Gone {
        drop(far);
        let last = received(&mut socket).await;
        assert!(
            matches!(last, Received::Failed(Fault::Gone)),
            "{role:?} {name}: {last:?}"
        );
        return;
    }
    let found = match received(&mut socket).await {
        Received::Message(message) => Whole(message.len()),
        Received::Closed(close) => Closed(close.map_or(1005, |close| close.code.into())),
        Received::Failed(Fault::Broken(close)) => {
            let code = u16::from(close.code);
            // It is told, and the words have left when the socket goes.
            let waits = Duration::from_millis(1);
            socket.close(Some(close), waits).await;
            drop(socket);
            assert_eq!(
                told(&mut far, role == Role::Client).await,
                code,
                "{role:?} {name}"
            );
            Broken(code)
        }
        other => panic!("{role:?} {name}: {other:?}"),
    };
    assert_eq!(found, *comes, "{role:?} {name}");
}

#[tokio::test(start_paused = true)]
async fn j4_j5_each_frame_comes_to_what_the_standard_says() {
    let mut count = 0;
    for role in [Role::Server, Role::Client] {
        for (name, bytes, comes) in cases(role) {
            check(role, &name, &bytes, &comes).await;
            count += 1;
        }
    }
    assert!(count >= 300, "{count}");
}

#[tokio::test(start_paused = true)]
async fn a_message_in_pieces_of_a_byte_is_one_however_it_is_cut() {
    for role in [Role::Server, Role::Client] {
        let (mut socket, mut far) = open(role).await;
        let mut bytes = frame(role, 1, b"x");
        (0..10_000).for_each(|_| bytes.extend(frame(role, 0, b"x")));
        bytes.extend(frame(role, 0x80, b""));
        bytes.extend(frame(role, 0x81, "€".as_bytes()));
        for piece in bytes.chunks(3) {
            far.write_all(piece).await.expect("it takes them");
        }
        assert!(matches!(received(&mut socket).await, Received::Message(m) if m.len() == 10_001));
        assert!(
            matches!(received(&mut socket).await, Received::Message(Message::Text(t)) if t.as_str() == "€")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_or_takes_nothing_is_given_up() {
    // It takes what is sent, and says nothing.
    let (mut socket, _far) = open(Role::Server).await;
    let began = tokio::time::Instant::now();
    let fault = poll_fn(|cx| socket.poll_clock(true, cx)).await;
    assert_eq!(fault, Fault::Silent);
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    // It is not listened to, and takes nothing.
    let (mut socket, _far) = open(Role::Client).await;
    while poll_fn(|cx| std::task::Poll::Ready(socket.poll_ready(cx).is_ready())).await {
        let text = "x".repeat(MOST);
        socket.send(Message::text(text)).expect("it is kept");
    }
    let fault = poll_fn(|cx| {
        let _ = socket.poll_ready(cx);
        socket.poll_clock(false, cx)
    });
    assert_eq!(fault.await, Fault::Silent);
    assert!(began.elapsed() < Duration::from_secs(180));
    // It answers the question whether it is there.
    let (mut socket, mut far) = open(Role::Server).await;
    let answers = async {
        let mut frame_of = [0; 2];
        for _ in 0..20 {
            far.read_exact(&mut frame_of).await.expect("a ping");
            assert_eq!(frame_of, [0x89, 0]);
            far.write_all(&frame(Role::Server, 0x8a, b""))
                .await
                .expect("it takes it");
        }
    };
    let clock = poll_fn(|cx| {
        assert!(socket.poll_next(cx).is_pending());
        socket.poll_clock(true, cx)
    });
    tokio::select! {
        () = answers => {}
        fault = clock => panic!("{fault:?}"),
    }
}

#[test]
fn a_handshake_agrees_to_what_was_asked_and_to_nothing_else() {
    let mut asked = http::HeaderMap::new();
    let handshake = Handshake::begin(&mut asked);
    let key = asked["sec-websocket-key"].as_bytes();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let good = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", &*accept),
    ];
    let agrees = |headers: &[(&str, &str)]| {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        handshake.agrees(&map)
    };
    assert!(agrees(&good));
    assert!(!agrees(&good[..2]));
    assert!(!agrees(&good[1..]));
    assert!(!agrees(&[good[0], good[1], ("sec-websocket-accept", "x")]));
    assert!(!agrees(&[
        good[0],
        good[1],
        good[2],
        ("sec-websocket-extensions", "permessage-deflate")
    ]));
    assert!(!agrees(&[good[0], good[0], good[1], good[2]]));
    let mut other = http::HeaderMap::new();
    Handshake::begin(&mut other);
    assert_ne!(asked["sec-websocket-key"], other["sec-websocket-key"]);
}
