//! Scenarios, and the two ends of their exchanges, which allocate nothing once they run.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What is asked of whom, and what it may cost.
pub struct Scenario {
    pub name: &'static str,
    /// The consumer speaks Messages, and not Chat Completions; the same of the provider.
    pub consumer_messages: bool,
    pub provider_messages: bool,
    pub stream: bool,
    pub prompt: Prompt,
    pub pace: Pace,
    pub limits: Limits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// 1 KB.
    Short,
    /// 256 KB, with a line end in every second sentence.
    Long,
}

/// How the chunks of an answer come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All at once.
    Together,
    /// Each when the consumer has the one before.
    OneByOne,
}

/// As measured, without slack.
pub struct Limits {
    pub allocations: Cost,
    /// Thousands of instructions of a release build for x86-64, and of one that is not optimised, as the tests are.
    pub instructions: Cost,
    pub unoptimised: Cost,
}

/// Of a request whose answer has ten chunks, and of each further chunk; of an answer in one piece of each further three words.
#[derive(Clone, Copy, Debug)]
pub struct Cost(pub f64, pub f64);

impl Cost {
    /// From what answers of [`SHORT`] and of [`LONG`] cost.
    pub fn of(short: f64, long: f64) -> Self {
        Self(short, (long - short) / 100.0)
    }

    /// Within five parts of a hundred. What is counted once in many exchanges (a table that grows, a clock that ticks) is no cost of a chunk.
    pub fn fits(self, limit: Self) -> bool {
        let once = (limit.0 / 10_000.0).max(0.02);
        self.0 <= limit.0 * 1.05 && self.1 <= limit.1 * 1.05 + once
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} a request, {:.2} a chunk", self.0, self.1)
    }
}

/// How long an answer is.
#[derive(Clone, Copy)]
pub struct Case {
    chunks: usize,
}

pub const SHORT: Case = Case { chunks: 10 };
pub const LONG: Case = Case { chunks: 110 };

/// Every scenario, short and long. The number of each is in the name of its model.
pub fn stories() -> impl Iterator<Item = (&'static Scenario, Case)> {
    let both = |scenario| [SHORT, LONG].map(|case| (scenario, case));
    SCENARIOS.iter().flat_map(both)
}

pub const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "json",
        consumer_messages: false,
        provider_messages: false,
        stream: false,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(37.0, 0.0),
            instructions: Cost(76.4, 0.02),
            unoptimised: Cost(455.0, 0.63),
        },
    },
    Scenario {
        name: "stream",
        consumer_messages: false,
        provider_messages: false,
        stream: true,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(68.0, 0.13),
            instructions: Cost(129.3, 0.53),
            unoptimised: Cost(772.0, 3.07),
        },
    },
    Scenario {
        name: "json, Chat Completions to Messages",
        consumer_messages: false,
        provider_messages: true,
        stream: false,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(107.0, 0.01),
            instructions: Cost(127.6, 0.06),
            unoptimised: Cost(921.1, 2.42),
        },
    },
    Scenario {
        name: "stream, Chat Completions to Messages",
        consumer_messages: false,
        provider_messages: true,
        stream: true,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(141.0, 1.03),
            instructions: Cost(188.2, 2.9),
            unoptimised: Cost(1172.6, 14.14),
        },
    },
    Scenario {
        name: "json, Messages to Chat Completions",
        consumer_messages: true,
        provider_messages: false,
        stream: false,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(112.0, 0.0),
            instructions: Cost(127.9, 0.04),
            unoptimised: Cost(892.0, 1.25),
        },
    },
    Scenario {
        name: "stream, Messages to Chat Completions",
        consumer_messages: true,
        provider_messages: false,
        stream: true,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(138.0, 1.13),
            instructions: Cost(197.9, 3.87),
            unoptimised: Cost(1328.6, 23.31),
        },
    },
    Scenario {
        name: "stream, one by one",
        consumer_messages: false,
        provider_messages: false,
        stream: true,
        prompt: Prompt::Short,
        pace: Pace::OneByOne,
        limits: Limits {
            allocations: Cost(103.0, 4.0),
            instructions: Cost(196.6, 8.15),
            unoptimised: Cost(1013.3, 30.77),
        },
    },
    Scenario {
        name: "json, 256 KB",
        consumer_messages: false,
        provider_messages: false,
        stream: false,
        prompt: Prompt::Long,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(44.0, 0.0),
            instructions: Cost(409.6, 0.02),
            unoptimised: Cost(14047.5, 0.58),
        },
    },
    Scenario {
        name: "stream, 256 KB",
        consumer_messages: false,
        provider_messages: false,
        stream: true,
        prompt: Prompt::Long,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(75.0, 0.13),
            instructions: Cost(462.2, 0.53),
            unoptimised: Cost(14356.1, 3.08),
        },
    },
    Scenario {
        name: "json, Messages",
        consumer_messages: true,
        provider_messages: true,
        stream: false,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(69.0, 0.0),
            instructions: Cost(90.9, 0.04),
            unoptimised: Cost(543.2, 1.81),
        },
    },
    Scenario {
        name: "stream, Messages",
        consumer_messages: true,
        provider_messages: true,
        stream: true,
        prompt: Prompt::Short,
        pace: Pace::Together,
        limits: Limits {
            allocations: Cost(91.0, 0.0),
            instructions: Cost(134.2, 0.36),
            unoptimised: Cost(716.9, 2.64),
        },
    },
];

