//! A provider as this node calls it: its row and its configuration, resolved once.

mod heads;

use self::heads::Heads;
use crate::minting::Minter;
use crate::node::PromptCache;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use llmleaf_dialects::embeddings::EmbeddingDefaults;
use llmleaf_dialects::speech::Voice;
use llmleaf_dialects::{ChatWire, Dialect};
use llmleaf_model::{Effort, Failure};
use llmleaf_providers::{Auth, Chat, Path, Provider, Realtime};
use llmleaf_transport::{Origin, OriginError, Preamble};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use thiserror::Error;

/// Credentials below this many bytes are placeholders of local services, and common words.
const SHORTEST_SECRET: usize = 8;

/// Whether the upstream call streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamStreaming {
    /// When the consumer asked for a stream.
    #[default]
    WhenRequested,
    /// Always; a whole answer is collected from the stream.
    Always,
    /// Never; the consumer's stream is rendered from the whole answer.
    Never,
}

/// Which of a provider's wires its chat goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatApi {
    /// The consumer's own dialect where the provider speaks it, else the provider's first.
    #[default]
    Auto,
    /// This one, where the provider speaks it.
    Only(Dialect),
}

/// What configuration says of a provider.
#[derive(Debug)]
pub struct UpstreamSpec<'a> {
    /// Its configured name.
    pub name: &'a str,
    /// Its row.
    pub row: &'static Provider,
    /// Its base URL; `None` for providers that need none.
    pub base_url: Option<&'a str>,
    /// Its credentials, in the order of use.
    pub credentials: Vec<Credential<'a>>,
    /// Requests are spread over the credentials.
    pub spreads: bool,
    /// It is read to its end when the consumer goes.
    pub drains: bool,
    /// It may keep what it is sent, as far as the operator knows.
    pub collects_data: Option<bool>,
    /// It retains nothing, as far as the operator knows.
    pub zero_retention: Option<bool>,
    /// Values of header settings: (setting, value).
    pub settings: &'a [(&'static str, &'a str)],
    /// API version for paths that carry one.
    pub api_version: Option<&'a str>,
    /// The same for the Responses wire.
    pub responses_api_version: Option<&'a str>,
    /// Whether calls stream.
    pub streaming: UpstreamStreaming,
    /// Which wire chat goes over.
    pub chat_api: ChatApi,
    /// Keep the beginnings of prompts.
    pub prompt_cache: Option<PromptCache>,
    /// How much models reason where a request says nothing about it.
    pub reasoning_effort: Option<Effort>,
    /// Whose models these are, where the service keeps makers apart and the names do not say so.
    pub maker: Option<&'a str>,
    /// What is said of embeddings where requests say nothing.
    pub embedding: EmbeddingDefaults,
    /// Voices of its models, as the operator lists them.
    pub voices: Vec<(String, Vec<Voice>)>,
    /// Index of the pool its connections come from.
    pub pool: usize,
    /// The same for those to where its tokens come from.
    pub mint_pool: usize,
    /// It is told of which trace a request is a part. `None`: where it is near.
    pub traces: Option<bool>,
}

/// A credential as it is configured.
#[derive(Clone, Debug)]
pub enum Credential<'a> {
    /// As the row attaches it.
    Plain(&'a str),
    /// In this header (lower case), whatever the row says.
    InHeader(&'static str, &'a str),
    /// A token that does not last, as `Authorization`.
    Minted(Arc<Minter>),
}

/// A provider that cannot be called as configured.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// The base URL does not parse.
    #[error("endpoint of provider `{0}`: {1}")]
    Endpoint(String, OriginError),
    /// No base URL.
    #[error("provider `{0}` needs an `endpoint`")]
    NoEndpoint(String),
    /// A value that cannot stand in a header; the value itself is not shown.
    #[error("provider `{provider}`: {what} holds characters that no HTTP header may hold")]
    Header { provider: String, what: String },
}

