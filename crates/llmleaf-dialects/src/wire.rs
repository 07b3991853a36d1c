//! The two tables in which a new dialect is one row each: consumer end and provider end.

mod reference;
mod takes;

use crate::envelope::Enveloped;
use crate::surrogates::Paired;
use crate::{
    Decoder, Encoder, Frame, Head, Relayed, Rendered, Reply, ReplyContext, Target,
    chat_completions, cohere, gemini, messages, ollama, responses, schema, text_completions,
    toolbox,
};
use bytes::Bytes;
use llmleaf_model::{
    ChatRequest, DialectName, Event, Failure, FailureKind, Response, Retry, Usage,
};
use serde::Deserialize;

/// A dialect that consumers may speak to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI Chat Completions, with OpenRouter's extensions.
    ChatCompletions,
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// Gemini `generateContent`.
    GenerateContent,
    /// Ollama's own wire, in one of its two forms.
    Ollama(ollama::Form),
    /// Cohere chat, version 2.
    CohereChat,
    /// OpenAI's completions, the wire before chat.
    TextCompletions,
}

impl Dialect {
    /// The wire whose streams are lines of JSON: a conversation.
    pub const LINES: Self = Self::Ollama(ollama::Form::Chat);
    /// The same wire: one prompt.
    pub const LINES_PROMPT: Self = Self::Ollama(ollama::Form::Generate);

    /// Its name in the model.
    pub fn name(self) -> DialectName {
        match self {
            Self::ChatCompletions => DialectName::ChatCompletions,
            Self::Messages => DialectName::Messages,
            Self::Responses => DialectName::Responses,
            Self::GenerateContent => DialectName::GenerateContent,
            Self::Ollama(form) => form.name(),
            Self::CohereChat => DialectName::CohereChat,
            Self::TextCompletions => DialectName::TextCompletions,
        }
    }

    /// Parses a request whole.
    ///
    /// # Errors
    /// The body does not say what a request needs; the failure names the field.
    pub fn parse_request(self, body: &str) -> Result<ChatRequest, Failure> {
        match self {
            Self::ChatCompletions => chat_completions::request::parse_request(body),
            Self::Messages => messages::request::parse_request(body),
            Self::Responses => responses::request::parse_request(body),
            Self::GenerateContent => gemini::request::parse_request(body),
            Self::Ollama(form) => ollama::request::parse_request(body, form),
            Self::CohereChat => cohere::request::parse_request(body),
            Self::TextCompletions => text_completions::request::parse_request(body),
        }
    }

    /// Parses a request to count input tokens.
    ///
    /// # Errors
    /// As for [`Self::parse_request`].
    pub fn parse_count(self, body: &str) -> Result<ChatRequest, Failure> {
        match self {
            Self::ChatCompletions => chat_completions::request::parse_request(body),
            Self::Messages => messages::count::parse_request(body),
            Self::Responses => responses::request::parse_request(body),
            Self::GenerateContent => gemini::count::parse_request(body),
            Self::Ollama(form) => ollama::request::parse_request(body, form),
            Self::CohereChat => cohere::request::parse_request(body),
            Self::TextCompletions => text_completions::request::parse_request(body),
        }
    }

    /// Renders a count of input tokens.
    pub fn render_count(self, input_tokens: u64) -> Vec<u8> {
        match self {
            Self::Responses => responses::count::render_reply(input_tokens),
            // The others have no such operation; their consumers never get here.
            Self::ChatCompletions
            | Self::Messages
            | Self::Ollama(_)
            | Self::CohereChat
            | Self::TextCompletions => messages::count::render_reply(input_tokens),
            Self::GenerateContent => gemini::count::render_reply(input_tokens),
        }
    }

    /// Renders a whole response for a consumer.
    pub fn render_response(self, response: &Response, context: &ReplyContext) -> Reply {
        let response = &*toolbox::restore(response, context);
        match self {
            Self::ChatCompletions => chat_completions::response::render_response(response, context),
            Self::Messages => messages::response::render_response(response, context),
            Self::Responses => responses::response::render_response(response, context),
            Self::GenerateContent => gemini::response::render_response(response, context),
            Self::Ollama(form) => ollama::response::render_response(response, context, form),
            Self::CohereChat => cohere::response::render_response(response, context),
            Self::TextCompletions => text_completions::response::render_response(response, context),
        }
    }

