//! What the provider says.

use super::answer::{Answer, Ending};
use super::{CALLS, CUT, Cut, Live, Stage};
use crate::object::{self, Object};
use crate::realtime::step::Step;
use crate::realtime::{Counted, Part};
use llmleaf_model::{Failure, FailureKind, Usage};
use serde_json::value::RawValue;

impl Live {
    /// Takes a message of the provider.
    pub fn hear(&mut self, text: &str) -> Vec<Step> {
        let mut out = Vec::new();
        let Ok(top) = Object::parse(text) else {
            return out;
        };
        if top.get("setupComplete").is_some() {
            self.stage = Stage::Runs;
            out.extend(self.held.drain(..).map(Step::Send));
            self.held_bytes = 0;
        }
        let content = top.get("serverContent").and_then(Object::from_raw);
        if let Some(report) = top.get("usageMetadata").and_then(Object::from_raw) {
            let speaks = content
                .as_ref()
                .is_some_and(|content| content.get("modelTurn").is_some());
            self.used(usage(&report), speaks);
        }
        if let Some(content) = content {
            self.content(&content, &mut out);
        }
        if let Some(call) = top.get("toolCall").and_then(Object::from_raw) {
            self.call(&call, &mut out);
        }
        if let Some(away) = top.get("goAway").and_then(Object::from_raw) {
            let left = away
                .get("timeLeft")
                .and_then(object::string)
                .unwrap_or_default();
            let why = format!("the provider ends this session soon; time left: {left}");
            let mut failure = Failure::gateway(FailureKind::Overloaded, why);
            failure.code = Some("session_going_away".to_owned());
            self.voice(&mut out).refuse(&failure, None);
        }
        out
    }

    /// An answer begins, if none runs.
    pub(super) fn begin(&mut self, out: &mut Vec<Step>) {
        if self.answer.is_some() {
            return;
        }
        self.settle_called(out);
        self.written(out);
        let modality = match self.setup.texts() {
            true => "text",
            false => "audio",
        };
        let (conversation, older) = (format!("conv_{}", self.speaker.name), self.older);
        self.answer = Some(Answer::begin(
            conversation,
            older,
            modality,
            &mut self.voice(out),
        ));
    }

    /// The answer ends, and what it used.
    fn end(&mut self, ending: Ending, out: &mut Vec<Step>) -> Option<Counted> {
        let Some(answer) = self.answer.take() else {
            return self.unclaimed();
        };
        let usage = self.usage.take();
        let mut last = self.last_item.take();
        let counted = answer.finish(ending, usage, &mut last, &mut self.voice(out));
        self.last_item = last;
        Some(counted)
    }

    /// What was used by no answer that was seen: a turn without one, or what is told when its answer is over.
    pub(super) fn unclaimed(&mut self) -> Option<Counted> {
        let usage = self.usage.take()?;
        Some(self.bare(usage))
    }

    /// So much was used, by an answer of which nothing else is known.
    fn bare(&mut self, usage: Usage) -> Counted {
        Counted {
            part: Part::Answer,
            id: self.speaker.fresh("resp"),
            usage,
            reported: true,
            complete: true,
            model: None,
        }
    }

    /// The answer is whole.
    fn finish(&mut self, out: &mut Vec<Step>) {
        let counted = self.end(Ending::Completed, out);
        out.extend(counted.map(Box::new).map(Step::Count));
    }

    /// The answer is cut short. What it used is told with the end of its turn, and counted then.
    pub(super) fn cut(&mut self, why: &'static str, muted: bool, out: &mut Vec<Step>) {
        if self.unsettled.len() >= CUT {
            self.settle_cut(out);
        }
        let counted = self.end(Ending::Cancelled(why), out);
        self.unsettled.push_back(Cut { counted, muted });
    }

    /// Counts the oldest answer that was cut short; false where there is none.
    fn settle_cut(&mut self, out: &mut Vec<Step>) -> bool {
        let Some(cut) = self.unsettled.pop_front() else {
            return false;
        };
        out.extend(cut.counted.map(Box::new).map(Step::Count));
        true
    }