/// A provider, ready to be called. Its credential is bound to its origin: nothing else is ever given it.
#[derive(Debug)]
pub struct Upstream {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its row.
    pub row: &'static Provider,
    /// Index of the pool its connections come from.
    pub pool: usize,
    /// Whether calls stream.
    pub streaming: UpstreamStreaming,
    /// The same for those to where its tokens come from.
    pub mint_pool: usize,
    chat_api: ChatApi,
    /// It is told of which trace a request is a part.
    pub traces: bool,
    /// Keep the beginnings of prompts.
    pub prompt_cache: Option<PromptCache>,
    /// How much models reason where a request says nothing about it.
    pub reasoning_effort: Option<Effort>,
    maker: Option<String>,
    /// What is said of embeddings where requests say nothing.
    pub embedding: EmbeddingDefaults,
    voices: Vec<(String, Vec<Voice>)>,
    /// Requests are spread over several credentials.
    pub spreads: bool,
    /// It is read to its end when the consumer goes, so that its bill is known.
    pub drains: bool,
    /// It may keep what it is sent; `None` is not known.
    pub collects_data: Option<bool>,
    /// It retains nothing; `None` is not known.
    pub zero_retention: Option<bool>,
    origin: Option<Arc<Origin>>,
    base_path: String,
    api_version: Option<String>,
    responses_api_version: Option<String>,
    /// What is sent with every request, once per credential, with that among them (marked sensitive) unless it is minted. Never empty.
    headers: Vec<HeaderMap>,
    /// Whole heads of requests, once per credential as well.
    heads: Heads,
    /// Paths that are always the same.
    paths: Vec<(Path, String)>,
    /// Per credential, what mints it.
    minters: Vec<Option<Arc<Minter>>>,
}

impl Upstream {
    /// Resolves a provider.
    ///
    /// # Errors
    /// It cannot be called as configured.
    pub fn new(spec: &UpstreamSpec<'_>) -> Result<Self, UpstreamError> {
        let (origin, base_path) = match spec.base_url {
            Some(url) => {
                let parsed = Origin::parse(url)
                    .map_err(|e| UpstreamError::Endpoint(spec.name.to_owned(), e))?;
                (
                    Some(Arc::new(parsed.0)),
                    parsed.1.trim_end_matches('/').to_owned(),
                )
            }
            None if spec.row.is_local() => (None, String::new()),
            None => return Err(UpstreamError::NoEndpoint(spec.name.to_owned())),
        };
        let headers = each_headers(spec)?;
        Ok(Self {
            heads: Heads::new(headers.len()),
            paths: heads::fixed(spec.row, &base_path),
            headers,
            name: spec.name.into(),
            row: spec.row,
            pool: spec.pool,
            streaming: spec.streaming,
            mint_pool: spec.mint_pool,
            chat_api: spec.chat_api,
            prompt_cache: spec.prompt_cache,
            reasoning_effort: spec.reasoning_effort,
            maker: spec.maker.map(str::to_owned),
            embedding: spec.embedding.clone(),
            voices: spec.voices.clone(),
            minters: (spec.credentials.iter())
                .map(|credential| match credential {
                    Credential::Minted(minter) => Some(Arc::clone(minter)),
                    Credential::Plain(_) | Credential::InHeader(..) => None,
                })
                .collect(),
            spreads: spec.spreads && spec.credentials.len() > 1,
            drains: spec.drains,
            collects_data: spec.collects_data,
            zero_retention: spec.zero_retention,
            traces: (spec.traces)
                .unwrap_or_else(|| origin.as_ref().is_some_and(|origin| is_near(origin.host()))),
            origin,
            base_path,
            api_version: spec.api_version.map(str::to_owned),
            responses_api_version: spec.responses_api_version.map(str::to_owned),
        })
    }

