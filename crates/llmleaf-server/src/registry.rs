//! Every endpoint, one row each. The router, the OpenAPI document, body limits and auth classes come from here.

mod batches;
mod node;
mod row;

pub use batches::BatchCall;

use http::Method;
use llmleaf_dialects::transcription::Task;
use llmleaf_dialects::{Dialect, ImageForm, ModerationForm};
use llmleaf_exchange::Operation::{Draw, Moderate};
use llmleaf_exchange::{Audio, Verb};
use row::{
    CHAT, COUNT, COUNT_CONTENT, EMBED, EMBED_BATCH, EMBED_CONTENT, EMBED_CONTENTS, EMBED_LINES,
    EMBED_ONE, EMBED_PROMPT, EMBED_TYPED, EMBED_TYPED_FIRST, GENERATE, RERANK, RERANK_TEXTS,
    STREAM, audio, get, head, kept, lines, method, post,
};

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthClass {
    /// Anyone.
    Public,
    /// Whoever proves a consumer key.
    Consumer,
    /// Whoever holds the admin token; without one configured the endpoint does not exist.
    Admin,
}

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Chat, a token count for it, or something about a kept answer, in the row's dialect.
    Exchange(llmleaf_exchange::Operation),
    /// Chat over a WebSocket: many requests on one connection.
    Socket,
    /// Something about batches or their files.
    Batch(BatchCall),
    /// A session over a WebSocket, of speech and text.
    Realtime,
    /// A secret that opens such sessions for a short while; the older form is nested in its session.
    RealtimeSecret { nested: bool },
    /// The models that the caller may use.
    Models,
    /// One of them.
    Model,
    /// One of them, named in the body.
    Show,
    /// Those that are loaded.
    Loaded,
    /// The version of a wire.
    Version,
    /// The description of this API.
    OpenApi,
    /// The process is alive.
    Alive,
    /// It takes work.
    Ready,
    /// Clients' probe of the base URL.
    Probe,
    /// Configured routes.
    AdminRoutes,
    /// Health of targets, and the last records.
    AdminHealth,
    /// The last exchanges.
    AdminRecent,
    /// Consumer keys, without secrets.
    AdminKeys,
    /// Numbers for scrapers.
    Metrics,
}

/// Where a request says which model it asks, and whether to stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addressing {
    /// In its body.
    Body,
    /// The model stands in the path, and the path's method says whether to stream.
    Path { stream: bool },
}

/// One endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Method.
    pub method: Method,
    /// Path; `{id}` takes all up to what stands behind it, slashes included.
    pub path: &'static str,
    /// Who may call it.
    pub auth: AuthClass,
    /// What it does.
    pub operation: Operation,
    /// The dialect of its bodies and errors.
    pub dialect: Dialect,
    /// Where the model and whether to stream are said.
    pub addressing: Addressing,
    /// It takes a body of up to `server.max_body_bytes`.
    pub takes_body: bool,
    /// One line for the API description.
    pub summary: &'static str,
}

