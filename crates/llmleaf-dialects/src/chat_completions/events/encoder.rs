//! Consumer end: events to frames.

use super::super::answer::{
    self, CallView, DetailBody, Identity, write_annotation, write_call, write_detail, write_image,
};
use super::super::json::{ObjectWriter, push_string};
use super::super::{errors, usage};
use super::held::{Held, TooMuch};
use super::lane::{BlockState, ChoiceState, Lane};
use crate::{Encoder, ReplyContext};
use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, Citation, Delta, Event, Failure, FailureKind, Finish, Loss,
    MediaKind, ResponseStart, ToolFlavour, Usage,
};

/// Most base64 bytes of one image kept until it is whole; the wire has no way to send a part of one.
const MAX_IMAGE_BYTES: usize = 64 * 1024 * 1024;
/// Most losses kept between two calls of [`Encoder::take_losses`].
const MAX_LOSSES: usize = 64;

/// Writes one stream of chunks.
pub(super) struct ChunkEncoder {
    context: ReplyContext,
    identity: Option<Identity>,
    /// Every chunk's beginning, up to the choice's index.
    prefix: Vec<u8>,
    /// Every chunk's beginning, up to `choices`, for chunks without choice.
    bare_prefix: Vec<u8>,
    choices: Vec<ChoiceState>,
    /// Blocks by index. Kept after their end: indices are never reused and an entry is small.
    blocks: Vec<BlockState>,
    usage: Option<Usage>,
    losses: Vec<Loss>,
    held: Held,
    failure: Option<Failure>,
    ended: bool,
}

impl ChunkEncoder {
    pub(super) fn new(context: ReplyContext) -> Self {
        Self {
            context,
            identity: None,
            prefix: Vec::new(),
            bare_prefix: Vec::new(),
            choices: Vec::new(),
            blocks: Vec::new(),
            usage: None,
            losses: Vec::new(),
            held: Held::default(),
            failure: None,
            ended: false,
        }
    }

    fn start(&mut self, start: &ResponseStart) {
        let identity = Identity::new(start, &self.context);
        self.bare_prefix.extend_from_slice(b"data: ");
        let mut object = ObjectWriter::begin(&mut self.bare_prefix);
        identity.write(&mut object, "chat.completion.chunk", start);
        object.key("choices").push(b'[');
        self.prefix = [self.bare_prefix.as_slice(), b"{\"index\":"].concat();
        self.identity = Some(identity);
        self.usage.clone_from(&start.usage);
        self.note(answer::lost_of_start(start));
    }

