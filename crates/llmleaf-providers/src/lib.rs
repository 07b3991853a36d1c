//! The roster: each provider is a row of data over a dialect.
//!
//! A provider is a service; what it speaks is a dialect of `llmleaf-dialects`, with that service's
//! variations as quirks. A row states only differences from [`Provider::TEMPLATE`] and from the
//! reference wire. A new provider is one file in `roster/`, one line in `roster.rs` and one folder of recordings.
//!
//! Reading order: this file, `path.rs` and `place.rs` (where a service is called), `mint.rs` (what opens it where no key does),
//! `roster.rs`, any row; then [`echo`], the provider that needs no service.

mod audio;
pub mod echo;
mod mint;
mod path;
mod place;
mod realtime;
mod roster;

pub use audio::{Speech, Transcription, Voices};
pub use mint::{Ambient, ClientGrant, KeyFiles, Mints};
pub use path::Path;
pub use place::Place;
pub use realtime::{Realtime, RealtimeWire};

use llmleaf_dialects::batches::{BatchWire, FilesQuirks};
use llmleaf_dialects::embeddings::OpenAiQuirks;
use llmleaf_dialects::rerank::PlainQuirks;
use llmleaf_dialects::{ChatWire, EmbeddingWire, ImageWire, ModerationWire, RerankWire, images};

/// One provider: a service, as a row.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Canonical kind, as written in `kind = "…"`.
    pub name: &'static str,
    /// Other spellings of the kind that configs may use.
    pub aliases: &'static [&'static str],
    /// The service's name for people.
    pub title: &'static str,
    /// What OpenTelemetry calls it (`gen_ai.provider.name`), where that is not the kind.
    pub semantic: Option<&'static str>,
    /// Where the service lives, exactly as it prints it; `None` where the operator must give an `endpoint`.
    pub base_url: Option<&'static str>,
    /// How its address follows from the operator's project and location there, for a service that has one address for each.
    pub place: Option<Place>,
    /// How the credential is attached.
    pub auth: Auth,
    /// How credentials are had that do not last, beside what an operator writes down.
    pub mints: Mints,
    /// The environment variable its own SDK reads the credential from.
    pub credential_env: Option<&'static str>,
    /// What it speaks, and where.
    pub speaks: Speaks,
    /// Headers sent with every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers whose value an operator sets in `settings`: (setting, header).
    pub setting_headers: &'static [(&'static str, &'static str)],
    /// Consumer headers that go on to this service when the consumer speaks its dialect. Lower case.
    pub forwards: &'static [&'static str],
    /// Where the facts of this row were read, with date.
    pub source: &'static str,
}

/// How a credential is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all, even if one is configured.
    None,
    /// `Authorization: Bearer …`; left out where none is configured.
    Bearer,
    /// The credential as it is, in this header (lower case).
    Header(&'static str),
}

/// What a provider speaks.
#[derive(Clone, Debug)]
pub struct Speaks {
    /// Chat, the preferred wire first. A consumer that speaks one of the others gets that one.
    pub chat: &'static [Chat],
    /// Path of its own token count for a request, in the dialect of its chat.
    pub count_tokens: Option<Path>,
    /// Embeddings: the first entry that names the model; else the consumer's own form of the others, else their first.
    pub embeddings: &'static [Embeddings],
    /// Batches.
    pub batches: Option<Batches>,
    /// Reranking, the preferred form first. A consumer that speaks one of the others gets that one.
    pub rerank: &'static [Rerank],
    /// Moderation.
    pub moderations: Option<Moderations>,
    /// Sessions over a WebSocket, of speech and text.
    pub realtime: Option<Realtime>,
    /// Images: the first that serves a model.
    pub images: &'static [Images],
    /// Texts said.
    pub speech: Option<Speech>,
    /// What was said as text.
    pub transcription: Option<Transcription>,
    /// What it calls the maker of its own models, where it keeps makers apart.
    pub own_maker: Option<&'static str>,
    /// Models of other makers, which it serves in other ways than its own.
    pub makers: &'static [Maker],
}

/// Models of one maker, at a service that serves those of several, each on its own wire.
#[derive(Clone, Debug)]
pub struct Maker {
    /// The name that the service calls the maker by.
    pub name: &'static str,
    /// How its models' names begin.
    pub begins: &'static [&'static str],
    /// As [`Speaks::chat`].
    pub chat: &'static [Chat],
    /// As [`Speaks::count_tokens`].
    pub count_tokens: Option<Path>,
}