    /// The chat to use for a consumer and a model: by configuration, else the consumer's own dialect where the provider speaks it, else
    /// the preferred wire.
    pub fn chat(&self, consumer: Dialect, model: &str) -> Option<&'static Chat> {
        let chats = self.spoken(model).0;
        let asked = match self.chat_api {
            ChatApi::Only(dialect) => speaking(chats, dialect),
            ChatApi::Auto => None,
        };
        let serves = |chat: &&Chat| match chat {
            Chat::Wire(wire, _) => wire.serves(self.named(model)),
            Chat::Echo => true,
        };
        asked
            .or_else(|| speaking(chats, consumer).filter(serves))
            .or_else(|| chats.first())
    }

    /// How sessions with a model are held, where they are.
    pub fn realtime(&self, model: &str) -> Option<&'static Realtime> {
        let offered = self.row.speaks.realtime.as_ref();
        offered.filter(|offered| offered.has(self.named(model)))
    }

    /// Path and query of a session with a model.
    pub fn session_path(&self, offered: &Realtime, model: &str, transcribes: bool) -> String {
        let version = match offered.path {
            Path::Resource(_) => &self.responses_api_version,
            _ => &self.api_version,
        };
        let model = self.named(model);
        offered.address(&self.base_path, model, version.as_deref(), transcribes)
    }

    /// The wire in which refusals are read, whatever was asked.
    pub fn error_wire(&self, model: &str) -> Option<&'static ChatWire> {
        let chats = self.wire(Dialect::ChatCompletions, model);
        chats.map(|(wire, _)| wire)
    }

    /// Path of the service's own token count for a model.
    pub fn count_tokens(&self, model: &str) -> Option<Path> {
        self.spoken(model).1
    }

    /// How a model is spoken to: as its maker's are, or as the only maker's that speak the configured wire.
    fn spoken(&self, model: &str) -> (&'static [Chat], Option<Path>) {
        let speaks = &self.row.speaks;
        let maker = speaks.maker(model, self.maker.as_deref());
        let maker = maker.or_else(|| match self.chat_api {
            ChatApi::Only(dialect) if speaking(speaks.chat, dialect).is_none() => {
                let mut makers = speaks.makers.iter();
                makers.find(|maker| speaking(maker.chat, dialect).is_some())
            }
            _ => None,
        });
        match maker {
            Some(maker) => (maker.chat, maker.count_tokens),
            None => (speaks.chat, speaks.count_tokens),
        }
    }

    /// The wires of chat with a model.
    pub(crate) fn chats(&self, model: &str) -> &'static [Chat] {
        self.spoken(model).0
    }

    /// Voices of a model, where the operator lists them.
    pub fn voices(&self, model: &str) -> Option<&[Voice]> {
        let mut listed = self.voices.iter();
        let (_, voices) = listed.find(|(named, _)| named == model)?;
        Some(voices)
    }

    /// A model's name as the service's wire says it.
    pub fn named<'m>(&self, model: &'m str) -> &'m str {
        self.row.speaks.bare(model)
    }

    /// What mints a credential, if it is minted.
    pub fn minter(&self, credential: usize) -> Option<&Arc<Minter>> {
        self.minters.get(credential)?.as_ref()
    }

    /// Everything that mints.
    pub fn minters(&self) -> impl Iterator<Item = &Arc<Minter>> {
        self.minters.iter().flatten()
    }

    /// Where requests go.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref()
    }

    /// Path and query of an operation for a model.
    pub fn path(&self, path: Path, model: &str, stream: bool) -> Cow<'_, str> {
        if let Some((_, fixed)) = self.paths.iter().find(|(known, _)| *known == path) {
            return Cow::Borrowed(fixed);
        }
        let version = match path {
            Path::Resource(_) => &self.responses_api_version,
            Path::Fixed(_) | Path::Deployment(_) | Path::Method { .. } => &self.api_version,
        };
        let model = self.named(model);
        path.below(&self.base_path, model, stream, version.as_deref())
            .into()
    }

    /// The head of a request that posts JSON as [`Self::request`] makes it, if all of it is known beforehand: the path is always the same,
    /// nothing of the consumer's goes along, and the credential is not minted.
    pub fn preamble(
        &self,
        credential: usize,
        path: &str,
        accept: &'static str,
        same_dialect: bool,
        forwarded: &[(HeaderName, HeaderValue)],
    ) -> Option<&Preamble> {
        let goes_on = |(name, _): &(HeaderName, HeaderValue)| self.lets_through(name);
        let known = self.paths.iter().any(|(_, known)| known == path);
        if !known || (same_dialect && forwarded.iter().any(goes_on)) {
            return None;
        }
        let made = |method| {
            let credential = (credential, None);
            let made = self.request(credential, method, path, accept, false, &[]);
            made.ok()
        };
        let origin = self.origin.as_ref()?;
        self.heads.of(credential, path, accept, origin, made)
    }

    fn lets_through(&self, name: &HeaderName) -> bool {
        self.row.forwards.contains(&name.as_str())
    }

    /// A request to this provider, without a body. Built from the row and the configuration alone; `forwarded` are
    /// consumer headers, of which those go on that the row names, and only where the dialect is the same. `credential` is an index;
    /// `token` is what it was minted to.
    pub fn request(
        &self,
        (credential, token): (usize, Option<HeaderValue>),
        method: Method,
        path: &str,
        accept: &'static str,
        same_dialect: bool,
        forwarded: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<()>, http::Error> {
        let has_body = method == Method::POST;
        let mut request = Request::builder().method(method).uri(path).body(())?;
        let own = self.headers.get(credential).or(self.headers.first());
        let mut headers = own.cloned().unwrap_or_default();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if !has_body {
            headers.remove(CONTENT_TYPE);
        }
        if same_dialect {
            let mut last = None;
            for (name, value) in forwarded.iter().filter(|(name, _)| self.lets_through(name)) {
                // The consumer's values replace ours; several lines of one name stay several.
                if last == Some(name) {
                    headers.append(name.clone(), value.clone());
                } else {
                    headers.insert(name.clone(), value.clone());
                }
                last = Some(name);
            }
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token);
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Takes this provider's credential out of what it said: error replies quote it, and end in logs.
    pub(crate) fn scrub(&self, failure: &mut Failure) {
        let all = self.headers.iter().flat_map(HeaderMap::values);
        let sent = all.filter(|value| value.is_sensitive());
        let minted: Vec<HeaderValue> = self.minters().filter_map(|m| m.value()).collect();
        let secrets = sent
            .chain(&minted)
            .filter_map(|value| value.to_str().ok())
            .map(|text| text.strip_prefix("Bearer ").unwrap_or(text))
            .filter(|secret| secret.len() >= SHORTEST_SECRET);
        for secret in secrets {
            let words = [
                &mut failure.code,
                &mut failure.wire_type,
                &mut failure.param,
            ];
            let words = words.into_iter().flatten();
            for text in words.chain([&mut failure.message]) {
                if text.contains(secret) {
                    *text = text.replace(secret, "[credential]");
                }
            }
            let quotes = |body: &[u8]| {
                let text = String::from_utf8_lossy(body);
                text.contains(secret) || unescaped(&text).contains(secret)
            };
            failure.body = failure.body.take().filter(|body| !quotes(body));
        }
    }

    /// The URL that a chat request for a model would go to, for people.
    pub fn chat_url(&self, consumer: Dialect, model: &str) -> Option<String> {
        match (self.chat(consumer, model)?, &self.origin) {
            (Chat::Wire(_, path), Some(origin)) => {
                Some(format!("{origin}{}", self.path(*path, model, false)))
            }
            _ => Some(format!("local:{}", self.row.name)),
        }
    }

    /// The wire and path of a chat with a model, where it is one.
    pub fn wire(&self, consumer: Dialect, model: &str) -> Option<(&'static ChatWire, Path)> {
        match self.chat(consumer, model)? {
            Chat::Wire(wire, path) => Some((wire, *path)),
            Chat::Echo => None,
        }
    }
}

/// Whether a host is one of ours by its name: what is told of a trace is nobody else's business.
fn is_near(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        };
    }
    let ours = [".local", ".localhost", ".internal", ".lan"];
    !bare.contains('.') || ours.iter().any(|end| bare.ends_with(end))
}

