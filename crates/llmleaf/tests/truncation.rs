//! Every recorded stream, cut behind every event, behind the real program: what the provider did not end is an error, never
//! a success.
//!
//! A cut comes in two forms. *Ended*: the transport ends in order, with its terminating chunk, as when a provider's own
//! proxy dies politely. *Reset*: the connection is reset there. The consumer must see an error that the official SDKs raise:
//! a status that is no success while nothing was told yet, else an event of its dialect that is an error, followed by a
//! transport that breaks: no `[DONE]`, no `message_stop`, no terminating chunk.
//!
//! Behind the provider's own end every cut is a success. Some services never send `[DONE]`; their streams are complete
//! with the finish reason and an orderly end of the transport, which is a named exception.
//!
//! The longest streams are cut behind a part of their events, unless `LLMLEAF_EVERY_CUT` is set; the output says how many cuts
//! that leaves out.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use llmleaf_testkit::digest::{
    Digest, ErrorClass, FinishClass, anthropic_stream, anthropic_unary, openai_chat_stream,
    openai_chat_unary,
};
use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::recordings::{self, Recording, boundaries};
use llmleaf_testkit::replay::{Framing, Script};
use llmleaf_testkit::sse;
use llmleaf_testkit::stand::{self, Ask, PREFIX, Service, Stand};
use llmleaf_testkit::tally::{Finding, Tally};

const EXE: &str = env!("CARGO_BIN_EXE_llmleaf");

/// Services whose wire has no `[DONE]`, by configured kind.
const ENDS_WITH_FINISH: &[&str] = &["cerebras", "perplexity", "openai-compatible"];

/// A stream with at most so many events is cut behind each of them.
const WHOLLY: usize = 24;
/// Of a longer one, so many cuts at both ends, and every so-manieth between.
const ENDS: usize = 8;
const STRIDE: usize = 48;

/// No pair of sockets holds less, in bytes.
const SOCKET_BYTES: usize = 32 * 1024;

/// Cuts in the set when this was written: of 14,778, the part that is made without `LLMLEAF_EVERY_CUT`, in each form.
const LEAST: usize = 2 * 4482;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Ended,
    Reset,
}

#[test]
fn a_cut_stream_is_an_error_to_the_same_dialect() {
    run("same dialect", true, 1);
}

/// Through an encoder, every third cut: the decoder before it is the same.
#[test]
fn a_cut_stream_is_an_error_to_the_other_dialect() {
    run("other dialect", false, 3);
}

fn run(title: &str, same: bool, every: usize) {
    let name = "streams of openai-chat and anthropic-messages";
    let Some(recordings) = recordings::load_where(name, |recording| {
        let wire = recording.wire.as_str();
        recording.stream && matches!(wire, "openai-chat" | "anthropic-messages")
    }) else {
        return;
    };
    let tally = Tally::default();
    let left_out = AtomicUsize::new(0);
    let service = |recording: &Recording| {
        if same {
            Service::of(recording)
        } else {
            across(recording)
        }
    };
    stand::each(EXE, "error", &recordings, service, |stand, recording| {
        let kind = service(recording).kind;
        let cuts = Cuts::of(recording, same, &kind);
        let chosen: Vec<usize> = cuts.chosen().into_iter().step_by(every).collect();
        left_out.fetch_add(cuts.ends.len() - chosen.len(), Ordering::Relaxed);
        for cut in chosen {
            for form in [Form::Ended, Form::Reset] {
                let response = cuts.exchange(stand, cut, form);
                let finding = cuts.judge(cut, form, &response);
                let subject = format!("{} cut behind event {cut}", recording.id);
                let dialect = if cuts.chat_consumer {
                    "chat"
                } else {
                    "messages"
                };
                let kind = format!("{form:?}").to_lowercase();
                tally.add(dialect, &recording.provider, &kind, &subject, finding);
            }
        }
    });
    eprintln!(
        "cuts left out: {} in each form",
        left_out.load(Ordering::Relaxed)
    );
    tally.conclude(&format!("cut streams, {title}"), LEAST / every);
}

/// Services that also speak the consumer's dialect would be asked in it, so they are played by one that does not.
fn across(recording: &Recording) -> Service {
    let mut service = Service::of(recording);
    match service.kind.as_str() {
        "openrouter" => service.kind = "openai".to_owned(),
        "perplexity" => service.kind = "openai-compatible".to_owned(),
        _ => {}
    }
    service
}

/// One recorded stream, the places where it can be cut, and what a cut there means.
struct Cuts<'a> {
    text: &'a str,
    ends: Vec<usize>,
    /// The first cut behind the provider's own end; beyond all cuts where it has none.
    ended: usize,
    /// The first cut at which the answer is complete without the wire's own end, for services that have none.
    finished: usize,
    /// The first cut behind an error that the provider told itself.
    failed: usize,
    same: bool,
    chat_consumer: bool,
    body: String,
}

impl<'a> Cuts<'a> {
    fn of(recording: &'a Recording, same: bool, kind: &str) -> Self {
        let chat_wire = recording.wire == "openai-chat";
        let text = recording.body.text().unwrap_or_default();
        let ends = boundaries(text);
        let read = |end: usize| read_stream(chat_wire, &text.as_bytes()[..end]);
        let first =
            |holds: &dyn Fn(&Digest) -> bool| ends.partition_point(|end| !holds(&read(*end)));
        let lenient = ENDS_WITH_FINISH.contains(&kind);
        let complete = |digest: &Digest| {
            let mut choices = digest.choices.iter();
            !digest.choices.is_empty() && choices.all(|choice| choice.finish != FinishClass::None)
        };
        Cuts {
            ended: first(&|digest| digest.terminal),
            finished: if lenient {
                first(&complete)
            } else {
                ends.len()
            },
            failed: first(&|digest| digest.error.is_some()),
            text,
            same,
            chat_consumer: chat_wire == same,
            body: question(chat_wire == same, &stand::model(recording)),
            ends,
        }
    }