/// Chat of a provider.
#[expect(
    clippy::large_enum_variant,
    reason = "rows are constants: none is ever moved"
)]
#[derive(Clone, Debug)]
pub enum Chat {
    /// A wire, and the path it is spoken on.
    Wire(ChatWire, Path),
    /// The events are made here; no service is called.
    Echo,
}

/// Embeddings of a provider.
#[derive(Clone, Debug)]
pub enum Embeddings {
    /// A wire, and the path it is spoken on.
    Wire(EmbeddingWire, Path),
    /// The same, for models whose names begin so.
    Of(&'static [&'static str], EmbeddingWire, Path),
    /// The vectors are made here; no service is called.
    Echo,
}

/// Batches of a provider.
#[derive(Clone, Debug)]
pub struct Batches {
    /// The form that they are spoken of in.
    pub wire: BatchWire,
    /// Where batches are found.
    pub jobs: Path,
    /// Where they are made, where that is elsewhere.
    pub create: Option<Path>,
    /// Where files of requests and results are found, where there are any.
    pub files: Option<Path>,
}

impl Batches {
    /// OpenAI's form on OpenAI's paths, with what a service differs in.
    const fn files(quirks: FilesQuirks) -> Self {
        Self {
            wire: BatchWire::Files(quirks),
            jobs: Path::Fixed("/batches"),
            create: None,
            files: Some(Path::Fixed("/files")),
        }
    }
}

/// Moderation of a provider.
#[derive(Clone, Debug)]
pub enum Moderations {
    /// A wire, the path for texts, and the one for conversations, where the wire has them.
    Wire(ModerationWire, Path, Path),
    /// The verdicts are made here; no service is called.
    Echo,
}

/// Images of a provider.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "they stand in rows, of which there are a few"
)]
pub enum Images {
    /// A service makes them.
    Service(ImageService),
    /// They are made here; no service is called.
    Echo,
}

/// How images are asked for.
#[derive(Clone, Debug)]
pub struct ImageService {
    /// The wire.
    pub wire: ImageWire,
    /// Beginnings of the names of models that are asked so. Empty fits every model.
    pub models: &'static [&'static str],
    /// Images of a text.
    pub generations: Path,
    /// Images of a text and images.
    pub edits: Option<Path>,
    /// Images like an image.
    pub variations: Option<Path>,
}

impl Images {
    /// OpenAI's form of what services that claim it take, on its path. Edits were a form before they were JSON.
    const PLAIN: Self = Self::Service(ImageService {
        wire: ImageWire::OpenAi(images::Quirks {
            references: images::quirks::References::Files,
            ..images::Quirks::PLAIN
        }),
        ..ImageService::OPENAI
    });
}

impl ImageService {
    /// As OpenAI documents it.
    const OPENAI: Self = Self {
        wire: ImageWire::OpenAi(images::Quirks::REFERENCE),
        models: &[],
        generations: Path::Fixed("/images/generations"),
        edits: Some(Path::Fixed("/images/edits")),
        variations: Some(Path::Fixed("/images/variations")),
    };
}

impl Embeddings {
    /// OpenAI's form on OpenAI's path, as that documents it.
    const OPENAI: Self = Self::Wire(
        EmbeddingWire::OpenAi(OpenAiQuirks::REFERENCE),
        Path::Fixed("/embeddings"),
    );
    /// The same, of which only what all services take is used.
    const PLAIN: Self = Self::Wire(
        EmbeddingWire::OpenAi(OpenAiQuirks::PLAIN),
        Path::Fixed("/embeddings"),
    );
}

/// Reranking of a provider.
#[derive(Clone, Debug)]
pub enum Rerank {
    /// A wire, and the path it is spoken on.
    Wire(RerankWire, Path),
    /// The order is made here; no service is called.
    Echo,
}

impl Rerank {
    /// The plain form on the path that most have it on.
    const PLAIN: Self = Self::Wire(
        RerankWire::Plain(PlainQuirks::REFERENCE),
        Path::Fixed("/rerank"),
    );
}

impl Provider {
    /// A service with nothing known: rows state what differs.
    pub const TEMPLATE: Self = Self {
        name: "",
        aliases: &[],
        title: "",
        semantic: None,
        base_url: None,
        place: None,
        auth: Auth::Bearer,
        mints: Mints::Nothing,
        credential_env: None,
        speaks: Speaks::NOTHING,
        headers: &[],
        setting_headers: &[],
        forwards: &[],
        source: "",
    };