/// A configuration with a route to a provider of each of the [`stories`], which is started.
pub fn config() -> String {
    // The key is that of the built-in development config; its password is "s3cret".
    let mut config = r#"
[server]
listen = "127.0.0.1:0"
workers = 1

[[keys]]
id = "local-dev"
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
"#
    .to_owned();
    for (number, (scenario, case)) in stories().enumerate() {
        let (kind, base) = match scenario.provider_messages {
            true => ("anthropic", ""),
            false => ("openai", "/v1"),
        };
        let at = provide(response(scenario, case));
        config += &format!(
            r#"
[[providers]]
name = "p{number}"
kind = "{kind}"
endpoint = "http://{at}{base}"
credential = "sk-upstream"

[[routes]]
model = "m{number}"
targets = [{{ provider = "p{number}" }}]
"#
        );
    }
    config
}

/// What the provider answers, in the pieces in which it comes.
fn response(scenario: &Scenario, case: Case) -> Vec<Vec<u8>> {
    let pieces = std::iter::repeat_n("words of it", case.chunks);
    if !scenario.stream {
        let text: Vec<&str> = pieces.collect();
        let text = text.join(" ");
        let body = match scenario.provider_messages {
            true => format!(
                r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":210,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":30}}}}"#
            ),
            false => format!(
                r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1741570283,"model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":210,"completion_tokens":30,"total_tokens":240,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}},"service_tier":"default"}}"#
            ),
        };
        let length = body.len();
        return vec![format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()];
    }
    let mut events = Vec::new();
    if scenario.provider_messages {
        let event = |name: &str, rest: &str| {
            format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n")
        };
        events.push(event("message_start", r#","message":{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":210,"output_tokens":1}}"#));
        events.push(event(
            "content_block_start",
            r#","index":0,"content_block":{"type":"text","text":""}"#,
        ));
        events.extend(pieces.map(|piece| {
            let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{piece}"}}"#);
            event("content_block_delta", &delta)
        }));
        events.push(event("content_block_stop", r#","index":0"#));
        events.push(event("message_delta", r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":30}"#));
        events.push(event("message_stop", ""));
    } else {
        let chunk = |delta: &str, finish: &str| {
            format!(
                "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1741570283,\"model\":\"m-1\",\"service_tier\":\"default\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
            )
        };
        events.push(chunk(r#""role":"assistant","content":"""#, "null"));
        events.extend(pieces.map(|piece| chunk(&format!(r#""content":"{piece}""#), "null")));
        events.push(chunk("", r#""stop""#));
        events.push("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1741570283,\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":30,\"total_tokens\":240}}\n\n".to_owned());
        events.push("data: [DONE]\n\n".to_owned());
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut pieces = vec![head.as_bytes().to_vec()];
    for (number, event) in events.iter().enumerate() {
        // What is before the first content waits for it.
        if scenario.pace == Pace::OneByOne && (FIRST_CONTENT + 1..=case.chunks).contains(&number) {
            pieces.push(Vec::new());
        }
        let piece = pieces.last_mut().expect("the head is there");
        piece.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
    }
    let last = pieces.last_mut().expect("the head is there");
    last.extend_from_slice(b"0\r\n\r\n");
    pieces
}

/// The number of the first event of a Chat Completions stream that has content.
const FIRST_CONTENT: usize = 1;

/// How many events of its answer the one consumer that asks has seen.
static SEEN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// A provider that answers so to everything.
fn provide(answer: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let at = listener.local_addr().expect("an address");
    let answer: Arc<[Vec<u8>]> = answer.into();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.expect("a connection"), Arc::clone(&answer));
            stream.set_nodelay(true).expect("an option");
            std::thread::spawn(move || {
                let mut buffer = vec![0; 512 * 1024];
                while pass_request(&mut stream, &mut buffer) {
                    for (number, piece) in answer.iter().enumerate() {
                        stream.write_all(piece).expect("somebody who listens");
                        if number + 1 < answer.len() {
                            let seen = SEEN.0.lock().expect("whole");
                            let awaits = |seen: &mut usize| *seen <= number + FIRST_CONTENT;
                            drop(SEEN.1.wait_while(seen, awaits).expect("whole"));
                        }
                    }
                }
            });
        }
    });
    at
}

/// Reads one request to its end; false where the connection ends.
fn pass_request(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut read = 0;
    loop {
        match stream.read(&mut buffer[read..]) {
            Ok(0) | Err(_) => return false,
            Ok(more) => read += more,
        }
        let bytes = &buffer[..read];
        if let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let text = std::str::from_utf8(&bytes[..head]).expect("a head of text");
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
            if read == head + 4 + length {
                return true;
            }
        }
    }
}

/// One connection on which the same is asked again and again.
pub struct Consumer {
    stream: TcpStream,
    request: Vec<u8>,
    /// What every answer ends with.
    end: &'static [u8],
    pace: Pace,
    buffer: Box<[u8]>,
}

impl Consumer {
    pub fn new(at: SocketAddr, number: usize, (scenario, case): (&Scenario, Case)) -> Self {
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let path = match scenario.consumer_messages {
            true => "/v1/messages",
            false => "/v1/chat/completions",
        };
        let options = match scenario.consumer_messages {
            true => "",
            // So that nothing need be added on our own account.
            false => r#","stream_options":{"include_usage":true}"#,
        };
        let options = if scenario.stream { options } else { "" };
        let sentence = "Summarise the key risks in three short bullet points. ";
        let text = match scenario.prompt {
            Prompt::Short => sentence.repeat(18),
            Prompt::Long => format!("{sentence}\\n{sentence}").repeat(2_360),
        };
        let body = format!(
            r#"{{"model":"m{number}","max_tokens":1024,"temperature":0.7,"messages":[{{"role":"user","content":"{text}"}}],"stream":{}{options}}}"#,
            scenario.stream
        );
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {at}\r\nuser-agent: costs\r\naccept: */*\r\nauthorization: Bearer bG9jYWwtZGV2OnMzY3JldA==\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self {
            stream,
            request: request.into_bytes(),
            end: match scenario.stream {
                true => b"0\r\n\r\n",
                false => b"}",
            },
            pace: scenario.pace,
            buffer: vec![0; 512 * (case.chunks + 20)].into(),
        }
    }

    /// Asks, and reads the answer to its end.
    pub fn ask(&mut self) {
        *SEEN.0.lock().expect("whole") = 0;
        self.stream.write_all(&self.request).expect("a request");
        let mut read = 0;
        while !self.buffer[..read].ends_with(self.end) {
            let more = self
                .stream
                .read(&mut self.buffer[read..])
                .expect("an answer");
            assert_ne!(more, 0, "an answer that was cut");
            read += more;
            if self.pace == Pace::OneByOne {
                let ends = self.buffer[..read].windows(3);
                *SEEN.0.lock().expect("whole") = ends.filter(|end| end == b"}\n\n").count();
                SEEN.1.notify_all();
            }
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "), "no answer");
    }
}