/// The chat over that dialect.
fn speaking(chats: &'static [Chat], dialect: Dialect) -> Option<&'static Chat> {
    let speaks = |chat: &&Chat| matches!(chat, Chat::Wire(wire, _) if wire.dialect() == dialect);
    chats.iter().find(speaks)
}

/// A text with those JSON escapes resolved that could spell a credential: `\\/`, and `\\u00XX` of visible ASCII.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let code = escape.strip_prefix('u').and_then(|hex| hex.get(..4));
        let plain = code
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(u8::is_ascii_graphic);
        rest = match (plain, escape.strip_prefix('/')) {
            (Some(byte), _) => {
                out.push(char::from(byte));
                escape.get(5..).unwrap_or_default()
            }
            (None, Some(after)) => {
                out.push('/');
                after
            }
            (None, None) => escape,
        };
    }
    out.push_str(rest);
    out
}

fn each_headers(spec: &UpstreamSpec<'_>) -> Result<Vec<HeaderMap>, UpstreamError> {
    if spec.credentials.is_empty() {
        return Ok(vec![headers(spec, None)?]);
    }
    let each = spec.credentials.iter();
    each.map(|credential| headers(spec, Some(credential)))
        .collect()
}

fn headers(
    spec: &UpstreamSpec<'_>,
    credential: Option<&Credential<'_>>,
) -> Result<HeaderMap, UpstreamError> {
    let bad = |what: &str| UpstreamError::Header {
        provider: spec.name.to_owned(),
        what: what.to_owned(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("llmleaf/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, value) in spec.row.headers {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    for (setting, header) in spec.row.setting_headers {
        if let Some((_, value)) = spec.settings.iter().find(|(name, _)| name == setting) {
            let value =
                HeaderValue::from_str(value).map_err(|_| bad(&format!("setting `{setting}`")))?;
            headers.insert(HeaderName::from_static(header), value);
        }
    }
    if let Some(credential) = credential {
        let (name, text) = match (credential, spec.row.auth) {
            (Credential::Minted(_), _) | (_, Auth::None) => return Ok(headers),
            (Credential::InHeader(name, text), _) => {
                (HeaderName::from_static(name), (*text).to_owned())
            }
            (Credential::Plain(text), Auth::Bearer) => (AUTHORIZATION, format!("Bearer {text}")),
            (Credential::Plain(text), Auth::Header(name)) => {
                (HeaderName::from_static(name), (*text).to_owned())
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| bad("the credential"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn a_credential_is_found_however_json_spells_it() {
        for (written, read) in [
            (r"sk-SECRET\u0053ECRET", "sk-SECRETSECRET"),
            (r"a\/b\u002Fc", "a/b/c"),
            (r"no such thing as \u00e4\n", r"no such thing as u00e4n"),
            (r"\u00", "u00"),
            ("plain", "plain"),
        ] {
            assert_eq!(unescaped(written), read);
        }
    }
}
