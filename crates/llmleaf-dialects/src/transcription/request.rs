//! What a request says beside its sound.

use llmleaf_model::Failure;

/// How the answer is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `{"text": …}`, with what else is known.
    #[default]
    Json,
    /// The text alone.
    Text,
    /// Subtitles.
    Srt,
    /// Subtitles for the web.
    Vtt,
    /// With segments and words.
    Verbose,
    /// With segments and who speaks.
    Diarized,
}

impl Format {
    const ALL: [Self; 6] = [
        Self::Json,
        Self::Text,
        Self::Srt,
        Self::Vtt,
        Self::Verbose,
        Self::Diarized,
    ];

    /// As `response_format` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Verbose => "verbose_json",
            Self::Diarized => "diarized_json",
        }
    }

    /// Reads `response_format`; what is not known is left to the service.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The type of an answer in that format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::Verbose | Self::Diarized => "application/json",
            // As the reference service answers: all three are plain text there.
            Self::Text | Self::Srt | Self::Vtt => "text/plain; charset=utf-8",
        }
    }
}

/// What a form says beside its file, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// How the answer is to be written.
    pub format: Format,
    /// The value of `response_format` that is none of the known ones.
    pub other_format: Option<String>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// Words are to have their times.
    pub words: bool,
    /// Segments are to have their times, or nothing is said of it.
    pub segments: bool,
    /// The language, where it is said.
    pub language: Option<String>,
    /// Words that are to guide the service.
    pub prompt: Option<String>,
    /// Sampling temperature, as written.
    pub temperature: Option<String>,
}

impl Request {
    /// The fields that [`Self::field`] reads.
    pub fn reads(name: &str) -> bool {
        matches!(
            name,
            "model" | "stream" | "response_format" | "language" | "prompt" | "temperature"
        ) || is_granularity(name)
    }

    /// The answer is to come as events: subtitles and times have none.
    pub fn wants_events(&self) -> bool {
        self.stream && matches!(self.format, Format::Json | Format::Text | Format::Diarized)
    }

    /// Takes note of a field.
    ///
    /// # Errors
    /// `stream` is neither true nor false.
    pub fn field(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match name {
            "stream" => self.stream = boolean(name, value)?,
            "response_format" => match Format::read(value) {
                Some(format) => self.format = format,
                None => self.other_format = text(),
            },
            "language" => self.language = text(),
            "prompt" => self.prompt = text(),
            "temperature" => self.temperature = text(),
            _ if is_granularity(name) => {
                self.words |= value == "word";
                self.segments |= value == "segment";
            }
            _ => {}
        }
        Ok(())
    }
}

/// `timestamp_granularities[]`, with and without the brackets.
pub(super) fn is_granularity(name: &str) -> bool {
    name.strip_suffix("[]").unwrap_or(name) == "timestamp_granularities"
}

/// A field of a form that is true or false: clients write it as their language does.
fn boolean(name: &str, value: &str) -> Result<bool, Failure> {
    match value.trim() {
        "true" | "True" | "1" => Ok(true),
        "false" | "False" | "0" | "" | "null" => Ok(false),
        _ => {
            let why = format!("`{name}` must be true or false");
            Err(Failure::invalid(why, Some(name)))
        }
    }
}
