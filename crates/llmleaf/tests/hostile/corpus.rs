//! What a consumer may send to have one request read as two, as none, or as another: a table of pieces, and their products.
//!
//! Every payload is named by its pieces. Its marks say which requests a reader may find in it: `outer` is what the head
//! announces, `inner` stands in bytes that belong to a body and may never become a request, `next` is a request of its own
//! behind it. The pieces follow RFC 9112 (sections 2.2, 3, 5 and 6) and what was published of request smuggling: CL.TE, TE.CL,
//! TE.TE, chunked extensions and bare line feeds.

/// What must come of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// One answer of the 400 class, the end of the connection, nothing upstream.
    Refused,
    /// The requests with these marks go upstream, in this order, and each answer is good.
    Read(&'static [&'static str]),
    /// One reading, in which these requests go upstream, among answers of any kind.
    Told(&'static [&'static str]),
}

/// One payload.
pub struct Payload {
    pub name: String,
    pub bytes: Vec<u8>,
    pub law: Law,
}

/// A body that goes through, with a mark.
pub fn body(mark: &str) -> String {
    format!(
        r#"{{"model":"chat","max_tokens":9,"messages":[{{"role":"user","content":"{mark}"}}]}}"#
    )
}

/// A good request with a mark; the last on its connection.
pub fn good(bearer: &str, mark: &str) -> String {
    let body = body(mark);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A body in one chunk.
pub fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Fields of a head that leave the end of its body to the reader's taste. `{n}` stands for the right length.
pub const FRAMINGS: &[&str] = &[
    // CL.TE and TE.CL
    "content-length: {n}\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: {n}",
    "content-length: 0\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 0",
    "Content-Length: {n}\r\nx: y\r\nTRANSFER-ENCODING: Chunked",
    "transfer-encoding:chunked\r\nx: y\r\ncontent-length:{n}",
    "content-length: {n}\r\ntransfer-encoding: identity",
    "transfer-encoding: \r\ncontent-length: {n}",
    // TE.TE
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    "transfer-encoding: identity\r\ntransfer-encoding: chunked",
    "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\nTransfer-encoding: x",
    "transfer-encoding: chunked, identity",
    "transfer-encoding: identity, chunked",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding: chunked, chunked",
    "transfer-encoding: ,chunked",
    "transfer-encoding: chunked,",
    "transfer-encoding: trailers, chunked",
    // chunked, nearly
    "transfer-encoding: xchunked",
    "transfer-encoding: chunkedx",
    "transfer-encoding: chunk",
    "transfer-encoding: chunked;q=1",
    "transfer-encoding: \"chunked\"",
    "transfer-encoding: 'chunked'",
    "transfer-encoding: chunked chunked",
    "transfer-encoding: chun ked",
    "transfer-encoding: \u{b}chunked",
    "transfer-encoding: chunked\u{b}",
    "transfer-encoding: \u{c}chunked",
    "transfer-encoding: \0chunked",
    "transfer-encoding: chunked\0",
    "transfer-encoding: \u{a0}chunked",
    "transfer-encoding: ch\u{17f}unked",
    "transfer-encoding: gzip",
    "transfer-encoding: deflate",
    "transfer-encoding: cow",
    "transfer-encoding:",
    // the name, nearly
    "transfer-encoding : chunked",
    "transfer-encoding\t: chunked",
    " transfer-encoding: chunked",
    "\ttransfer-encoding: chunked",
    "transfer-encoding\0: chunked",
    "transfer\0-encoding: chunked",
    "transfer encoding: chunked",
    "\u{b}transfer-encoding: chunked",
    "transfer-encoding\r\n : chunked",
    "transfer-encoding:\r\n chunked",
    "transfer-encoding:\n chunked",
    "transfer-encoding chunked",
    // lines, nearly
    "x: y\ntransfer-encoding: chunked",
    "x: y\rtransfer-encoding: chunked",
    "x: y\r\r\ntransfer-encoding: chunked",
    "x: y\n\rtransfer-encoding: chunked",
    "x: y\r\n\ttransfer-encoding: chunked\r\ncontent-length: {n}",
    "x: y\ncontent-length: {n}",
    "x: y\rcontent-length: {n}",
    "x: \0\r\ncontent-length: {n}",
    // two lengths, and no length
    "content-length: {n}\r\ncontent-length: {n}",
    "content-length: {n}\r\ncontent-length: 0",
    "content-length: 0\r\ncontent-length: {n}",
    "content-length: {n}\r\nContent-Length: 1",
    "content-length: {n}, {n}",
    "content-length: {n},0",
    "content-length: 0,{n}",
    "content-length: {n},",
    "content-length: +{n}",
    "content-length: -{n}",
    "content-length: -0",
    "content-length: 0x4f",
    "content-length: {n}.0",
    "content-length: {n}e0",
    "content-length: {n} 0",
    "content-length: {n};x",
    "content-length: \"{n}\"",
    "content-length: 1_0",
    "content-length: \u{663}",
    "content-length: \u{b}{n}",
    "content-length: {n}\0",
    "content-length:",
    "content-length: \t",
    "content-length: x",
    "content-length: 18446744073709551615",
    "content-length: 18446744073709551616",
    "content-length: 99999999999999999999999999999999",
    "content-length : {n}",
    "content-length\t: {n}",
    "content-length:\r\n {n}",
];

/// Chunked bodies that are none (a size that is merely too large is a body that does not come, and times out). `{}` stands for a body whose right size, in hexadecimal, is `{n}`.
pub const BAD_CHUNKS: &[&str] = &[
    "x\r\n{}\r\n0\r\n\r\n",
    "0x{n}\r\n{}\r\n0\r\n\r\n",
    "+{n}\r\n{}\r\n0\r\n\r\n",
    "-{n}\r\n{}\r\n0\r\n\r\n",
    " {n}\r\n{}\r\n0\r\n\r\n",
    "{n} x\r\n{}\r\n0\r\n\r\n",
    "{n},\r\n{}\r\n0\r\n\r\n",
    "{n}.0\r\n{}\r\n0\r\n\r\n",
    "{n}\n{}\r\n0\r\n\r\n",
    "{n}\r{}\r\n0\r\n\r\n",
    "{n}\r\r\n{}\r\n0\r\n\r\n",
    "{n}\n\r{}\r\n0\r\n\r\n",
    "{n};x\n{}\r\n0\r\n\r\n",
    "{n};x\r{}\r\n0\r\n\r\n",
    "{n};x=\"\ny\"\r\n{}\r\n0\r\n\r\n",
    "{n}\r\n{}\n0\r\n\r\n",
    "{n}\r\n{}\r0\r\n\r\n",
    "{n}\r\n{}0\r\n\r\n",
    "{n}\r\n{}xx0\r\n\r\n",
    "{n}\r\n{}x\r\n0\r\n\r\n",
    "1\r\n{}\r\n0\r\n\r\n",
    "\r\n{n}\r\n{}\r\n0\r\n\r\n",
    "\n{n}\r\n{}\r\n0\r\n\r\n",
    "{n}\r\n{}\r\n\r\n",
    "{n}\r\n{}\r\n-0\r\n\r\n",
    "{n}\r\n{}\r\n0x0\r\n\r\n",
    "{n}\r\n{}\r\n0\n\r\n",
    "{n}\r\n{}\r\n0\r\r\n",
    "10000000000000000\r\n{}\r\n0\r\n\r\n",
    "fffffffffffffffffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "\u{663}\r\n{}\r\n0\r\n\r\n",
    "{n}\0\r\n{}\r\n0\r\n\r\n",
    "{n}\r\n{}\r\n0\r\n x: y\r\n\r\n",
    "{n}\r\n{}\r\n0\r\nx : y\r\n\r\n",
    "{n}\r\n{}\r\n0\r\n: y\r\n\r\n",
    "{n}\r\n{}\r\n0\r\nx: \0\r\n\r\n",
    "{n}\r\n{}\r\n0\r\nx\r\n\r\n",
];

/// Chunked bodies with one reading, though few send them.
const GOOD_CHUNKS: &[&str] = &[
    "{n}\r\n{}\r\n0\r\n\r\n",
    "{N}\r\n{}\r\n0\r\n\r\n",
    "0000{n}\r\n{}\r\n000\r\n\r\n",
    "{n};x=y\r\n{}\r\n0;x=\"y\"\r\n\r\n",
    "{n} \r\n{}\r\n0\t\r\n\r\n",
    "{n}\r\n{}\r\n0\r\nx: y\r\n\r\n",
    "{n}\r\n{}\r\n0\r\ncontent-length: 999\r\n\r\n",
    "{n}\r\n{}\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
    "{n}\r\n{}\r\n0\r\nauthorization: Bearer x\r\nhost: y\r\n\r\n",
];

/// Heads that no request has. `{auth}` is a good credential's line, `{n}` the length of the body behind.
const HEADS: &[&str] = &[
    "POST /v1/chat/completions HTTP/1.1\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\n",
    "POST /v1/chat/completions HTTP/1.1\nhost: x\ncontent-length: {n}\n\n",
    "POST /v1/chat/completions HTTP/1.1\rhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x: a\rb\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x: a\0b\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x\0: b\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x: a\u{7f}b\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x: a\u{1b}b\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x: a\r\n b\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}x: a\r\n\tb\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\n host: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost : x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}: y\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}y\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}a b: y\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}a(b): y\r\ncontent-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}\u{e4}: y\r\ncontent-length: {n}\r\n\r\n",
    // hosts
    "POST /v1/chat/completions HTTP/1.1\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nHost: y\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x/y\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: a@x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x?y\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x#y\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x y\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\\y\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nhost: \u{e4}\r\n{auth}content-length: {n}\r\n\r\n",
    "POST http://y/v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST http://a@x/v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST http://x:81/v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    // methods
    "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n{auth}content-length: {n}\r\n\r\n",
    "CONNECT /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "TRACE /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "P(ST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "P\0ST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "\u{e4} /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    " POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST\t/v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST\0/v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "/v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    // versions and request lines
    "POST /v1/chat/completions\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.2\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/0.9\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/2.0\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/11\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions http/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1 \r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST  /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions  HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions x HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat/completions\tHTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST /v1/chat\0/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "POST v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    // bodies where none belongs, and codings where none is known
    "GET /v1/models HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "HEAD / HTTP/1.1\r\nhost: x\r\n{auth}content-length: {n}\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\n{auth}transfer-encoding: chunked\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.0\r\n{auth}transfer-encoding: chunked\r\ncontent-length: {n}\r\n\r\n",
];

/// Whole payloads with one reading that careless readers miss.
const READINGS: &[(&str, Law)] = &[
    ("{outer}{next}", Law::Read(&["outer", "next"])),
    ("\r\n\r\n{outer}\r\n{next}", Law::Read(&["outer", "next"])),
    // An early error: what was announced as its body never becomes a request.
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {i}\r\n\r\n{inner}{next}",
        Law::Told(&["next"]),
    ),
    (
        "POST /nowhere HTTP/1.1\r\nhost: x\r\n{auth}content-length: {i}\r\n\r\n{inner}{next}",
        Law::Told(&["next"]),
    ),
    (
        "PUT /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {i}\r\n\r\n{inner}{next}",
        Law::Told(&["next"]),
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: {i}\r\n\r\n{inner}{next}",
        Law::Told(&["next"]),
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer no\r\ntransfer-encoding: chunked\r\n\r\n{I}\r\n{inner}\r\n0\r\n\r\n{next}",
        Law::Told(&["next"]),
    ),
    // Asked to speak otherwise, it goes on as it did.
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    (
        "GET http://x/healthz HTTP/1.1\r\nhost: x\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    // What only names itself like the framing is none.
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent_length: 99\r\ntransfer_encoding: chunked\r\nx-content-length: 5\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    // Hop-by-hop names do not unmake what was authorised (Connection: authorization).
    (
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n{auth}connection: authorization, host, content-length\r\n\r\n{next}",
        Law::Read(&["next"]),
    ),
    // HTTP/1.0 and `close` end the connection: what is behind is not read.
    ("GET /healthz HTTP/1.0\r\n\r\n{next}", Law::Read(&[])),
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n{next}",
        Law::Read(&[]),
    ),
    (
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n{next}",
        Law::Read(&[]),
    ),
    (
        "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n{next}",
        Law::Told(&["next"]),
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: 2\r\n\r\n{}{next}",
        Law::Told(&["next"]),
    ),
    // A length that is too short leaves a rest that is no request.
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}content-length: 2\r\n\r\n{}xx{next}",
        Law::Told(&[]),
    ),
];

