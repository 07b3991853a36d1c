//! Loops of tools with models that think: what proves a thought comes back to who issued it as it was, over every pair of
//! dialects, at any node, through clients that keep what their dialect has a place for and nothing else; and nobody else gets it.
//!
//! Reading order: this file (the loop), `consumers.rs` (clients, and what they keep), `services.rs` (what services answer, and
//! what they refuse).

#[path = "thought/consumers.rs"]
mod consumers;
#[path = "thought/services.rs"]
mod services;

use consumers::{Consumer, Turn};
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, End};
use llmleaf_testkit::replay::Replay;
use serde_json::Value;
use services::{LOOPS, SERVICES, Service};

/// base64 of `me:s3cret`.
const ME: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
const HASH: &str = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO";

/// Two nodes of one configuration, which know nothing of each other, before services that think.
struct Site {
    nodes: [Llmleaf; 2],
    replay: Replay,
}

impl Site {
    fn start() -> Self {
        let replay = Replay::start();
        replay.on(services::serve);
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n[[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n\n"
        );
        for service in SERVICES {
            config.push_str(&service.provider(&replay.url()));
        }
        let start = || Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
        Self {
            nodes: [start(), start()],
            replay,
        }
    }

    /// One turn of a conversation, at one of the nodes.
    fn ask(
        &self,
        node: usize,
        consumer: Consumer,
        service: &Service,
        said: &[Value],
        stream: bool,
    ) -> Result<Turn, String> {
        let (path, body) = consumer.request(&service.asked(), said, stream);
        let mut line = Connection::open(self.nodes[node].addr);
        line.send(&http::request("POST", &path, &[ME], body.as_bytes()));
        let response = line.response();
        if (response.status, response.end) != (200, End::Clean) {
            let requests = self.replay.take_requests();
            let sent = requests.last().map(|request| request.text());
            return Err(format!(
                "{}: {}\n    sent: {}",
                response.status,
                response.text(),
                sent.unwrap_or_default()
            ));
        }
        Ok(consumer.read(&response, stream))
    }

    /// All turns of a loop, each at another node than the one before.
    fn play(&self, consumer: Consumer, service: &Service, stream: bool) -> Result<(), String> {
        let mut said = consumer.begin();
        for turn in 1..=LOOPS {
            let told = self.ask(turn % 2, consumer, service, &said, stream);
            let told = told.map_err(|why| format!("turn {turn}: {why}"))?;
            let [call] = &told.calls[..] else {
                return Err(format!("turn {turn}: calls {:?}", told.calls));
            };
            if call.arguments != serde_json::json!({"n": turn}) {
                return Err(format!("turn {turn}: arguments {}", call.arguments));
            }
            said.extend(told.kept.iter().cloned());
            said.push(consumer.result(call, &services::result(turn)));
        }
        let told = self.ask(0, consumer, service, &said, stream)?;
        if told.text != services::DONE {
            return Err(format!("at the end: {:?}", told.text));
        }
        Ok(())
    }
}

/// With `LLMLEAF_EVERY_PAIR=1` everything is played; else each pair once, and of the moves a sample.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn everything() -> bool {
    std::env::var_os("LLMLEAF_EVERY_PAIR").is_some()
}

#[test]
fn proofs_of_thought_survive_loops_between_any_two_wires_at_any_node() {
    let site = Site::start();
    let mut broken = Vec::new();
    for (at, service) in SERVICES.iter().enumerate() {
        for (by, consumer) in Consumer::ALL.into_iter().enumerate() {
            for stream in [false, true] {
                if !everything() && stream == ((at + by) % 2 == 0) {
                    continue;
                }
                if let Err(why) = site.play(consumer, service, stream) {
                    let pair = format!("{consumer:?} to {}", service.tag);
                    broken.push(format!("{pair}, stream {stream}: {why}"));
                }
                drop(site.replay.take_requests());
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A conversation that one service began goes on at each of the others: they get no proof that they did not issue, and what
/// they would refuse for want of one is asked in a way that they take.
#[test]
fn a_service_gets_no_proof_of_another_one() {
    let site = Site::start();
    let mut broken = Vec::new();
    let firsts = SERVICES.iter().filter(|service| service.issues());
    for (from, first) in firsts.enumerate() {
        for (to, second) in SERVICES.iter().enumerate() {
            for (by, consumer) in Consumer::ALL.into_iter().enumerate() {
                let drawn = everything() || (from + 2 * to + by) % 7 == 0;
                if !drawn || services::unmarked(consumer, first, second) {
                    continue;
                }
                if let Err(why) = moved(&site, consumer, first, second) {
                    let pair = format!("{} to {}", first.tag, second.tag);
                    broken.push(format!("{consumer:?}, from {pair}: {why}"));
                }
                drop(site.replay.take_requests());
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn moved(site: &Site, consumer: Consumer, first: &Service, second: &Service) -> Result<(), String> {
    let mut said = consumer.begin();
    let told = site.ask(0, consumer, first, &said, false)?;
    said.extend(told.kept.iter().cloned());
    let call = told.calls.first().ok_or("no call")?;
    said.push(consumer.result(call, &services::moved(first)));
    let told = site.ask(1, consumer, second, &said, false)?;
    match &*told.text {
        services::DONE => Ok(()),
        text => Err(format!("{text:?}")),
    }
}