    /// An encoder for one stream.
    pub fn encoder(self, context: ReplyContext) -> Box<dyn Encoder> {
        let told = context.clone();
        let inner: Box<dyn Encoder> = match self {
            Self::ChatCompletions => Box::new(chat_completions::events::encoder(told)),
            Self::Messages => Box::new(messages::events::encoder(told)),
            Self::Responses => Box::new(responses::events::encoder(told)),
            Self::GenerateContent => Box::new(gemini::events::encoder(told)),
            Self::Ollama(form) => Box::new(ollama::events::encoder(told, form)),
            Self::CohereChat => Box::new(cohere::events::encoder(told)),
            Self::TextCompletions => Box::new(text_completions::events::encoder(told)),
        };
        toolbox::Restored::around(inner, &context)
    }

    /// Renders a failure as a whole reply.
    pub fn render_error(self, failure: &Failure, request_id: &str) -> Reply {
        match self {
            Self::ChatCompletions => chat_completions::errors::render_error(failure, request_id),
            Self::Messages => messages::errors::render_error(failure, request_id),
            Self::Responses => responses::errors::render_error(failure, request_id),
            Self::GenerateContent => gemini::errors::render_error(failure, request_id),
            Self::Ollama(_) => ollama::errors::render_error(failure, request_id),
            Self::CohereChat => cohere::errors::render_error(failure, request_id),
            Self::TextCompletions => text_completions::errors::render_error(failure, request_id),
        }
    }

    /// Renders a failure inside a stream that has begun. No success terminator may follow it.
    pub fn render_stream_error(self, failure: &Failure, request_id: &str) -> Vec<u8> {
        match self {
            Self::ChatCompletions => {
                chat_completions::errors::render_stream_error(failure, request_id)
            }
            Self::Messages => messages::errors::render_stream_error(failure, request_id),
            Self::Responses => responses::errors::render_stream_error(failure, request_id),
            Self::GenerateContent => gemini::errors::render_stream_error(failure, request_id),
            Self::Ollama(_) => ollama::errors::render_stream_error(failure, request_id),
            Self::CohereChat => cohere::errors::render_stream_error(failure, request_id),
            Self::TextCompletions => {
                text_completions::errors::render_stream_error(failure, request_id)
            }
        }
    }

    /// Renders a failure inside a stream whose events were forwarded. `trail` is the data of the first and of the last of
    /// them, by which some wires go on.
    pub fn render_break(
        self,
        failure: &Failure,
        request_id: &str,
        trail: Option<(&[u8], &[u8])>,
    ) -> Vec<u8> {
        match self {
            Self::Responses => responses::errors::render_break(failure, request_id, trail),
            _ => self.render_stream_error(failure, request_id),
        }
    }

    /// Streams may have comments. Google's own clients take one for a broken answer: its JavaScript SDK looks for `data:` behind white
    /// space only and says "Incomplete JSON segment at the end" (in the CLI of 2026-11), its Go SDK fails at any other field.
    pub fn takes_comments(self) -> bool {
        !matches!(self, Self::GenerateContent | Self::Ollama(_))
    }

    /// Bytes that keep an idle stream alive and mean nothing.
    pub fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::ChatCompletions | Self::Responses | Self::CohereChat | Self::TextCompletions => {
                b": keep-alive\n\n"
            }
            Self::GenerateContent => b"\n",
            Self::Messages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
            // An empty line is no JSON, and clients fail at it; in front of a line, white space means nothing.
            Self::Ollama(_) => b" ",
        }
    }

    /// What this wire's own service says to whoever asks for nothing; clients look for it when they start.
    pub fn greeting(self) -> &'static str {
        match self {
            Self::Ollama(_) => "Ollama is running",
            _ => "",
        }
    }

    /// A request may ask nothing of the model (it is to be loaded): see [`Self::idle_answer`].
    pub fn has_idle_requests(self) -> bool {
        matches!(self, Self::Ollama(_))
    }

    /// The answer to a request that asks nothing; `None` for one that does. Services of the wire answer it themselves.
    pub fn idle_answer(self, request: &ChatRequest) -> Option<Vec<Event>> {
        match self {
            Self::Ollama(_) => ollama::request::idle_answer(request),
            _ => None,
        }
    }

    /// The consumer streams unless it says that it does not.
    pub fn streams_unasked(self) -> bool {
        matches!(self, Self::Ollama(_))
    }

    /// A stream is lines of JSON, in place of events.
    pub fn streams_lines(self) -> bool {
        matches!(self, Self::Ollama(_))
    }
}

