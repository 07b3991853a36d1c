use super::Framing;

/// Follows the bytes cut at `cuts`; whether they were left as they are, and where it ended.
fn follow(bytes: &[u8], cuts: &[usize]) -> (bool, Framing) {
    let mut framing = Framing::default();
    let mut seen = bytes.to_vec();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        while start < cut {
            start += framing.follow(&mut seen[start..cut]);
        }
    }
    (seen == bytes, framing)
}

const GOOD: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n1;x=y\r\nc\r\n0\r\nt: r\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding:\tCHUNKED \r\n\r\n00\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Lengthy: 5\r\nTransfer: x\r\nc: d\r\nt: u\r\n\r\n",
];

const DOUBTFUL: &[&str] = &[
    "GET / HTTP/1.1\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    "POST / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
];

#[test]
fn d1_d2_one_way_to_read_it_leaves_the_bytes_alone_at_every_cut() {
    for text in GOOD {
        for cut in 0..=text.len() {
            let (same, framing) = follow(text.as_bytes(), &[cut]);
            assert!(same && !framing.is_midway(), "{text:?} cut at {cut}");
        }
    }
}

#[test]
fn it_stops_where_a_request_ends() {
    let requests = [
        "GET / HTTP/1.1\r\n\r\n",
        "\r\nPOST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ];
    let mut all = requests.concat().into_bytes();
    let (mut framing, mut at) = (Framing::default(), 0);
    for request in requests {
        assert!(framing.is_between());
        assert_eq!(framing.follow(&mut all[at..]), request.len());
        at += request.len();
    }
}

#[test]
fn d1_d2_two_ways_to_read_it_spoil_the_head_at_every_cut() {
    for text in DOUBTFUL {
        for cut in 0..=text.len() {
            let (same, framing) = follow(text.as_bytes(), &[cut]);
            assert!(!same && framing.is_midway(), "{text:?} cut at {cut}");
        }
        let each: Vec<usize> = (0..text.len()).collect();
        assert!(!follow(text.as_bytes(), &each).0, "{text:?} byte by byte");
    }
}

#[test]
fn d1_a_doubtful_head_is_found_behind_every_kind_of_body() {
    for before in GOOD {
        for text in DOUBTFUL {
            let all = [before.as_bytes(), text.as_bytes()].concat();
            assert!(!follow(&all, &[]).0, "{text:?} behind {before:?}");
        }
    }
}

#[test]
fn d3_a_body_that_is_not_well_chunked_is_not_followed() {
    for body in [
        "x\r\n",
        "3\r\nabcd\r\n",
        "3\nabc",
        "10000000000000000\r\n",
        "1;\n",
        "-1\r\n",
    ] {
        let text = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        let (same, framing) = follow(text.as_bytes(), &[]);
        assert!(same && framing.is_midway(), "{body:?}");
    }
}

#[test]
fn d9_a_head_is_not_kept_beyond_the_largest() {
    let mut framing = Framing::default();
    for _ in 0..64 {
        framing.follow(&mut b"x: y\r\n".repeat(1 << 10));
    }
    assert!(framing.carry.capacity() == 0 && framing.is_midway());
}
