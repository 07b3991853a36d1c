//! The conversation of a bridged session: what was said, in the consumer's form and in that of a request.

use super::unsupported;
use crate::object::{self, Object};
use crate::realtime::step::invalid;
use crate::writer::{ObjectWriter, json_object};
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use std::rc::Rc;

/// One item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub id: String,
    /// As the consumer is told of it. Empty for what it is not told of.
    pub told: Rc<str>,
    /// As a request says it.
    pub asked: Rc<str>,
}

impl Item {
    /// Reads an item that the consumer makes.
    pub fn read(raw: Object<'_>, fallback: String) -> Result<Self, Failure> {
        let word = |name: &str| raw.get(name).and_then(object::string);
        let id = word("id").map_or(fallback, std::borrow::Cow::into_owned);
        let kind = word("type").unwrap_or_default();
        match &*kind {
            "message" => Self::message(&raw, id),
            "function_call" | "function_call_output" => {
                let fields: &[&str] = match &*kind {
                    "function_call" => &["call_id", "name", "arguments"],
                    _ => &["call_id", "output"],
                };
                let mut values = Vec::new();
                for field in fields {
                    let value = word(field).or_else(|| {
                        // The one that nobody need give: a call has the name of its item then.
                        (kind == "function_call" && *field == "call_id").then(|| id.clone().into())
                    });
                    let value = value.ok_or_else(|| {
                        let why = format!("`{field}` must be a string in an item of type `{kind}`");
                        invalid(why, Some(&format!("item.{field}")), "invalid_value")
                    })?;
                    values.push((*field, value.into_owned()));
                }
                Ok(Self::of_fields(id, &kind, &values))
            }
            "item_reference" => {
                let why = "an item can be referred to in the `input` of an answer only";
                Err(invalid(why, Some("item.type"), "invalid_value"))
            }
            _ => {
                let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
                Err(unsupported(
                    &format!("an item of type `{shown}`"),
                    Some("item.type"),
                ))
            }
        }
    }

    /// A call, or what came of one.
    pub fn of_fields(id: String, kind: &str, fields: &[(&str, String)]) -> Self {
        let told = json_object(|item| {
            item.string("id", &id)
                .string("object", "realtime.item")
                .string("type", kind)
                .string("status", "completed");
            fields.iter().for_each(|(name, value)| {
                item.string(name, value);
            });
        });
        let asked = json_object(|item| {
            item.string("type", kind);
            fields.iter().for_each(|(name, value)| {
                item.string(name, value);
            });
        });
        Self {
            told: told.as_str().into(),
            asked: asked.as_str().into(),
            id,
        }
    }

    /// What the model said.
    pub fn said(id: String, text: &str, status: &str, older: bool) -> Self {
        let kind = if older { "text" } else { "output_text" };
        let told = json_object(|item| {
            item.string("id", &id)
                .string("object", "realtime.item")
                .string("type", "message")
                .string("status", status)
                .string("role", "assistant");
            parts(item.key("content"), [(kind, text)]);
        });
        let asked = json_object(|item| {
            item.string("type", "message").string("role", "assistant");
            parts(item.key("content"), [("output_text", text)]);
        });
        Self {
            told: told.as_str().into(),
            asked: asked.as_str().into(),
            id,
        }
    }

    /// What the model thought, for the next request only.
    pub fn thought(id: String, asked: &str) -> Self {
        Self {
            id,
            told: "".into(),
            asked: asked.into(),
        }
    }

    fn message(raw: &Object<'_>, id: String) -> Result<Self, Failure> {
        let role = raw.get("role").and_then(object::string).unwrap_or_default();
        if !matches!(&*role, "user" | "assistant" | "system") {
            let why = "the role of a message is `user`, `assistant` or `system`";
            return Err(invalid(why, Some("item.role"), "invalid_value"));
        }
        let content = raw.get("content").and_then(object::items);
        let content = content.ok_or_else(|| {
            invalid(
                "`content` must be a list",
                Some("item.content"),
                "invalid_value",
            )
        })?;
        let mut asked = Vec::new();
        for part in &content {
            asked.push(part_of(part, role == "assistant")?);
        }
        let told = json_object(|item| {
            item.string("id", &id)
                .string("object", "realtime.item")
                .string("type", "message")
                .string("status", "completed")
                .string("role", &role);
            let list = content.iter().map(|part| part.get());
            crate::writer::array(item.key("content"), list, crate::writer::one_line);
        });
        let asked = json_object(|item| {
            item.string("type", "message").string("role", &role);
            let list = asked.iter().map(String::as_str);
            crate::writer::array(item.key("content"), list, crate::writer::one_line);
        });
        Ok(Self {
            told: told.as_str().into(),
            asked: asked.as_str().into(),
            id,
        })
    }