/// Every endpoint.
pub static ENDPOINTS: &[Endpoint] = &[
    post(
        "/v1/chat/completions",
        CHAT,
        Dialect::ChatCompletions,
        "Chat completions, whole or streamed, with routing extensions.",
    ),
    post(
        "/v1/completions",
        CHAT,
        Dialect::TextCompletions,
        "Goes on with a text, whole or streamed: the wire before chat.",
    ),
    post(
        "/v1/responses",
        CHAT,
        Dialect::Responses,
        "Responses, whole or streamed.",
    ),
    Endpoint {
        method: Method::GET,
        path: "/v1/responses",
        auth: AuthClass::Consumer,
        operation: Operation::Socket,
        dialect: Dialect::Responses,
        addressing: Addressing::Body,
        takes_body: false,
        summary: "Responses over a WebSocket: requests are `response.create` messages.",
    },
    post(
        "/v1/responses/input_tokens",
        COUNT,
        Dialect::Responses,
        "Counts the input tokens of a request for a response.",
    ),
    kept(
        Method::GET,
        "/v1/responses/{id}",
        Verb::Retrieve,
        "A response that its provider keeps, as it is by now.",
    ),
    kept(
        Method::DELETE,
        "/v1/responses/{id}",
        Verb::Delete,
        "Has the provider forget a response.",
    ),
    kept(
        Method::POST,
        "/v1/responses/{id}/cancel",
        Verb::Cancel,
        "Stops a response that is made in the background.",
    ),
    kept(
        Method::GET,
        "/v1/responses/{id}/input_items",
        Verb::Inputs,
        "What a kept response answers.",
    ),
    post(
        "/v1/messages",
        CHAT,
        Dialect::Messages,
        "Messages, whole or streamed.",
    ),
    post(
        "/v1/messages/count_tokens",
        COUNT,
        Dialect::Messages,
        "Counts the input tokens of a messages request.",
    ),
    batches::MESSAGES_MAKE,
    batches::MESSAGES_LIST,
    batches::MESSAGES_RETRIEVE,
    batches::MESSAGES_DELETE,
    batches::MESSAGES_CANCEL,
    batches::MESSAGES_RESULTS,
    batches::MAKE,
    batches::LIST,
    batches::RETRIEVE,
    batches::CANCEL,
    batches::RESULTS,
    batches::UPLOAD,
    batches::FILES,
    batches::FILE,
    batches::DELETE_FILE,
    batches::CONTENT,
    post(
        "/v2/chat",
        CHAT,
        Dialect::CohereChat,
        "Chat with documents and citations, whole or streamed.",
    ),
    method("/v1beta/models/{id}:generateContent", CHAT, false, GENERATE),
    method("/v1/models/{id}:generateContent", CHAT, false, GENERATE),
    method(
        "/v1beta/models/{id}:streamGenerateContent",
        CHAT,
        true,
        STREAM,
    ),
    method("/v1/models/{id}:streamGenerateContent", CHAT, true, STREAM),
    method(
        "/v1beta/models/{id}:countTokens",
        COUNT,
        false,
        COUNT_CONTENT,
    ),
    method("/v1/models/{id}:countTokens", COUNT, false, COUNT_CONTENT),
    method(
        "/v1beta/models/{id}:embedContent",
        EMBED_ONE,
        false,
        EMBED_CONTENT,
    ),
    method(
        "/v1/models/{id}:embedContent",
        EMBED_ONE,
        false,
        EMBED_CONTENT,
    ),
    method(
        "/v1beta/models/{id}:batchEmbedContents",
        EMBED_BATCH,
        false,
        EMBED_CONTENTS,
    ),
    method(
        "/v1/models/{id}:batchEmbedContents",
        EMBED_BATCH,
        false,
        EMBED_CONTENTS,
    ),
    post(
        "/v1/embeddings",
        EMBED,
        Dialect::ChatCompletions,
        "Vectors for texts.",
    ),
    get(
        "/v1/realtime",
        AuthClass::Consumer,
        Operation::Realtime,
        "A session over a WebSocket: speech and text, by the events of the Realtime wire.",
    ),
    post(
        "/v1/realtime/client_secrets",
        Operation::RealtimeSecret { nested: false },
        Dialect::ChatCompletions,
        "A secret for browsers that opens realtime sessions here for a short while.",
    ),
    post(
        "/v1/realtime/sessions",
        Operation::RealtimeSecret { nested: true },
        Dialect::ChatCompletions,
        "The same, in the form that stood before.",
    ),
    post(
        "/v2/embed",
        EMBED_TYPED,
        Dialect::CohereChat,
        "Vectors by type of number, for texts and images.",
    ),
    post(
        "/v1/embed",
        EMBED_TYPED_FIRST,
        Dialect::CohereChat,
        "The same, as the first version of that API has it.",
    ),
    post(
        "/api/embed",
        EMBED_LINES,
        Dialect::LINES,
        "Vectors for texts, as that wire has them.",
    ),
    post(
        "/api/embeddings",
        EMBED_PROMPT,
        Dialect::LINES,
        "A vector for a prompt, as that wire once had it.",
    ),
    post(
        "/v1/rerank",
        RERANK,
        Dialect::ChatCompletions,
        "Orders documents by how well they fit a query.",
    ),
    post(
        "/v2/rerank",
        RERANK_TEXTS,
        Dialect::CohereChat,
        "The same for texts, as the second version of that API has it.",
    ),
    post(
        "/v1/images/generations",
        Operation::Exchange(Draw(ImageForm::Generations)),
        Dialect::ChatCompletions,
        "Images of a text, whole or streamed.",
    ),
    post(
        "/v1/images/edits",
        Operation::Exchange(Draw(ImageForm::Edits)),
        Dialect::ChatCompletions,
        "Images of a text and images, whole or streamed.",
    ),
    post(
        "/v1/images/variations",
        Operation::Exchange(Draw(ImageForm::Variations)),
        Dialect::ChatCompletions,
        "Images like an image.",
    ),
    post(
        "/v1/moderations",
        Operation::Exchange(Moderate(ModerationForm::Inputs)),
        Dialect::ChatCompletions,
        "Verdicts on texts and pictures.",
    ),
    post(
        "/v1/chat/moderations",
        Operation::Exchange(Moderate(ModerationForm::Conversations)),
        Dialect::ChatCompletions,
        "Verdicts on conversations.",
    ),
    post(
        "/v1/audio/speech",
        audio(Audio::Speech),
        Dialect::ChatCompletions,
        "Says a text; the sound comes as it is made.",
    ),
    get(
        "/v1/audio/voices",
        AuthClass::Consumer,
        audio(Audio::Voices),
        "The voices of the model that `model` names.",
    ),
    post(
        "/v1/audio/transcriptions",
        audio(Audio::Transcription(Task::Transcribe)),
        Dialect::ChatCompletions,
        "Writes down what is said in a file, which is sent on while it comes.",
    ),
    post(
        "/v1/audio/translations",
        audio(Audio::Transcription(Task::Translate)),
        Dialect::ChatCompletions,
        "The same in English.",
    ),
    post(
        "/api/chat",
        CHAT,
        Dialect::LINES,
        "Chat, whole or as lines of JSON; it streams unless `stream` is false.",
    ),
    post(
        "/api/generate",
        CHAT,
        Dialect::LINES_PROMPT,
        "Completes one prompt, whole or as lines of JSON.",
    ),
    lines(
        Method::GET,
        "/api/tags",
        AuthClass::Consumer,
        Operation::Models,
        "The models that the key may use, as that wire lists them.",
    ),
    lines(
        Method::GET,
        "/api/ps",
        AuthClass::Consumer,
        Operation::Loaded,
        "The models that are loaded here: none, they run elsewhere.",
    ),
    lines(
        Method::POST,
        "/api/show",
        AuthClass::Consumer,
        Operation::Show,
        "One model, as that wire describes it.",
    ),
    lines(
        Method::GET,
        "/api/version",
        AuthClass::Public,
        Operation::Version,
        "The version of that wire which is served.",
    ),
    get(
        "/v1beta/models",
        AuthClass::Consumer,
        Operation::Models,
        "The models that the key may use, as that wire lists them.",
    ),
    get(
        "/v1beta/models/{id}",
        AuthClass::Consumer,
        Operation::Model,
        "One model, as that wire describes it.",
    ),
    get(
        "/v1/models",
        AuthClass::Consumer,
        Operation::Models,
        "The models that the key may use.",
    ),
    get(
        "/v1/models/{id}",
        AuthClass::Consumer,
        Operation::Model,
        "One model.",
    ),
    get(
        "/v1/openapi.json",
        AuthClass::Public,
        Operation::OpenApi,
        "This description.",
    ),
    get(
        "/healthz",
        AuthClass::Public,
        Operation::Alive,
        "200 while the process lives.",
    ),
    get(
        "/readyz",
        AuthClass::Public,
        Operation::Ready,
        "200 while the node takes work, 503 while it drains.",
    ),
    node::ROUTES,
    node::HEALTH,
    node::RECENT,
    node::KEYS,
    node::METRICS,
    lines(
        Method::GET,
        "/",
        AuthClass::Public,
        Operation::Probe,
        "Says that the service runs, as clients of `/api/chat` expect it.",
    ),
    head("/"),
    head("/api/version"),
    head("/api/hello"),
];