    /// The cuts to make, by number of the event in front of them.
    #[expect(
        clippy::disallowed_methods,
        reason = "how much a test does is asked of it from outside"
    )]
    fn chosen(&self) -> Vec<usize> {
        let count = self.ends.len();
        let every = std::env::var_os("LLMLEAF_EVERY_CUT").is_some();
        let wanted = |at: &usize| {
            every
                || count <= WHOLLY
                || *at < ENDS
                || *at + ENDS >= count
                || at.is_multiple_of(STRIDE)
        };
        (0..count).filter(wanted).collect()
    }

    fn exchange(&self, stand: &mut Stand, cut: usize, form: Form) -> Response {
        let end = self.ends[cut];
        let sent = self.text.as_bytes()[..end].to_vec();
        let script = Script::body(200, "text/event-stream", sent).framing(Framing::Chunked);
        let script = match form {
            Form::Ended => script,
            Form::Reset => script.reset_at(end),
        };
        let ask = Ask {
            path: if self.chat_consumer {
                "/v1/chat/completions"
            } else {
                "/v1/messages"
            },
            body: &self.body,
            ..Ask::default()
        };
        stand.exchange(&ask, script).response
    }

    fn judge(&self, cut: usize, form: Form, response: &Response) -> Finding {
        let mut finding = Finding::default();
        let by_finish = form == Form::Ended && cut >= self.finished;
        let success = cut < self.failed && (cut >= self.ended || by_finish);
        // What was still on its way when the connection was reset is lost, as on any network; a stream that the sockets'
        // buffers cannot hold always has some.
        let lost =
            form == Form::Reset && self.ends[cut] > SOCKET_BYTES && response.end != End::Clean;
        if success && lost {
            finding.except("its last bytes were lost with the reset");
            self.judge_error(cut, response, &mut finding);
        } else if success {
            if cut < self.ended {
                finding.except("complete by its finish reason: the service never sends `[DONE]`");
            }
            self.judge_success(cut, response, &mut finding);
        } else {
            self.judge_error(cut, response, &mut finding);
        }
        finding
    }

    fn judge_success(&self, cut: usize, response: &Response, finding: &mut Finding) {
        finding.check(response.status == 200 && response.end == End::Clean, || {
            format!(
                "no success: {} {:?} {}",
                response.status,
                response.end,
                tail(response)
            )
        });
        if self.same {
            let end = self.ends[cut.min(self.ended)];
            finding.check(response.body == self.text.as_bytes()[..end], || {
                format!("other bytes than were sent: {}", tail(response))
            });
            return;
        }
        let digest = read_stream(self.chat_consumer, &response.body);
        finding.check(digest.terminal && digest.error.is_none(), || {
            format!("no end: {}", tail(response))
        });
    }

    fn judge_error(&self, cut: usize, response: &Response, finding: &mut Finding) {
        if response.status != 200 {
            let text = response.text();
            let digest = match llmleaf_testkit::json::parse(&text) {
                Ok(body) if self.chat_consumer => openai_chat_unary(&body),
                Ok(body) => anthropic_unary(&body),
                Err(_) => Digest::default(),
            };
            finding.check(response.status >= 400 && digest.error.is_some(), || {
                format!("no error reply: {} {text}", response.status)
            });
            return;
        }
        finding.check(matches!(response.end, End::Cut | End::Reset), || {
            format!("ended {:?}: {}", response.end, tail(response))
        });
        // The error is the last thing told; the events before it are many, and looked through for an end alone.
        let body = response.body.as_slice();
        let ends: [&[u8]; 2] = [b"data: [DONE]", b"event: message_stop"];
        finding.check(!ends.iter().any(|end| holds(body, end)), || {
            format!("a success: {}", tail(response))
        });
        let digest = read_stream(self.chat_consumer, last_event(body));
        let class = digest.error.as_ref().map(|error| error.class);
        finding.check(class.is_some(), || {
            format!("no error in the stream: {}", tail(response))
        });
        if cut < self.failed {
            finding.check(
                class.is_none_or(|class| class == ErrorClass::Server),
                || format!("class {class:?}: {}", tail(response)),
            );
        }
    }
}

fn read_stream(chat: bool, body: &[u8]) -> Digest {
    let events = sse::parse(body).events;
    if chat {
        openai_chat_stream(&events)
    } else {
        anthropic_stream(&events)
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    let first = text[0];
    let mut at = 0;
    while let Some(found) = body[at..].iter().position(|byte| *byte == first) {
        at += found;
        if body[at..].starts_with(text) {
            return true;
        }
        at += 1;
    }
    false
}

/// The last event of a body, or what there is of it.
fn last_event(body: &[u8]) -> &[u8] {
    let end = body.trim_ascii_end();
    let start = end.windows(2).rposition(|pair| pair == b"\n\n");
    &body[start.map_or(0, |start| start + 2)..]
}

/// A plain request for a stream with usage, so that nothing of the answer is taken out.
fn question(chat: bool, model: &str) -> String {
    let model = serde_json::Value::from(format!("{PREFIX}{model}"));
    let rest = if chat {
        "\"stream_options\":{\"include_usage\":true}"
    } else {
        "\"max_tokens\":1024"
    };
    format!(
        "{{\"model\":{model},\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}],\"stream\":true,{rest}}}"
    )
}

/// The last of a body, for a message.
fn tail(response: &Response) -> String {
    let from = response.body.len().saturating_sub(600);
    String::from_utf8_lossy(&response.body[from..]).into_owned()
}