    /// The provider says what was used: by what it speaks of now, which is the oldest answer that was cut short. `speaks` is true
    /// where something of an answer comes along.
    fn used(&mut self, usage: Usage, speaks: bool) {
        let cut = self.unsettled.pop_front();
        match cut {
            Some(mut cut) if cut.muted || !speaks => {
                match &mut cut.counted {
                    Some(counted) => (counted.usage, counted.reported) = (usage, true),
                    None => cut.counted = Some(self.bare(usage)),
                }
                self.unsettled.push_front(cut);
            }
            other => {
                let is_cut = other.is_some();
                other
                    .into_iter()
                    .for_each(|cut| self.unsettled.push_front(cut));
                match &mut self.called {
                    Some(called) if !is_cut && !speaks => {
                        (called.usage, called.reported) = (usage, true);
                    }
                    _ => self.usage = Some(usage),
                }
            }
        }
    }

    /// What was heard is written down, once an answer to it begins.
    fn written(&mut self, out: &mut Vec<Step>) {
        let Some((item, text)) = self.heard.take() else {
            return;
        };
        if text.is_empty() {
            return;
        }
        let kind = "conversation.item.input_audio_transcription.completed";
        self.voice(out).say(kind, |event| {
            // It is a part of the answer's own count.
            let nothing =
                "{\"type\":\"tokens\",\"total_tokens\":0,\"input_tokens\":0,\"output_tokens\":0}";
            event
                .string("item_id", &item)
                .number("content_index", 0)
                .string("transcript", &text)
                .raw("usage", nothing);
        });
    }

    fn content(&mut self, content: &Object<'_>, out: &mut Vec<Step>) {
        let is = |name: &str| content.get(name).is_some_and(|raw| raw.get() == "true");
        let written = |name: &str| {
            let inner = content.get(name).and_then(Object::from_raw)?;
            let text = inner.get("text").and_then(object::string)?;
            Some(text.into_owned())
        };
        if let Some(text) = written("inputTranscription") {
            self.transcribed(&text, out);
        }
        if is("interrupted") {
            self.interrupted(out);
        }
        // What was interrupted is followed by the end of its turn (the vendor's types, read 2026-11); one that does not tell it has gone on.
        if content.get("modelTurn").is_some() {
            self.outlive_cut(out);
        }
        if self.unsettled.is_empty() {
            let turn = content.get("modelTurn").and_then(Object::from_raw);
            let parts = turn.as_ref().and_then(|turn| turn.get("parts"));
            for part in parts.and_then(object::items).unwrap_or_default() {
                self.part(part, out);
            }
            if let Some(text) = written("outputTranscription") {
                self.piece(out, |answer, last, voice| answer.text(&text, last, voice));
            }
            if is("generationComplete") && self.answer.is_some() {
                self.piece(out, Answer::close);
            }
        }
        if is("turnComplete") {
            self.settle_called(out);
            if !self.settle_cut(out) {
                self.finish(out);
            }
        }
    }

    /// Something of another answer comes: nothing more will be told of the one that was interrupted.
    fn outlive_cut(&mut self, out: &mut Vec<Step>) {
        if self.unsettled.front().is_some_and(|cut| !cut.muted) {
            self.settle_cut(out);
        }
    }

    fn transcribed(&mut self, text: &str, out: &mut Vec<Step>) {
        if self.heard.is_none() {
            let item = self.voice(out).fresh("item");
            self.heard = Some((item, String::new()));
        }
        let Some((item, so_far)) = &mut self.heard else {
            return;
        };
        so_far.push_str(text);
        let item = item.clone();
        let kind = "conversation.item.input_audio_transcription.delta";
        self.voice(out).say(kind, |event| {
            event
                .string("item_id", &item)
                .number("content_index", 0)
                .string("delta", text);
        });
    }

    /// Somebody spoke into the answer: players are to stop.
    fn interrupted(&mut self, out: &mut Vec<Step>) {
        // By what the consumer asks after it cancelled an answer, or by speech while nothing can be heard: that answer is told of already.
        if self.unsettled.front().is_some_and(|cut| cut.muted) {
            return;
        }
        let item = self.voice(out).fresh("item");
        self.voice(out)
            .say("input_audio_buffer.speech_started", |event| {
                event.number("audio_start_ms", 0).string("item_id", &item);
            });
        self.heard = Some((item, String::new()));
        self.cut("turn_detected", false, out);
    }

