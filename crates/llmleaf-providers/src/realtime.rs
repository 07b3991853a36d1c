//! Sessions of speech and text over a WebSocket, where a service has them.

use crate::path::{Path, encode, is_version};

/// How a service holds sessions.
#[derive(Clone, Debug)]
pub struct Realtime {
    /// The events that it speaks.
    pub wire: RealtimeWire,
    /// Where.
    pub path: Path,
    /// What the names of models hold that have sessions; with none, all have. Others are chat models, and are bridged.
    pub models: &'static [&'static str],
}

/// The events of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealtimeWire {
    /// OpenAI's.
    Events,
    /// Gemini's Live.
    Live,
}

impl Realtime {
    /// OpenAI's form on OpenAI's path, for models whose names say so.
    pub(crate) const OPENAI: Self = Self {
        wire: RealtimeWire::Events,
        path: Path::Fixed("/realtime"),
        models: &["realtime", "transcribe", "whisper"],
    };

    /// Whether a model has sessions.
    pub fn has(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|part| model.contains(part))
    }

    /// The path and query of a session with a model. One that only writes down what it hears names its model later.
    pub fn address(
        &self,
        base: &str,
        model: &str,
        api_version: Option<&str>,
        transcribes: bool,
    ) -> String {
        if self.wire == RealtimeWire::Live {
            // The version stands within its one path, and the model in its first message.
            let (root, last) = base.rsplit_once('/').unwrap_or(("", base));
            let root = if is_version(last) { root } else { base };
            return self.path.below(root, model, true, None);
        }
        let path = self.path.below(base, model, true, api_version);
        let dated = path.contains("?api-version=2");
        let mark = if path.contains('?') { '&' } else { '?' };
        if transcribes {
            return format!("{path}{mark}intent=transcription");
        }
        // Surfaces with a date call the model by its deployment (Microsoft Learn, "Use the GPT Realtime API via WebSockets", 2026-11).
        let field = if dated { "deployment" } else { "model" };
        format!("{path}{mark}{field}={}", encode(model))
    }
}

#[cfg(test)]
mod tests {
    use crate::find;

    const LIVE: &str =
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";

    #[test]
    fn a_session_has_its_address() {
        for (kind, base, version, transcribes, address) in [
            ("openai", "/v1", None, false, "/v1/realtime?model=m%2F1"),
            (
                "openai",
                "/v1",
                None,
                true,
                "/v1/realtime?intent=transcription",
            ),
            ("xai", "/v1", None, false, "/v1/realtime?model=m%2F1"),
            ("gemini", "/v1beta", None, false, LIVE),
            ("gemini", "", None, false, LIVE),
            ("azure", "", None, false, "/openai/v1/realtime?model=m%2F1"),
            (
                "azure",
                "/openai/v1",
                Some("preview"),
                false,
                "/openai/v1/realtime?api-version=preview&model=m%2F1",
            ),
            (
                "azure",
                "",
                Some("2025-04-01-preview"),
                false,
                "/openai/realtime?api-version=2025-04-01-preview&deployment=m%2F1",
            ),
            (
                "azure",
                "",
                None,
                true,
                "/openai/v1/realtime?intent=transcription",
            ),
        ] {
            let row = find(kind).expect("a kind");
            let realtime = row.speaks.realtime.as_ref().expect("it has sessions");
            let told = realtime.address(base, "m/1", version, transcribes);
            assert_eq!(told, address, "{kind}");
        }
    }

    #[test]
    fn a_chat_model_of_a_service_with_sessions_has_none() {
        let has = |kind: &str, model: &str| {
            let realtime = find(kind).and_then(|row| row.speaks.realtime.as_ref());
            realtime.is_some_and(|realtime| realtime.has(model))
        };
        assert!(has("openai", "gpt-realtime") && has("openai", "gpt-4o-mini-transcribe"));
        assert!(!has("openai", "gpt-4o-mini") && !has("xai", "grok-4"));
        assert!(has("xai", "grok-voice-latest") && has("azure", "my-deployment"));
        assert!(has("gemini", "gemini-live-2.5-flash") && !has("gemini", "gemini-2.5-flash"));
        assert!(!has("anthropic", "claude-opus-4-1"));
    }
}
