//! What a chunk or a whole completion says, as events: the two share every field but one.

use super::super::usage;
use super::super::wire::{
    Chunk, Content, ContentPart, Integer, Maybe, Raw, ReasoningDetail, Text, Thinking, WireAudio,
    WireChoice, WireMessage, WireToolCall,
};
use super::parse_finish;
use crate::assembly::{Assembly, MediaStart, ReasoningKey, ToolFragment};
use crate::object::string;
use llmleaf_model::{
    Artefact, ArtefactKind, Citation, Delta, DialectName, Event, Json, MediaKind, Provenance,
    ReasoningForm, ResponseStart, Rest, ToolFlavour,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The state of one response that is being read.
#[derive(Debug, Default)]
pub(in super::super) struct Reading {
    pub(in super::super) assembly: Assembly,
    started: bool,
    /// The last usage report as written: a repeated one is told once.
    usage: Option<Box<str>>,
    /// Sources of the answer as a whole, as last written.
    sources: Option<Json>,
    /// The one chunk is a whole response.
    whole: bool,
}

impl Reading {
    /// For a whole response, which is taken as one chunk.
    pub(in super::super) fn of_whole() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    /// Takes a chunk. Errors in it are the caller's business.
    pub(in super::super) fn take(&mut self, chunk: &Chunk<'_>, out: &mut Vec<Event>) {
        self.start(chunk, out);
        for (at, choice) in chunk.choices.0.iter().enumerate() {
            self.choice(at, choice, out);
        }
        for sources in [chunk.search_results, chunk.citations] {
            self.note_sources(sources);
        }
        let beside = chunk.x_groq.0.as_ref().and_then(|beside| beside.usage.0);
        if let Some(raw) = chunk.usage.0.or(beside)
            && self.usage.as_deref() != Some(raw.get())
            && let Some(mut usage) = usage::parse(raw)
        {
            self.usage = Some(raw.get().into());
            if let Some(tier) = chunk.service_tier.0.and_then(string) {
                usage.set_tier(&tier);
            }
            out.push(Event::UsageReport(usage));
        }
    }

    /// Ends the response: sources, open blocks, finishes.
    pub(in super::super) fn end(&mut self, out: &mut Vec<Event>) {
        if let Some(sources) = self.sources.take() {
            for citation in source_list(&sources) {
                let delta = Delta::Citation(Box::new(citation));
                self.assembly.annotate(0, delta, out);
            }
        }
        self.assembly.end(out);
    }

    /// The first chunk of some services names nothing yet (`id: ""`), so the start waits until there is
    /// something to say, but never longer than the first choice.
    fn start(&mut self, chunk: &Chunk<'_>, out: &mut Vec<Event>) {
        let id = chunk.id.filled();
        let model = chunk.model.filled();
        if self.started || (id.is_none() && model.is_none() && chunk.choices.0.is_empty()) {
            return;
        }
        self.started = true;
        let mut rest = Rest::default();
        for (key, value) in [
            ("system_fingerprint", chunk.system_fingerprint),
            ("service_tier", chunk.service_tier),
            ("provider", chunk.provider),
        ] {
            if let Some(raw) = value.0 {
                rest.push(key, Json::from(raw));
            }
        }
        out.push(Event::ResponseStart(ResponseStart {
            id: id.map(str::to_owned),
            model: model.map(str::to_owned),
            created: chunk.created.0.filter(|c| *c > 0),
            usage: None,
            rest,
        }));
    }

    fn choice(&mut self, at: usize, wire: &WireChoice<'_>, out: &mut Vec<Event>) {
        let index = match wire.index.0 {
            Some(index) => u32::try_from(index).unwrap_or(u32::MAX),
            None => u32::try_from(at).unwrap_or(u32::MAX),
        };
        self.assembly.touch(index);
        let (delta, message) = (wire.delta.0.as_ref(), wire.message.0.as_deref());
        // In a stream, a whole message beside a delta repeats what the deltas said; in a whole response, a delta beside the
        // message is an empty leftover (Perplexity, every recorded response, 2026).
        let said = if self.whole {
            message.or(delta)
        } else {
            delta.or(message)
        };
        if let Some(said) = said {
            self.message(index, said, out);
        }
        if let Some(raw) = wire.logprobs.0
            && raw.get().contains("\"token\"")
        {
            let delta = Delta::Logprobs(Json::from(raw));
            self.assembly.annotate(index, delta, out);
        }
        if let Some(word) = wire.finish_reason.filled() {
            let finish = parse_finish(word, wire.native_finish_reason.filled());
            self.assembly.finish(index, finish);
        }
    }

    fn message(&mut self, choice: u32, message: &WireMessage<'_>, out: &mut Vec<Event>) {
        self.reasoning(choice, message, out);
        match &message.content {
            Content::Absent => {}
            Content::Text(text) => self.assembly.text(choice, text, out),
            Content::Parts(parts) => {
                for part in &parts.0 {
                    self.content_part(choice, part, out);
                }
            }
        }
        self.assembly.refusal(choice, message.refusal.get(), out);
        if let Some(raw) = message.annotations.0 {
            for citation in annotations(raw) {
                let delta = Delta::Citation(Box::new(citation));
                self.assembly.annotate(choice, delta, out);
            }
        }
        for image in &message.images.0 {
            if let Some(url) = image.image_url.0.as_ref().and_then(|u| u.url.filled()) {
                self.image(choice, url, out);
            }
        }
        if let Some(audio) = &message.audio.0 {
            self.audio(choice, audio, out);
        }
        for call in &message.tool_calls.0 {
            self.tool_call(choice, call, out);
        }
        if let Some(function) = &message.function_call.0 {
            let arguments = arguments(function.arguments);
            let fragment = ToolFragment {
                index: Some(0),
                id: None,
                name: function.name.filled(),
                arguments: arguments.as_deref(),
                ..ToolFragment::default()
            };
            self.assembly.tool(choice, &fragment, out);
        }
    }

    /// Reasoning may be told in three fields at once; the details say most, so their text counts where they have any.
    fn reasoning(&mut self, choice: u32, message: &WireMessage<'_>, out: &mut Vec<Event>) {
        let details = &message.reasoning_details.0;
        let told = details
            .iter()
            .any(|d| d.text.filled().is_some() || d.summary.filled().is_some());
        if !told {
            let plain = message.reasoning.filled();
            let text = plain.unwrap_or_else(|| message.reasoning_content.get());
            let key = ReasoningKey::default();
            self.assembly
                .reasoning(choice, &key, ReasoningForm::Full, text, out);
        }
        for detail in details {
            self.detail(choice, detail, out);
        }
    }

    fn detail(&mut self, choice: u32, detail: &ReasoningDetail<'_>, out: &mut Vec<Event>) {
        let key = ReasoningKey {
            index: detail.index.0,
            id: detail.id.filled().map(str::to_owned),
        };
        let (form, text) = match detail.summary.filled() {
            Some(summary) => (ReasoningForm::Summary, summary),
            None => (ReasoningForm::Full, detail.text.get()),
        };
        self.assembly.reasoning(choice, &key, form, text, out);
        // A signature counts when it is there at all, also for a text that is empty.
        for (kind, data) in [
            (ArtefactKind::Signature, detail.signature.filled()),
            (ArtefactKind::Encrypted, detail.data.filled()),
        ] {
            if let Some(data) = data {
                let artefact = Artefact {
                    provenance: provenance(detail.format.filled()),
                    kind,
                    data: data.to_owned(),
                };
                self.assembly
                    .reasoning_artefact(choice, &key, artefact, out);
            }
        }
    }

    fn content_part(&mut self, choice: u32, part: &ContentPart<'_>, out: &mut Vec<Event>) {
        let key = ReasoningKey::default();
        let form = ReasoningForm::Full;
        match &part.thinking {
            Thinking::Absent => {}
            Thinking::Text(text) => self.assembly.reasoning(choice, &key, form, text, out),
            Thinking::Parts(parts) => {
                for inner in &parts.0 {
                    self.assembly
                        .reasoning(choice, &key, form, inner.text.get(), out);
                }
            }
        }
        if let Some(data) = part.signature.filled() {
            let artefact = Artefact {
                provenance: Provenance::UNKNOWN,
                kind: ArtefactKind::Signature,
                data: data.to_owned(),
            };
            self.assembly
                .reasoning_artefact(choice, &key, artefact, out);
        }
        self.assembly.refusal(choice, part.refusal.get(), out);
        self.assembly.text(choice, part.text.get(), out);
        if let Some(url) = part.image_url.0.as_ref().and_then(|u| u.url.filled()) {
            self.image(choice, url, out);
        }
    }

    fn tool_call(&mut self, choice: u32, call: &WireToolCall<'_>, out: &mut Vec<Event>) {
        let custom = call.custom.0.as_ref();
        let (name, arguments, flavour) = match (custom, &call.function.0) {
            (Some(custom), _) => (
                custom.name.filled(),
                custom.input.filled().map(Cow::Borrowed),
                ToolFlavour::Custom,
            ),
            (None, Some(function)) => (
                function.name.filled(),
                arguments(function.arguments),
                ToolFlavour::Function,
            ),
            (None, None) => (None, None, ToolFlavour::Function),
        };
        let extra = call.extra_content.0;
        let artefact = extra.and_then(super::super::tools::thought_signature);
        let fragment = ToolFragment {
            index: call.index.0,
            id: call.id.filled(),
            name,
            arguments: arguments.as_deref(),
            flavour,
            artefact: artefact.as_ref(),
        };
        self.assembly.tool(choice, &fragment, out);
    }

    fn image(&mut self, choice: u32, url: &str, out: &mut Vec<Event>) {
        self.assembly.break_prose(choice, out);
        let (mime, delta) = match super::super::media::split_data_url(url) {
            Some((mime, data)) => (Some(mime), Delta::MediaData(data.to_owned())),
            None => (None, Delta::MediaUrl(url.to_owned())),
        };
        let start = MediaStart {
            kind: MediaKind::Image,
            mime,
            id: None,
        };
        self.assembly.media(choice, &start, delta, out);
        self.assembly.break_prose(choice, out);
    }

    fn audio(&mut self, choice: u32, audio: &WireAudio<'_>, out: &mut Vec<Event>) {
        let start = MediaStart {
            kind: MediaKind::Audio,
            mime: None,
            id: audio.id.filled(),
        };
        if let Some(text) = audio.transcript.filled() {
            self.assembly
                .media(choice, &start, Delta::Text(text.to_owned()), out);
        }
        if let Some(data) = audio.data.filled() {
            self.assembly
                .media(choice, &start, Delta::MediaData(data.to_owned()), out);
        }
    }

    fn note_sources(&mut self, raw: Raw<'_>) {
        // Titles are worth more than bare addresses: `search_results` come first and are kept.
        if let Some(raw) = raw.0.filter(|r| r.get().len() > 2) {
            let titled = self
                .sources
                .as_ref()
                .is_some_and(|s| s.as_str().contains('{'));
            let better = !titled || raw.get().contains('{');
            if better && self.sources.as_ref().map(Json::as_str) != Some(raw.get()) {
                self.sources = Some(Json::from(raw));
            }
        }
    }
}

/// The family that a `format` names.
pub(in super::super) fn provenance(format: Option<&str>) -> Provenance {
    match format {
        None | Some("unknown") => Provenance::UNKNOWN,
        Some(format) => Provenance(Cow::Owned(format.to_owned())),
    }
}

/// Arguments as text: the string as documented, or the text of an object that a service sent in its place.
fn arguments(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let raw = raw.0?;
    crate::object::string(raw).or(Some(Cow::Borrowed(raw.get())))
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Source<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
    start_index: Integer,
    end_index: Integer,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Annotation<'a> {
    #[serde(borrow)]
    url_citation: Maybe<Source<'a>>,
}

/// Annotations of a message; one without an address is kept in its native form only.
pub(in super::super) fn annotations(raw: &RawValue) -> Vec<Citation> {
    let items = crate::object::items(raw).unwrap_or_default();
    items
        .into_iter()
        .filter(|item| item.get().starts_with('{'))
        .map(|item| {
            let read: Annotation<'_> = serde_json::from_str(item.get()).unwrap_or_default();
            citation(item, &read.url_citation.0.unwrap_or_default())
        })
        .collect()
}

/// Sources of an answer as a whole: a list of addresses, or of objects.
fn source_list(json: &Json) -> Vec<Citation> {
    let items = crate::object::items(json.raw()).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|raw| {
            let source = match crate::object::string(raw) {
                Some(url) => Source {
                    url: Text(Some(url)),
                    ..Source::default()
                },
                None if raw.get().starts_with('{') => serde_json::from_str(raw.get()).ok()?,
                None => return None,
            };
            source.url.filled()?;
            Some(citation(raw, &source))
        })
        .collect()
}

fn citation(native: &RawValue, source: &Source<'_>) -> Citation {
    Citation {
        dialect: DialectName::ChatCompletions,
        native: Json::from(native),
        url: source.url.filled().map(str::to_owned),
        title: source.title.filled().map(str::to_owned),
        cited_text: source.content.filled().map(str::to_owned),
        span: source.start_index.0.zip(source.end_index.0),
    }
}