    fn size(&self) -> usize {
        self.told.len() + self.asked.len() + self.id.len()
    }
}

fn parts<'t>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = (&'t str, &'t str)>) {
    crate::writer::array(out, texts, |out, (kind, text)| {
        let mut part = ObjectWriter::new(out);
        part.string("type", kind).string("text", text);
        part.end();
    });
}

/// A part of a message, as a request says it.
fn part_of(raw: &RawValue, of_model: bool) -> Result<String, Failure> {
    let param = Some("item.content");
    let part = Object::from_raw(raw);
    let part = part.ok_or_else(|| invalid("a part must be an object", param, "invalid_value"))?;
    let word = |name: &str| part.get(name).and_then(object::string);
    let kind = word("type").unwrap_or_default();
    let json = match &*kind {
        "input_text" | "text" | "output_text" => {
            let text = word("text");
            let text =
                text.ok_or_else(|| invalid("a part's `text` is missing", param, "invalid_value"))?;
            let kind = if of_model {
                "output_text"
            } else {
                "input_text"
            };
            json_object(|part| {
                part.string("type", kind).string("text", &text);
            })
        }
        "input_image" if !of_model => {
            let url = word("image_url");
            let url = url.ok_or_else(|| {
                invalid("a part's `image_url` is missing", param, "invalid_value")
            })?;
            json_object(|part| {
                part.string("type", "input_image")
                    .string("image_url", &url)
                    .string_if("detail", word("detail").as_deref());
            })
        }
        _ => {
            let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(unsupported(&format!("a part of type `{shown}`"), param));
        }
    };
    Ok(json.as_str().to_owned())
}

/// Everything that was said, in order.
#[derive(Debug)]
pub struct Conversation {
    items: Vec<Item>,
    bytes: usize,
    most: usize,
}

impl Conversation {
    pub fn new(most: usize) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            most,
        }
    }

    /// An item of that name which the consumer was told of.
    pub fn find(&self, id: &str) -> Result<&Item, Failure> {
        let found = self.items.iter().find(|item| item.id == id);
        found.filter(|item| !item.told.is_empty()).ok_or_else(|| {
            let why = "the conversation has no such item";
            invalid(why, Some("item_id"), "item_not_found")
        })
    }

    /// Puts an item behind the one that is named, at the front for `root`, at the end for none; the one before it.
    pub fn insert(
        &mut self,
        item: Item,
        previous: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        if self.items.iter().any(|known| known.id == item.id) {
            let why = "the conversation has an item of that name";
            return Err(invalid(why, Some("item.id"), "item_exists"));
        }
        if self.bytes + item.size() > self.most {
            let why = "the conversation is too long for this gateway; delete items of it";
            return Err(invalid(why, Some("item"), "conversation_too_long"));
        }
        let at = match previous {
            None => self.items.len(),
            Some("root") => 0,
            Some(id) => {
                let at = self.items.iter().position(|known| known.id == id);
                at.ok_or_else(|| {
                    let why = "the conversation has no item of that name";
                    invalid(why, Some("previous_item_id"), "item_not_found")
                })? + 1
            }
        };
        self.bytes += item.size();
        self.items.insert(at.min(self.items.len()), item);
        Ok(self.before(at))
    }

    /// Adds what the model made. An answer that is done is kept, however long it is: the next item is refused.
    pub fn add(&mut self, item: Item) {
        self.bytes += item.size();
        self.items.push(item);
    }

    /// The last item that the consumer was told of.
    pub fn last(&self) -> Option<String> {
        self.before(self.items.len())
    }

    fn before(&self, at: usize) -> Option<String> {
        let mut before = self.items.iter().take(at).rev();
        let item = before.find(|item| !item.told.is_empty());
        item.map(|item| item.id.clone())
    }

    /// Takes an item out, and what was thought before it.
    pub fn remove(&mut self, id: &str) -> Result<(), Failure> {
        self.find(id)?;
        let Some(mut at) = self.items.iter().position(|item| item.id == id) else {
            return Ok(());
        };
        self.bytes = self.bytes.saturating_sub(self.items.remove(at).size());
        while at > 0
            && self
                .items
                .get(at - 1)
                .is_some_and(|item| item.told.is_empty())
        {
            at -= 1;
            self.bytes = self.bytes.saturating_sub(self.items.remove(at).size());
        }
        Ok(())
    }

    /// What a request says of all of it.
    pub fn input(&self) -> Vec<Rc<str>> {
        self.items
            .iter()
            .map(|item| Rc::clone(&item.asked))
            .collect()
    }
}