    /// Position of a choice's state. A new one begins with its role.
    fn choice(&mut self, index: u32, out: &mut Vec<u8>) -> usize {
        if self.identity.is_none() {
            self.start(&ResponseStart::default());
        }
        if let Some(at) = self.choices.iter().position(|c| c.index == index) {
            return at;
        }
        self.choices.push(ChoiceState {
            index,
            ..ChoiceState::default()
        });
        self.chunk(index, out, |out| {
            out.extend_from_slice(br#"{"role":"assistant","content":""}"#);
        });
        self.choices.len() - 1
    }

    /// One chunk without finish; `delta` writes the delta object.
    fn chunk(&self, choice: u32, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>)) {
        self.open_chunk(choice, out);
        delta(out);
        out.extend_from_slice(br#","logprobs":null,"finish_reason":null}"#);
        self.close_chunk(out);
    }

    fn open_chunk(&self, choice: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(itoa::Buffer::new().format(choice).as_bytes());
        out.extend_from_slice(b",\"delta\":");
    }

    fn close_chunk(&self, out: &mut Vec<u8>) {
        // With a report asked for, every other chunk says that it has none.
        let apart = self.context.stream_usage && !self.context.whole_calls;
        out.extend_from_slice(if apart {
            b"],\"usage\":null}\n\n"
        } else {
            b"]}\n\n"
        });
    }

    /// One chunk whose delta is one text.
    fn text_chunk(&self, choice: u32, key: &str, text: &str, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"{\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            push_string(out, text);
            out.push(b'}');
        });
    }

    fn call_chunk(&self, choice: u32, call: &CallView<'_>, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"{\"tool_calls\":[");
            write_call(out, call);
            out.extend_from_slice(b"]}");
        });
    }

    fn block_start(&mut self, choice: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        let at = self.choice(choice, out);
        let (calls, thoughts) = self
            .choices
            .get(at)
            .map_or((0, 0), |c| (c.calls, c.thoughts));
        let lane = match kind {
            BlockKind::Text => Lane::Text,
            BlockKind::Refusal => Lane::Refusal,
            BlockKind::Reasoning { id, form } => Lane::Reasoning {
                index: thoughts,
                id: id.clone(),
                form: *form,
            },
            BlockKind::ToolCall { id, name, flavour } => {
                self.call_start(choice, calls, (id, name, *flavour), out)
            }
            BlockKind::Media {
                kind: MediaKind::Image,
                mime,
                ..
            } => Lane::Image {
                mime: mime.clone(),
                data: String::new(),
            },
            BlockKind::Media {
                kind: MediaKind::Audio,
                id,
                ..
            } => Lane::Audio { id: id.clone() },
            BlockKind::Media { kind, .. } => self.lost(choice, kind.as_str()),
            BlockKind::ServerToolUse(_) | BlockKind::ServerToolResult(_) => {
                self.lost(choice, "server_tool")
            }
            BlockKind::Opaque { .. } => self.lost(choice, "opaque"),
        };
        if let Some(state) = self.choices.get_mut(at) {
            state.calls += usize::from(matches!(lane, Lane::Call { .. } | Lane::Held(_)));
            state.thoughts += usize::from(matches!(lane, Lane::Reasoning { .. }));
        }
        self.blocks.push(BlockState { choice, lane });
    }

    fn call_start(
        &mut self,
        choice: u32,
        index: usize,
        (id, name, flavour): (&str, &str, ToolFlavour),
        out: &mut Vec<u8>,
    ) -> Lane {
        if self.context.whole_calls {
            let call = self.held.begin(index, (id, name, flavour));
            return call.map_or_else(|TooMuch| self.too_much(), Lane::Held);
        }
        let view = CallView {
            index: Some(index),
            id: Some(id),
            name: Some(name),
            arguments: Some(""),
            flavour,
            artefact: None,
        };
        self.call_chunk(choice, &view, out);
        Lane::Call {
            index,
            id: id.into(),
            flavour,
            empty: true,
        }
    }

    /// More comes of calls than is kept until they are whole. Without one of them the answer is another one.
    fn too_much(&mut self) -> Lane {
        let why = "the calls of the provider's answer are too large to be told whole";
        self.failure = Some(Failure::upstream(FailureKind::InvalidResponse, why));
        Lane::Lost
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let identity = self.identity.take();
        let identity =
            identity.unwrap_or_else(|| Identity::new(&ResponseStart::default(), &self.context));
        let Identity { id, model, created } = &identity;
        errors::write_stream_error(out, failure, id, model, *created);
        self.ended = true;
    }

    fn lost(&mut self, choice: u32, what: &str) -> Lane {
        self.lose(choice, what, "the wire has no place for it in an answer");
        Lane::Lost
    }

    fn lose(&mut self, choice: u32, what: &str, why: &'static str) {
        let loss = Loss::dropped(format!("choices[{choice}].message.{what}"), why);
        self.note([loss]);
    }

    fn note(&mut self, losses: impl IntoIterator<Item = Loss>) {
        for loss in losses {
            if self.losses.len() < MAX_LOSSES && !self.losses.contains(&loss) {
                self.losses.push(loss);
            }
        }
    }

    fn block_delta(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(at) = usize::try_from(block).ok() else {
            return;
        };
        // Taken out for the time of the call, so that the writing can borrow the rest.
        let Some(mut state) = self.blocks.get_mut(at).map(|state| {
            let lane = std::mem::replace(&mut state.lane, Lane::Lost);
            BlockState {
                choice: state.choice,
                lane,
            }
        }) else {
            return;
        };
        self.write_delta(&mut state, delta, out);
        if let Some(place) = self.blocks.get_mut(at) {
            *place = state;
        }
    }

    fn write_delta(&mut self, state: &mut BlockState, delta: &Delta, out: &mut Vec<u8>) {
        let choice = state.choice;
        match (&mut state.lane, delta) {
            (_, delta) if delta.is_empty() => {}
            (Lane::Lost, _) => {}
            (Lane::Text, Delta::Text(text)) => self.text_chunk(choice, "content", text, out),
            (Lane::Refusal, Delta::Text(text)) => self.text_chunk(choice, "refusal", text, out),
            (Lane::Reasoning { index, id, form }, delta) => {
                let body = match delta {
                    Delta::Text(text) => DetailBody::Text(*form, text, None),
                    Delta::Artefact(artefact) => DetailBody::Artefact(artefact),
                    Delta::Logprobs(json) => return self.logprobs_chunk(choice, json, out),
                    _ => {
                        return self.lose(choice, "reasoning", "the wire cannot express the piece");
                    }
                };
                self.reasoning_chunk(choice, &body, id.as_deref(), *index, out);
            }
            (
                Lane::Call {
                    index,
                    id,
                    flavour,
                    empty,
                },
                delta,
            ) => {
                *empty &= !matches!(delta, Delta::Arguments(_));
                self.call_delta(choice, (*index, id, *flavour), delta, out);
            }
            (Lane::Held(call), Delta::Arguments(more)) => {
                if let Err(TooMuch) = self.held.keep(call, more) {
                    state.lane = self.too_much();
                }
            }
            (Lane::Held(call), Delta::Artefact(artefact)) => {
                if let Err(TooMuch) = self.held.prove(call, artefact) {
                    state.lane = self.too_much();
                }
            }
            (Lane::Image { data, .. }, Delta::MediaData(more)) => {
                if data.len() + more.len() <= MAX_IMAGE_BYTES {
                    data.push_str(more);
                } else {
                    state.lane = Lane::Lost;
                    self.lose(choice, "images", "the image is too large");
                }
            }
            (Lane::Image { mime, .. }, delta @ Delta::MediaUrl(_)) => {
                self.image_chunk(choice, mime.as_deref(), delta, out);
            }
            (Lane::Audio { id }, Delta::MediaData(data)) => {
                self.audio_chunk(choice, id.as_deref(), "data", data, out);
            }
            (Lane::Audio { id }, Delta::Text(text)) => {
                self.audio_chunk(choice, id.as_deref(), "transcript", text, out);
            }
            (_, Delta::Logprobs(json)) => self.logprobs_chunk(choice, json, out),
            (_, Delta::Citation(citation)) => self.citation_chunk(choice, citation, out),
            _ => self.lose(choice, "content", "the wire cannot express the piece"),
        }
    }

    fn call_delta(
        &mut self,
        choice: u32,
        (index, id, flavour): (usize, &str, ToolFlavour),
        delta: &Delta,
        out: &mut Vec<u8>,
    ) {
        let mut view = CallView {
            index: Some(index),
            id: None,
            name: None,
            arguments: None,
            flavour,
            artefact: None,
        };
        match delta {
            Delta::Arguments(text) => view.arguments = Some(text),
            Delta::Artefact(artefact) => {
                view.artefact = Some(artefact);
                self.call_proof(choice, id, artefact, out);
            }
            _ => return self.lose(choice, "tool_calls", "the wire cannot express the piece"),
        }
        self.call_chunk(choice, &view, out);
    }

    /// A call's proof among the thoughts, for clients that keep no others' fields. It has a number of its own among them: clients join
    /// entries of one number.
    fn call_proof(&mut self, choice: u32, id: &str, proof: &Artefact, out: &mut Vec<u8>) {
        let of_choice = self.choices.iter_mut().find(|c| c.index == choice);
        let index = of_choice.map_or(0, |c| {
            c.thoughts += 1;
            c.thoughts - 1
        });
        self.reasoning_chunk(choice, &DetailBody::OfCall(proof), Some(id), index, out);
    }

    fn citation_chunk(&mut self, choice: u32, citation: &Citation, out: &mut Vec<u8>) {
        let mut written = Vec::new();
        if !write_annotation(&mut written, citation) {
            let why = "only sources with an address can be cited";
            return self.lose(choice, "annotations", why);
        }
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"{\"annotations\":[");
            out.extend_from_slice(&written);
            out.extend_from_slice(b"]}");
        });
    }

    fn reasoning_chunk(
        &self,
        choice: u32,
        body: &DetailBody<'_>,
        id: Option<&str>,
        index: usize,
        out: &mut Vec<u8>,
    ) {
        let sealed = matches!(body, DetailBody::OfCall(_))
            || matches!(body, DetailBody::Artefact(a) if a.kind == ArtefactKind::Encrypted);
        if self.context.hide_reasoning && !sealed {
            return;
        }
        self.chunk(choice, out, |out| {
            out.push(b'{');
            if let DetailBody::Text(_, text, _) = body {
                out.extend_from_slice(b"\"reasoning\":");
                push_string(out, text);
                out.push(b',');
            }
            out.extend_from_slice(b"\"reasoning_details\":[");
            write_detail(out, body, id, index, None);
            out.extend_from_slice(b"]}");
        });
    }

    fn logprobs_chunk(&self, choice: u32, json: &llmleaf_model::Json, out: &mut Vec<u8>) {
        self.open_chunk(choice, out);
        out.extend_from_slice(b"{\"content\":\"\"},\"logprobs\":");
        out.extend_from_slice(json.as_str().as_bytes());
        out.extend_from_slice(b",\"finish_reason\":null}");
        self.close_chunk(out);
    }

    fn image_chunk(&self, choice: u32, mime: Option<&str>, delta: &Delta, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"{\"images\":[");
            write_image(out, mime, delta);
            out.extend_from_slice(b"]}");
        });
    }

    fn audio_chunk(
        &self,
        choice: u32,
        id: Option<&str>,
        key: &str,
        value: &str,
        out: &mut Vec<u8>,
    ) {
        self.chunk(choice, out, |out| {
            let mut object = ObjectWriter::begin(out);
            let mut audio = ObjectWriter::begin(object.key("audio"));
            audio.string_if("id", id);
            audio.string(key, value);
            audio.end();
            object.end();
        });
    }

    fn block_end(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some(state) = usize::try_from(block)
            .ok()
            .and_then(|at| self.blocks.get_mut(at))
        else {
            return;
        };
        let choice = state.choice;
        match std::mem::replace(&mut state.lane, Lane::Lost) {
            // Clients parse arguments as JSON; a call without any takes none.
            Lane::Call {
                index,
                flavour: ToolFlavour::Function,
                empty: true,
                ..
            } => {
                let view = CallView {
                    index: Some(index),
                    id: None,
                    name: None,
                    arguments: Some("{}"),
                    flavour: ToolFlavour::Function,
                    artefact: None,
                };
                self.call_chunk(choice, &view, out);
            }
            Lane::Held(call) => {
                self.held.release(&call);
                let view = call.view();
                if let (Some(proof), Some(id)) = (view.artefact, view.id) {
                    self.call_proof(choice, id, proof, out);
                }
                self.call_chunk(choice, &view, out);
            }
            Lane::Image { mime, data } if !data.is_empty() => {
                self.image_chunk(choice, mime.as_deref(), &Delta::MediaData(data), out);
            }
            _ => {}
        }
    }

    fn choice_end(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>) {
        self.note(answer::lost_of_finish(finish));
        let at = self.choice(choice, out);
        if self.context.whole_calls {
            return self.held.ends.push((choice, finish.clone()));
        }
        self.finish_chunk(at, choice, finish, false, out);
    }

    /// The chunk that ends a choice; with the use, where that is told there.
    fn finish_chunk(
        &self,
        at: usize,
        choice: u32,
        finish: &Finish,
        tells_usage: bool,
        out: &mut Vec<u8>,
    ) {
        let has_calls = self.choices.get(at).is_some_and(|c| c.calls > 0);
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(itoa::Buffer::new().format(choice).as_bytes());
        let mut object = ObjectWriter::resume(out);
        object.raw("delta", "{}");
        object.raw("logprobs", "null");
        answer::write_finish(&mut object, finish, has_calls);
        object.end();
        match self.usage.as_ref().filter(|_| tells_usage) {
            Some(report) => {
                out.extend_from_slice(b"],\"usage\":");
                usage::render(report, out);
                out.extend_from_slice(b"}\n\n");
            }
            None => self.close_chunk(out),
        }
    }

    /// The ends that were held until the use is known: the last one tells it.
    fn held_ends(&mut self, out: &mut Vec<u8>) {
        let ends = std::mem::take(&mut self.held.ends);
        for (left, (choice, finish)) in (0..ends.len()).rev().zip(&ends) {
            let at = self.choice(*choice, out);
            self.finish_chunk(at, *choice, finish, left == 0, out);
        }
    }

    fn response_end(&mut self, out: &mut Vec<u8>) {
        if self.identity.is_none() {
            self.start(&ResponseStart::default());
        }
        // Where no choice has ended there is no chunk that could tell the use along with that.
        let apart = match self.context.whole_calls {
            true => self.held.ends.is_empty(),
            false => self.context.stream_usage,
        };
        self.held_ends(out);
        if let Some(report) = self.usage.as_ref().filter(|_| apart) {
            out.extend_from_slice(&self.bare_prefix);
            out.extend_from_slice(b"],\"usage\":");
            usage::render(report, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Encoder for ChunkEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        let refused = self.failure.is_some() && !matches!(event, Event::Error(_));
        if self.ended || refused {
            return;
        }
        match event {
            Event::ResponseStart(start) => {
                self.start(start);
                self.choice(0, out);
            }
            Event::BlockStart { choice, kind, .. } => self.block_start(*choice, kind, out),
            Event::BlockDelta { block, delta } => self.block_delta(*block, delta, out),
            Event::BlockEnd { block } => self.block_end(*block, out),
            Event::ChoiceEnd { choice, finish } => self.choice_end(*choice, finish, out),
            Event::UsageReport(usage) => self.usage = Some(usage.clone()),
            Event::ResponseEnd => {
                self.response_end(out);
                self.ended = true;
            }
            Event::Error(failure) => self.fail(failure, out),
            Event::Unknown { .. } => {}
        }
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}
