//! Speech and transcriptions of a provider.

use crate::Path;
use llmleaf_dialects::speech::{SpeechQuirks, SpeechWire};
use llmleaf_dialects::transcription::{FormQuirks, TranscriptionWire};

/// Texts said by a provider.
#[derive(Clone, Debug)]
pub enum Speech {
    /// A wire, the path it is spoken on, and the voices that there are.
    Wire(SpeechWire, Path, Voices),
    /// A tone is made here; no service is called.
    Echo,
}

/// Voices of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voices {
    /// Nobody knows but the service.
    Unknown,
    /// These.
    Known(&'static [&'static str]),
    /// The service lists them there, in pages: `items`, with `slug`, `id`, `name` and `languages`.
    Listed(&'static str),
}

/// What was said, written down by a provider.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per provider, and it stands in a static, where nothing is boxed"
)]
pub enum Transcription {
    /// A wire, and the path it is spoken on.
    Wire {
        /// The wire.
        wire: TranscriptionWire,
        /// Where.
        path: Path,
        /// Where English is asked for, if anywhere.
        translations: Option<Path>,
    },
    /// What is said is told here; no service is called.
    Echo,
}

impl Speech {
    /// The reference form on the reference's path.
    pub(crate) const REFERENCE: Self = Self::Wire(
        SpeechWire::Reference(SpeechQuirks::REFERENCE),
        Path::Fixed("/audio/speech"),
        Voices::Unknown,
    );
}

impl Transcription {
    /// The reference form on the reference's paths.
    pub(crate) const REFERENCE: Self = Self::Wire {
        wire: TranscriptionWire::Form(FormQuirks::REFERENCE),
        path: Path::Fixed("/audio/transcriptions"),
        translations: Some(Path::Fixed("/audio/translations")),
    };
}