fn auth(bearer: &str) -> String {
    format!("authorization: {bearer}\r\n")
}

fn payload(name: String, text: String, law: Law) -> Payload {
    Payload {
        name,
        bytes: text.into_bytes(),
        law,
    }
}

/// Framings with two readings. Both have a request behind them: for one reader it is the body, for the other what follows.
pub fn framings(bearer: &str) -> Vec<Payload> {
    let auth = auth(bearer);
    let (outer, inner) = (body("outer"), good(bearer, "inner"));
    let tails = [
        ("chunks end, inner follows", format!("0\r\n\r\n{inner}")),
        ("body, inner follows", format!("{outer}{inner}")),
        ("chunked body, inner follows", chunked(&outer) + &inner),
    ];
    let mut all = Vec::new();
    for (number, fields) in FRAMINGS.iter().enumerate() {
        for (tail, bytes) in &tails {
            let fields = fields.replace("{n}", &outer.len().to_string());
            let head =
                format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}{fields}\r\n\r\n");
            let name = format!("framing {number} ({fields:?}), {tail}");
            all.push(payload(name, head + bytes, Law::Refused));
        }
    }
    all
}

/// Chunked bodies, broken and odd.
pub fn chunks(bearer: &str) -> Vec<Payload> {
    let auth = auth(bearer);
    let (outer, inner, next) = (body("outer"), good(bearer, "inner"), good(bearer, "next"));
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{auth}transfer-encoding: chunked\r\n\r\n"
    );
    let fill = |template: &str| {
        let filled = template.replace("{n}", &format!("{:x}", outer.len()));
        filled
            .replace("{N}", &format!("{:X}", outer.len()))
            .replace("{}", &outer)
    };
    let mut all = Vec::new();
    for template in BAD_CHUNKS {
        let bytes = format!("{head}{}{inner}", fill(template));
        all.push(payload(format!("chunks {template:?}"), bytes, Law::Refused));
    }
    let long = "x".repeat(1 << 20);
    let trailers = "x: y\r\n".repeat(1000);
    for (name, template) in [
        (
            "an extension of 1 MiB",
            format!("{{n}};{long}\r\n{{}}\r\n0\r\n\r\n"),
        ),
        (
            "a trailer of 1 MiB",
            format!("{{n}}\r\n{{}}\r\n0\r\nx: {long}\r\n\r\n"),
        ),
        (
            "1000 trailers",
            format!("{{n}}\r\n{{}}\r\n0\r\n{trailers}\r\n"),
        ),
    ] {
        let bytes = format!("{head}{}{inner}", fill(&template));
        all.push(payload(name.to_owned(), bytes, Law::Refused));
    }
    for template in GOOD_CHUNKS {
        let bytes = format!("{head}{}{next}", fill(template));
        let name = format!("good chunks {template:?}");
        all.push(payload(name, bytes, Law::Read(&["outer", "next"])));
    }
    all
}

/// Heads that no request has.
pub fn heads(bearer: &str) -> Vec<Payload> {
    let auth = auth(bearer);
    let inner = good(bearer, "inner");
    let length = inner.len().to_string();
    let fill = |template: &str| template.replace("{auth}", &auth).replace("{n}", &length);
    let all = HEADS.iter().map(|template| {
        let name = format!("head {template:?}");
        payload(name, fill(template) + &inner, Law::Refused)
    });
    all.collect()
}

/// Payloads with one reading that careless readers miss.
pub fn readings(bearer: &str) -> Vec<Payload> {
    let auth = auth(bearer);
    let (inner, next) = (good(bearer, "inner"), good(bearer, "next"));
    let first = good(bearer, "outer").replace("connection: close\r\n", "");
    let all = READINGS.iter().map(|(template, law)| {
        let text = template
            .replace("{auth}", &auth)
            .replace("{i}", &inner.len().to_string())
            .replace("{I}", &format!("{:x}", inner.len()))
            .replace("{outer}", &first)
            .replace("{inner}", &inner)
            .replace("{next}", &next);
        payload(format!("reading {template:?}"), text, *law)
    });
    all.collect()
}