    fn piece(
        &mut self,
        out: &mut Vec<Step>,
        say: impl FnOnce(&mut Answer, &mut Option<String>, &mut crate::realtime::step::Voice<'_>),
    ) {
        self.begin(out);
        let (Some(mut answer), mut last) = (self.answer.take(), self.last_item.take()) else {
            return;
        };
        say(&mut answer, &mut last, &mut self.voice(out));
        self.answer = Some(answer);
        self.last_item = last;
    }

    fn part(&mut self, raw: &RawValue, out: &mut Vec<Step>) {
        let Some(part) = Object::from_raw(raw) else {
            return;
        };
        // What it thought is not shown.
        if part.get("thought").is_some_and(|raw| raw.get() == "true") {
            return;
        }
        if let Some(text) = part.get("text").and_then(object::string) {
            self.piece(out, |answer, last, voice| answer.text(&text, last, voice));
        }
        let blob = part.get("inlineData").and_then(Object::from_raw);
        if let Some(data) = blob.as_ref().and_then(|blob| blob.get("data")) {
            self.piece(out, |answer, last, voice| {
                answer.speech(data.get(), last, voice)
            });
        }
    }

    /// It calls functions: with them the answer is done. What it used may be told behind them, up to the end of the turn.
    fn call(&mut self, call: &Object<'_>, out: &mut Vec<Step>) {
        self.outlive_cut(out);
        let calls = call.get("functionCalls").and_then(object::items);
        for raw in calls.unwrap_or_default() {
            let call = Object::from_raw(raw).unwrap_or_default();
            let name = call
                .get("name")
                .and_then(object::string)
                .unwrap_or_default();
            let id = match call.get("id").and_then(object::string) {
                Some(id) => id.into_owned(),
                None => self.voice(out).fresh("call"),
            };
            let arguments = call.get("args").map_or("{}", |raw| raw.get());
            if self.calls.len() >= CALLS {
                self.calls.remove(0);
            }
            self.calls.push((id.clone(), name.clone().into_owned()));
            self.piece(out, |answer, last, voice| {
                answer.call((&id, &name, arguments), last, voice);
            });
        }
        match self.usage.is_some() {
            true => self.finish(out),
            false => self.called = self.end(Ending::Completed, out),
        }
    }

    /// Counts what called functions: nothing more will be told of it.
    fn settle_called(&mut self, out: &mut Vec<Step>) {
        let called = self.called.take();
        out.extend(called.map(Box::new).map(Step::Count));
    }
}

/// Counts by kind; what was cached is a part of the input.
fn usage(report: &Object<'_>) -> Usage {
    let number = |object: &Object<'_>, name: &str| {
        let count = object.get(name).and_then(|raw| raw.get().parse().ok());
        count
            .filter(|count: &u64| *count <= crate::LARGEST_COUNT)
            .unwrap_or_default()
    };
    let of_kind = |field: &str, kind: &str| {
        let list = report
            .get(field)
            .and_then(object::items)
            .unwrap_or_default();
        let each = list.iter().filter_map(|raw| Object::from_raw(raw));
        let fits = each
            .filter(|one| one.get("modality").and_then(object::string).as_deref() == Some(kind));
        fits.map(|one| number(&one, "tokenCount"))
            .fold(0, u64::saturating_add)
    };
    let mut usage = Usage::default();
    let prompt = number(report, "promptTokenCount")
        .saturating_add(number(report, "toolUsePromptTokenCount"));
    usage.set_inclusive_input(
        prompt,
        number(report, "cachedContentTokenCount"),
        0,
        of_kind("promptTokensDetails", "AUDIO"),
    );
    let images = of_kind("promptTokensDetails", "IMAGE").min(usage.input);
    usage.input -= images;
    usage.input_image = images;
    let thought = number(report, "thoughtsTokenCount");
    usage.set_inclusive_output(
        number(report, "responseTokenCount").saturating_add(thought),
        thought,
        of_kind("responseTokensDetails", "AUDIO"),
    );
    usage
}