/// What a method and a canonical path mean.
#[derive(Debug)]
pub enum Matched<'a> {
    /// This endpoint; the rest of the path where it takes one.
    Found(&'static Endpoint, Option<&'a str>),
    /// The path exists, with these methods.
    OtherMethods(Vec<&'static Method>),
    /// No such path.
    Unknown,
}

/// What stands in the place of `{id}`.
fn named<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (stem, method) = template.split_once("{id}")?;
    let rest = path.strip_prefix(stem)?.strip_suffix(method)?;
    (!rest.is_empty()).then_some(rest)
}

/// Looks an endpoint up.
pub fn find<'a>(method: &Method, path: &'a str) -> Matched<'a> {
    // Most paths name a row literally; to look for models in all rows costs a hundred times as much.
    let literal = |endpoint: &&Endpoint| endpoint.path == path && endpoint.method == *method;
    if let Some(endpoint) = ENDPOINTS.iter().find(literal) {
        return Matched::Found(endpoint, None);
    }
    // A path that ends in a model's method means that, and no model whose name ends so.
    let methods = ENDPOINTS.iter().any(|endpoint| {
        let is_method = !endpoint.path.ends_with("{id}");
        is_method && named(endpoint.path, path).is_some()
    });
    // A path that is a row by its letters names nothing else.
    let spelled = ENDPOINTS.iter().any(|endpoint| endpoint.path == path);
    let mut others = Vec::new();
    for endpoint in ENDPOINTS {
        let rest = named(endpoint.path, path);
        let is_model = methods && endpoint.path.ends_with("{id}") || spelled && rest.is_some();
        if rest.is_none() && endpoint.path != path || is_model {
            continue;
        }
        if endpoint.method == *method {
            return Matched::Found(endpoint, rest);
        }
        others.push(&endpoint.method);
    }
    if others.is_empty() {
        Matched::Unknown
    } else {
        Matched::OtherMethods(others)
    }
}
