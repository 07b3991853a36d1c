//! The list of voices: `{"model", "voices": [{"id", "name"?, "languages"?}]}`, as this gateway tells it.

use crate::object::{Object, items, string};
use crate::sound_events::broken;
use crate::writer::{self, ObjectWriter, array};
use llmleaf_model::Failure;

/// A voice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// What to send as `voice`.
    pub id: String,
    /// Display name.
    pub name: Option<String>,
    /// Language tags.
    pub languages: Vec<String>,
}

/// A list of voices.
#[derive(Clone, Debug)]
pub struct Voices {
    model: String,
    voices: Vec<Voice>,
}

impl Voices {
    /// An empty list, for a model.
    pub fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            voices: Vec::new(),
        }
    }

    /// Adds a voice that has nothing but a name.
    pub fn named(&mut self, name: &str) {
        self.voices.push(Voice {
            id: name.to_owned(),
            ..Voice::default()
        });
    }

    /// Adds voices that an operator wrote down.
    pub fn configured(&mut self, voices: &[Voice]) {
        self.voices.extend_from_slice(voices);
    }

    /// Adds a page of a service's list: `items` with `slug`, `id`, `name` and `languages` (Mistral's OpenAPI document 1.0.0, 2026-08). A
    /// voice without a slug is one of the account's own, and known by its id. Returns how many there were.
    ///
    /// # Errors
    /// It is no such page.
    pub fn page(&mut self, body: &[u8]) -> Result<usize, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
        let page = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
        let list = page.get("items").and_then(items);
        let list = list.ok_or_else(|| broken("the answer lists no voices"))?;
        let count = list.len();
        for raw in list {
            let Some(voice) = Object::from_raw(raw) else {
                continue;
            };
            let text = |name: &str| voice.get(name).and_then(string).map(|t| t.into_owned());
            let Some(id) = text("slug").or_else(|| text("id")) else {
                continue;
            };
            let languages = voice.get("languages").and_then(items).unwrap_or_default();
            self.voices.push(Voice {
                id,
                name: text("name"),
                languages: languages
                    .into_iter()
                    .filter_map(|raw| string(raw).map(|t| t.into_owned()))
                    .collect(),
            });
        }
        Ok(count)
    }

    /// Writes the list.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.string("model", &self.model);
        array(object.key("voices"), &self.voices, |out, voice| {
            let mut object = ObjectWriter::new(out);
            object.string("id", &voice.id);
            object.string_if("name", voice.name.as_deref());
            if !voice.languages.is_empty() {
                array(object.key("languages"), &voice.languages, |out, tag| {
                    writer::string(out, tag);
                });
            }
            object.end();
        });
        object.end();
        out
    }
}