/// A dialect that a provider speaks, with that provider's variations of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatWire {
    /// OpenAI Chat Completions.
    Completions(chat_completions::Quirks),
    /// Anthropic Messages.
    Messages(messages::Quirks),
    /// OpenAI Responses.
    Responses(responses::Quirks),
    /// Gemini `generateContent`.
    GenerateContent(gemini::Quirks),
    /// Ollama's own wire.
    Ollama(ollama::Quirks),
    /// Cohere chat, version 2. No service is known to differ from the reference.
    CohereChat,
    /// OpenAI's completions.
    TextCompletions(text_completions::Quirks),
}

impl ChatWire {
    /// The dialect.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Completions(_) => Dialect::ChatCompletions,
            Self::Messages(_) => Dialect::Messages,
            Self::Responses(_) => Dialect::Responses,
            Self::GenerateContent(_) => Dialect::GenerateContent,
            Self::Ollama(quirks) => Dialect::Ollama(quirks.form),
            Self::CohereChat => Dialect::CohereChat,
            Self::TextCompletions(_) => Dialect::TextCompletions,
        }
    }

    /// Renders a parsed request, for a consumer of another dialect.
    ///
    /// # Errors
    /// The request cannot be expressed at all (kind `Unsupported`: the next target may).
    pub fn render_request(
        &self,
        request: &ChatRequest,
        target: Target<'_>,
    ) -> Result<Rendered, Failure> {
        let own = request.dialect == self.dialect().name();
        if let Some(field) = request.bound.as_deref().filter(|_| !own) {
            return Err(bound(field));
        }
        if let Some(field) = request
            .kept_by_provider()
            .filter(|_| !(own && self.keeps()))
        {
            return Err(responses::kept::unkept(field));
        }
        let (mut request, mut losses) = toolbox::flatten(request, self.takes_tools());
        if !own {
            request = schema::fit(request, self.takes_schemas(), &mut losses)?;
        }
        let mut rendered = match self {
            Self::Completions(quirks) => {
                chat_completions::request::render_request(&request, target, quirks)
            }
            Self::Messages(quirks) => messages::request::render_request(&request, target, quirks),
            Self::Responses(quirks) => responses::request::render_request(&request, target, quirks),
            Self::GenerateContent(quirks) => {
                gemini::request::render_request(&request, target, quirks)
            }
            Self::Ollama(quirks) => ollama::request::render_request(&request, target, quirks),
            Self::CohereChat => cohere::request::render_request(&request, target),
            Self::TextCompletions(quirks) => {
                text_completions::request::render_request(&request, target, quirks)
            }
        }?;
        losses.append(&mut rendered.losses);
        rendered.losses = losses;
        Ok(rendered)
    }

    /// Whether the service keeps answers, which can then be asked for, gone on from, and made in the background.
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Responses(quirks) if quirks.storage == responses::quirks::Storage::Offered)
    }

    /// True where the service takes a body of this dialect as it is, for its model of that name. Where it does not, the request must be rendered for
    /// it as if it were of another dialect.
    pub fn takes(&self, head: &Head, body: &Bytes, model: &str) -> bool {
        match self {
            Self::Messages(_)
            | Self::GenerateContent(_)
            | Self::Ollama(_)
            | Self::CohereChat
            | Self::TextCompletions(_) => true,
            // What was passed once is not looked through again.
            Self::Completions(quirks) => {
                !head.may_prove() || chat_completions::edits::takes(body, quirks, model)
            }
            Self::Responses(quirks) => responses::edits::takes(head, body, quirks),
        }
    }

    /// Splices the named edits into a body of the same dialect; unedited bytes stay as they are.
    ///
    /// # Errors
    /// A field that an edit must touch has a shape that this dialect does not know.
    pub fn edit_request(
        &self,
        head: &Head,
        body: &Bytes,
        target: Target<'_>,
    ) -> Result<Rendered, Failure> {
        match self {
            Self::Completions(quirks) => {
                chat_completions::edits::edit_request(head, body, target, quirks)
            }
            Self::Messages(quirks) => messages::edits::edit_request(head, body, target, quirks),
            Self::Responses(quirks) => responses::edits::edit_request(head, body, target, quirks),
            Self::GenerateContent(quirks) => {
                gemini::edits::edit_request(head, body, target, quirks)
            }
            Self::Ollama(quirks) => ollama::edits::edit_request(head, body, target, quirks),
            Self::CohereChat => cohere::edits::edit_request(head, body, target),
            Self::TextCompletions(quirks) => {
                text_completions::edits::edit_request(head, body, target, quirks)
            }
        }
    }

    /// Whether the service speaks the routing language itself (see [`crate::preferences`]).
    pub fn routes(&self) -> bool {
        match self {
            Self::Completions(quirks) => quirks.request.extended,
            Self::Messages(quirks) => quirks.extended,
            Self::Responses(quirks) => quirks.extended,
            Self::TextCompletions(quirks) => quirks.chat.request.extended,
            Self::GenerateContent(_) | Self::Ollama(_) | Self::CohereChat => false,
        }
    }

    /// Splices the named edits into a request of the same dialect to count input tokens.
    ///
    /// # Errors
    /// The wire has no such operation (kind `Unsupported`), or the body is not the one `head` was read from.
    pub fn edit_count(&self, head: &Head, body: &Bytes, model: &str) -> Result<Rendered, Failure> {
        match self {
            Self::Completions(_)
            | Self::Ollama(_)
            | Self::CohereChat
            | Self::TextCompletions(_) => Err(Failure::gateway(
                FailureKind::Unsupported,
                "this wire counts no tokens before a request",
            )),
            Self::Responses(quirks) => responses::count::edit_request(head, body, model, quirks),
            Self::Messages(quirks) => messages::count::edit_request(head, body, model, quirks),
            Self::GenerateContent(quirks) => gemini::count::edit_request(head, body, model, quirks),
        }
    }

    /// Reads a provider's count of input tokens.
    ///
    /// # Errors
    /// The reply holds none.
    pub fn parse_count(&self, body: &[u8]) -> Result<u64, Failure> {
        match self {
            Self::GenerateContent(_) => gemini::count::parse_reply(body),
            _ => messages::count::parse_reply(body),
        }
    }

    /// A decoder for one stream.
    pub fn decoder(&self) -> Box<dyn Decoder> {
        match self {
            Self::Completions(quirks) => {
                let keys = &[
                    "\"content\":\"",
                    "\"content\": \"",
                    "\"reasoning_content\":\"",
                ];
                Box::new(Enveloped::new(
                    Paired::new(chat_completions::events::decoder(quirks)),
                    keys,
                ))
            }
            Self::Messages(quirks) => {
                let keys = &[
                    "\"text\":\"",
                    "\"text\": \"",
                    "\"thinking\":\"",
                    "\"thinking\": \"",
                ];
                Box::new(Enveloped::new(
                    Paired::new(messages::events::decoder(quirks)),
                    keys,
                ))
            }
            // Every event has a number of its own, so no frame has the envelope of the one before.
            Self::Responses(quirks) => Box::new(Paired::new(responses::events::decoder(quirks))),
            Self::GenerateContent(quirks) => {
                let keys = &["\"text\":\"", "\"text\": \""];
                Box::new(Enveloped::new(
                    Paired::new(gemini::events::decoder(quirks)),
                    keys,
                ))
            }
            // Every line has a time of its own, so no line has the envelope of the one before.
            Self::Ollama(quirks) => Box::new(Paired::new(ollama::events::decoder(quirks))),
            Self::CohereChat => {
                let keys = &[
                    "\"text\":\"",
                    "\"text\": \"",
                    "\"thinking\":\"",
                    "\"thinking\": \"",
                    "\"tool_plan\":\"",
                ];
                Box::new(Enveloped::new(Paired::new(cohere::events::decoder()), keys))
            }
            Self::TextCompletions(quirks) => {
                let keys = &["\"text\":\"", "\"text\": \"", "\"content\":\""];
                Box::new(Enveloped::new(
                    Paired::new(text_completions::events::decoder(quirks)),
                    keys,
                ))
            }
        }
    }

    /// What becomes of a frame on its way to a consumer of the same dialect.
    pub fn relay(&self, frame: &Frame, usage_added: bool) -> Relayed {
        match self {
            Self::Completions(_) | Self::TextCompletions(_) => {
                chat_completions::edits::relay(frame, usage_added)
            }
            Self::Messages(_)
            | Self::Responses(_)
            | Self::GenerateContent(_)
            | Self::Ollama(_)
            | Self::CohereChat => Relayed::AsIs,
        }
    }

    /// An answer of this wire, or a frame's data, with what it cost in its report of usage. `None` where the wire has no place for it,
    /// there is no report, or the cost is told already.
    pub fn tell_cost(&self, data: &[u8], nano_usd: u64) -> Option<Vec<u8>> {
        match self {
            Self::Completions(_) => chat_completions::edits::tell_cost(data, nano_usd),
            _ => None,
        }
    }

    /// True where a stream may come as one JSON array of its chunks, in place of events.
    pub fn streams_arrays(&self) -> bool {
        matches!(self, Self::GenerateContent(_))
    }

    /// Reads a whole response as the events of a stream, terminal included. A body that holds an error
    /// in spite of a good status ends in [`Event::Error`].
    pub fn parse_response(&self, body: &[u8]) -> Vec<Event> {
        match self {
            Self::Completions(quirks) => chat_completions::response::parse_response(body, quirks),
            Self::Messages(quirks) => messages::response::parse_response(body, quirks),
            Self::Responses(quirks) => responses::response::parse_response(body, quirks),
            Self::GenerateContent(quirks) => gemini::response::parse_response(body, quirks),
            Self::Ollama(quirks) => ollama::response::parse_response(body, quirks),
            Self::CohereChat => cohere::response::parse_response(body),
            Self::TextCompletions(quirks) => {
                text_completions::response::parse_response(body, quirks)
            }
        }
    }

    /// The usage of an answer that is forwarded as it is, where it can be read without reading the rest; `None` says that
    /// [`Self::parse_response`] must be asked.
    pub fn outline(&self, body: &[u8]) -> Option<Usage> {
        match self {
            Self::Completions(_) | Self::TextCompletions(_) => {
                chat_completions::outline::outline(body)
            }
            Self::Messages(_)
            | Self::Responses(_)
            | Self::GenerateContent(_)
            | Self::Ollama(_)
            | Self::CohereChat => None,
        }
    }

    /// Reads an error reply. `header` looks a response header up by its lower-case name.
    pub fn parse_error(
        &self,
        status: u16,
        header: &dyn Fn(&str) -> Option<String>,
        body: &Bytes,
    ) -> Failure {
        match self {
            Self::Completions(quirks) => {
                chat_completions::errors::parse_error(status, header, body, quirks)
            }
            Self::Messages(quirks) => messages::errors::parse_error(status, header, body, quirks),
            Self::Responses(_) => responses::errors::parse_error(status, header, body),
            Self::GenerateContent(quirks) => {
                gemini::errors::parse_error(status, header, body, quirks)
            }
            Self::Ollama(_) => ollama::errors::parse_error(status, header, body),
            Self::CohereChat => cohere::errors::parse_error(status, header, body),
            Self::TextCompletions(quirks) => {
                chat_completions::errors::parse_error(status, header, body, &quirks.chat)
            }
        }
    }
}

/// Whether a request can be answered by whoever keeps nothing and knows nothing but what it says.
///
/// # Errors
/// It cannot (kind `Unsupported`); the failure names the field.
pub fn needs_no_keeper(request: &ChatRequest) -> Result<(), Failure> {
    match (request.bound.as_deref(), request.kept_by_provider()) {
        (Some(field), _) => Err(bound(field)),
        (None, Some(field)) => Err(responses::kept::unkept(field)),
        (None, None) => Ok(()),
    }
}

/// The field by which an answer from such a wire can only be told as it was asked if the request is at hand.
pub fn unrestored(request: &ChatRequest, wire: &ChatWire) -> Option<&'static str> {
    let (flat, _) = toolbox::flatten(request, wire.takes_tools());
    matches!(flat, std::borrow::Cow::Owned(_)).then_some("tools")
}

/// The request asks for what only a service of its own dialect holds: another target may be one.
fn bound(field: &str) -> Failure {
    let why = format!("`{field}` asks for what only a service of the same wire can give");
    let mut failure = Failure::gateway(FailureKind::Unsupported, why);
    failure.param = Some(field.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}