    /// What OpenTelemetry calls it.
    pub fn semantic_name(&self) -> &'static str {
        self.semantic.unwrap_or(self.name)
    }

    /// True for a provider that needs neither address nor credential.
    pub fn is_local(&self) -> bool {
        matches!(self.speaks.chat, [Chat::Echo])
    }
}

impl Speaks {
    /// No operation at all.
    pub const NOTHING: Self = Self {
        chat: &[],
        count_tokens: None,
        embeddings: &[],
        batches: None,
        rerank: &[],
        moderations: None,
        realtime: None,
        images: &[],
        speech: None,
        transcription: None,
        own_maker: None,
        makers: &[],
    };

    /// How images are asked of a model.
    pub fn images(&self, model: &str) -> Option<&'static Images> {
        self.images.iter().find(|images| match images {
            Images::Service(service) => {
                let mut begins = service.models.iter();
                service.models.is_empty() || begins.any(|begin| model.starts_with(begin))
            }
            Images::Echo => true,
        })
    }

    /// Whose model that is: the maker that its name begins with (`maker/…`, `publishers/maker/models/…`), else the one that the
    /// operator names for all, else the one whose models' names begin so. `None` is the service itself.
    pub fn maker(&self, model: &str, named: Option<&str>) -> Option<&'static Maker> {
        let find = |name: &str| self.makers.iter().find(|maker| maker.name == name);
        if self.makers.is_empty() {
            return None;
        }
        if let Some((name, _)) = published(model) {
            return find(name);
        }
        match named {
            Some(name) => find(name),
            None => {
                let mut makers = self.makers.iter();
                makers.find(|maker| maker.begins.iter().any(|begin| model.starts_with(begin)))
            }
        }
    }

    /// A model's name without its maker's, where the service keeps makers apart. The name of a maker that is not known stays whole: the
    /// service refuses it, and no other maker's model of that name answers.
    pub fn bare<'m>(&self, model: &'m str) -> &'m str {
        let known = |maker: &str| {
            self.own_maker == Some(maker) || self.makers.iter().any(|known| known.name == maker)
        };
        match published(model) {
            Some((maker, bare)) if known(maker) => bare,
            _ => model,
        }
    }
}

/// The maker and the model of `maker/model` and `publishers/maker/models/model`.
fn published(model: &str) -> Option<(&str, &str)> {
    let (maker, rest) = match model.strip_prefix("publishers/") {
        Some(rest) => rest.split_once("/models/")?,
        None => model.split_once('/')?,
    };
    // Collections of the service, not makers.
    (!matches!(maker, "models" | "tunedModels" | "endpoints")).then_some((maker, rest))
}

/// The provider that a config's `kind` names, by its name or an alias.
pub fn find(kind: &str) -> Option<&'static Provider> {
    roster::ROSTER
        .iter()
        .copied()
        .find(|p| p.name == kind || p.aliases.contains(&kind))
}

/// Every provider, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Provider> {
    roster::ROSTER.iter().copied()
}

/// Every known kind, names first, then aliases.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let aliases = all().flat_map(|p| p.aliases.iter().copied());
    all().map(|p| p.name).chain(aliases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_its_makers_by_name_by_setting_or_by_how_it_begins() {
        let speaks = &find("vertex").expect("a kind").speaks;
        let maker = |model, named| speaks.maker(model, named).map(|maker| maker.name);
        for (model, named, expected) in [
            ("gemini-2.5-pro", None, None),
            ("claude-opus-4-1@20250805", None, Some("anthropic")),
            ("anthropic/claude-opus-4-1", None, Some("anthropic")),
            ("publishers/anthropic/models/x", None, Some("anthropic")),
            ("publishers/google/models/claude-x", None, None),
            ("endpoints/1234", Some("anthropic"), Some("anthropic")),
            ("x", Some("anthropic"), Some("anthropic")),
            ("google/x", Some("anthropic"), None),
        ] {
            assert_eq!(maker(model, named), expected, "{model} {named:?}");
        }
        assert_eq!(speaks.bare("publishers/anthropic/models/x"), "x");
        assert_eq!(speaks.bare("google/x"), "x");
        assert_eq!(speaks.bare("endpoints/1234"), "endpoints/1234");
        // Another maker's model of that name is not what was asked for.
        assert_eq!(speaks.bare("meta/gemini-2.5-pro"), "meta/gemini-2.5-pro");
        let other = &find("openrouter").expect("a kind").speaks;
        assert_eq!(other.bare("maker/model"), "maker/model");
    }

    #[test]
    fn names_and_aliases_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for kind in kinds() {
            assert!(seen.insert(kind), "{kind} twice");
            assert!(find(kind).is_some());
        }
    }
}
