//! Same dialect in and out: the few named edits.
//!
//! A request keeps its bytes but for: the model's name, the name of the output cap, the `developer` role where only
//! `system` is known, fields that the service refuses or knows under another name, the routing language where the service
//! does not speak it, the stream flag where the target's
//! differs, and the usage flag, which is removed again from the frames on the way back ([`relay`]).

use super::Quirks;
use super::quirks::{InstructionRole, OutputCap, ReasoningEcho, StreamUsage};
use crate::head::{self, Field};
use crate::object::{self, Object};
use crate::splice::{Splices, quote, range_of};
use crate::{Head, Relayed, Rendered, Target};
use bytes::Bytes;
use llmleaf_model::{Failure, Loss};
use memchr::memmem::{self, Finder};
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// Splices the named edits into a consumer's body.
///
/// # Errors
/// `stream_options` is not an object where the usage flag must be set in it.
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut edits = Edits {
        head,
        text,
        splices: Splices::new(),
        losses: Vec::new(),
        inserted: String::new(),
        removed: Vec::new(),
        edited: Vec::new(),
    };
    edits.drop_refused(target.model, quirks);
    if head.asks_cost() && !quirks.request.extended && edits.remove("usage") {
        let why = "only a router says what an answer costs";
        edits.losses.push(Loss::dropped("usage", why));
    }
    let listed = head.routes() && edits.routing(target.model, quirks);
    if head.model != target.model && !listed {
        edits.set("model", quote(target.model));
    }
    edits.rename_cap(quirks);
    if quirks.request.instructions == InstructionRole::SystemOnly {
        edits.rename_developers();
    }
    edits.rename_known(quirks);
    if target.stream != head.stream {
        edits.set("stream", if target.stream { "true" } else { "false" });
    }
    let usage_added = edits.usage_flag(target, quirks)?;
    let rendered = edits.apply();
    Ok(Rendered {
        // A byte order mark in front stays behind (RFC 8259, section 8.1).
        body: rendered
            .0
            .unwrap_or_else(|| body.slice_ref(text.as_bytes())),
        losses: rendered.1,
        usage_added,
    })
}

/// True where a service takes what a body of this dialect holds, for its model of that name. Proofs of other services' thoughts go to
/// nobody who cannot verify them: some refuse the field, and thoughts that some want back in words of their own stand in it.
pub fn takes(body: &Bytes, quirks: &Quirks, model: &str) -> bool {
    match quirks.reasoning.echo {
        ReasoningEcho::Details => true,
        echo => {
            let of_thoughts = echo == ReasoningEcho::Unknown;
            let of_calls = quirks.reasoning.proves_calls(model);
            of_thoughts && of_calls || !proves(body, of_thoughts, of_calls)
        }
    }
}

/// Whether a message has proofs; those of thoughts or of calls may be all right.
fn proves(body: &[u8], but_of_thoughts: bool, but_of_calls: bool) -> bool {
    let top = head::text(body)
        .ok()
        .and_then(|text| Object::parse(text).ok());
    let messages = top.as_ref().and_then(|top| top.get("messages"));
    let messages = messages.and_then(object::items).unwrap_or_default();
    messages
        .into_iter()
        .filter_map(Object::from_raw)
        .any(|message| {
            let list = |name| {
                message
                    .get(name)
                    .and_then(object::items)
                    .unwrap_or_default()
            };
            let signed = |call: &RawValue| {
                let call = Object::from_raw(call);
                let extra = call.as_ref().and_then(|call| call.get("extra_content"));
                extra.and_then(super::tools::thought_signature).is_some()
            };
            !but_of_thoughts && !list("reasoning_details").is_empty()
                || !but_of_calls && list("tool_calls").into_iter().any(signed)
        })
}

/// The edits of one body, as they are found.
struct Edits<'a> {
    head: &'a Head,
    text: &'a str,
    splices: Splices<'a>,
    losses: Vec<Loss>,
    /// New fields, each with a comma behind it.
    inserted: String,
    /// Fields that are taken out whole.
    removed: Vec<&'a str>,
    /// Where entries with an edit begin: no entry is edited twice.
    edited: Vec<usize>,
}

impl<'a> Edits<'a> {
    fn field(&self, name: &str) -> Option<&'a Field> {
        self.head.field(self.text, name)
    }

    fn set(&mut self, name: &str, json: impl Into<String>) {
        let json = json.into();
        match self.field(name) {
            Some(field) if self.free(field) => self.splices.replace(field.value.clone(), json),
            Some(_) => {}
            None => self.insert(name, &json),
        }
    }

    /// Claims an entry for an edit; false where it is claimed or taken out.
    fn free(&mut self, field: &Field) -> bool {
        let start = field.entry.start;
        let gone = self
            .removed
            .iter()
            .any(|name| self.field(name).is_some_and(|f| f.entry.start == start));
        if gone || self.edited.contains(&start) {
            return false;
        }
        self.edited.push(start);
        true
    }

    fn insert(&mut self, name: &str, json: &str) {
        self.inserted.push_str(&quote(name));
        self.inserted.push(':');
        self.inserted.push_str(json);
        self.inserted.push(',');
    }

    fn remove(&mut self, name: &'a str) -> bool {
        let there = self.field(name).is_some() && !self.removed.contains(&name);
        if there {
            self.removed.push(name);
        }
        there
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let Some(field) = self.field(from)
            && let Some((key, _)) = field.key(self.text)
            && self.free(field)
        {
            self.splices.replace(key, quote(to));
        }
    }

    fn rename_cap(&mut self, quirks: &Quirks) {
        let cap = quirks.request.output_cap;
        if cap == OutputCap::MaxCompletionTokens {
            // Services that know the newer name take the older one too; what their models think of it they say themselves.
            return;
        }
        if self.field(cap.field()).is_none() && self.field(cap.other()).is_some() {
            self.rename(cap.other(), cap.field());
        }
    }

    fn rename_developers(&mut self) {
        let Some(field) = self.field("messages") else {
            return;
        };
        let Some(list) = self.text.get(field.value.clone()) else {
            return;
        };
        if memmem::find(list.as_bytes(), b"developer").is_none() && !list.contains('\\') {
            return;
        }
        let Ok(messages) = serde_json::from_str::<Vec<&RawValue>>(list) else {
            return;
        };
        for message in messages {
            let role = Object::from_raw(message).and_then(|object| object.get("role"));
            if let Some(role) = role
                && object::string(role).as_deref() == Some("developer")
                && let Some(range) = range_of(self.text, role)
            {
                self.splices.replace(range, "\"system\"");
            }
        }
    }

    fn drop_refused(&mut self, model: &str, quirks: &'a Quirks) {
        for name in quirks.request.refused(model) {
            let field = self.field(name);
            let value = field.and_then(|field| self.text.get(field.value.clone()));
            let lost = value.is_some_and(|value| quirks.request.loses(model, name, value));
            if self.remove(name) && lost {
                let loss = Loss::dropped(name.to_owned(), "the provider refuses this field");
                self.losses.push(loss);
            }
        }
    }

    /// Cuts the routing language where the service does not speak it; what it asked for was done before this. True where the
    /// model stood in a list only, and now stands by itself.
    fn routing(&mut self, model: &str, quirks: &Quirks) -> bool {
        let listed = self.field("model").is_none();
        if quirks.request.extended {
            if listed {
                self.insert("model", &quote(model));
            }
            return listed;
        }
        for name in crate::preferences::FIELDS {
            match self.field(name) {
                Some(field) if listed && name == "models" => {
                    let single = ["\"model\":", &quote(model)].concat();
                    self.splices.replace(field.entry.clone(), single);
                }
                Some(field) if field.is_wish(self.text) => {
                    self.remove(name);
                }
                _ => {}
            }
        }
        listed
    }

    fn rename_known(&mut self, quirks: &Quirks) {
        for (from, to) in quirks.request.renamed.iter() {
            if self.field(to).is_none() {
                self.rename(from, to);
            }
        }
    }

    /// Sets the usage flag of a stream. True where the consumer did not set it.
    fn usage_flag(&mut self, target: Target<'_>, quirks: &Quirks) -> Result<bool, Failure> {
        const NAME: &str = "stream_options";
        let field = self.field(NAME);
        if !target.stream || quirks.stream.usage == StreamUsage::Always {
            // Refused where usage always comes, and everywhere when nothing streams.
            if target.stream || self.head.stream {
                self.remove(NAME);
            }
            return Ok(false);
        }
        if self.removed.contains(&NAME) || quirks.request.unsupported.iter().any(|u| u == NAME) {
            return Ok(false);
        }
        let value = field.and_then(|f| Some((f.value.clone(), self.text.get(f.value.clone())?)));
        let Some((range, value)) = value.filter(|(_, value)| *value != "null") else {
            self.set(NAME, r#"{"include_usage":true}"#);
            return Ok(true);
        };
        let Ok(options) = Object::parse(value) else {
            return Err(Failure::invalid(
                "`stream_options` must be an object",
                Some(NAME),
            ));
        };
        match options.get("include_usage").map(RawValue::get) {
            Some(asked @ ("false" | "null")) => {
                let start = range.start + (asked.as_ptr() as usize - value.as_ptr() as usize);
                self.splices.replace(start..start + asked.len(), "true");
            }
            None => {
                let flag = if options.fields.is_empty() {
                    r#""include_usage":true"#
                } else {
                    r#""include_usage":true,"#
                };
                self.splices.insert(range.start + 1, flag);
            }
            // Asked for, or a value that the provider may judge.
            Some(_) => return Ok(false),
        }
        Ok(true)
    }

    /// The edited body, where anything was edited, and the losses.
    fn apply(mut self) -> (Option<Bytes>, Vec<Loss>) {
        for range in self.removals() {
            self.splices.remove(range);
        }
        if !self.inserted.is_empty() {
            match self.head.insertion() {
                Some(at) => {
                    let inserted = std::mem::take(&mut self.inserted);
                    self.splices.insert(at, inserted);
                }
                None => debug_assert!(false, "a head without fields has no model"),
            }
        }
        let body = (!self.splices.is_empty()).then(|| Bytes::from(self.splices.apply(self.text)));
        (body, self.losses)
    }

    /// The ranges to cut so that all removed fields are gone.
    fn removals(&self) -> Vec<std::ops::Range<usize>> {
        self.head.cuts(|field| {
            self.removed
                .iter()
                .any(|name| self.field(name).is_some_and(|f| f.entry == field.entry))
        })
    }
}

/// What becomes of a frame on its way to a consumer of this dialect.
///
/// Where the usage flag was added, the report is hidden and the `"usage":null` that the flag puts on every other chunk
/// is cut. The search is by text: inside a JSON string the quotes would be escaped.
pub fn relay(frame: &crate::Frame, usage_added: bool) -> Relayed {
    // Made once: every chunk is searched.
    static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
    if !usage_added || !frame.has_data || USAGE.find(&frame.raw).is_none() {
        return Relayed::AsIs;
    }
    if is_usage_report(&frame.data) {
        return Relayed::Hidden;
    }
    let raw = &frame.raw;
    for member in [
        &b",\"usage\":null"[..],
        b"\"usage\":null,",
        b", \"usage\": null",
        b"\"usage\": null, ",
    ] {
        if let Some(at) = memmem::find(raw, member)
            && let (Some(before), Some(after)) = (raw.get(..at), raw.get(at + member.len()..))
        {
            return Relayed::Edited([before, after].concat());
        }
    }
    Relayed::AsIs
}

/// An answer, or a chunk of one, with what it cost in its usage. `None` where it reports no usage, or its cost already.
pub fn tell_cost(data: &[u8], nano_usd: u64) -> Option<Vec<u8>> {
    let text = super::json_text(data)?;
    let fields = crate::skim::fields(text)?;
    let mut usage = fields
        .iter()
        .filter(|field| text.get(field.key.clone()) == Some("\"usage\""));
    let at = usage.next()?.value.clone();
    let object = Object::parse(text.get(at.clone())?).ok()?;
    if object.get("cost").is_some() {
        return None;
    }
    let cost = super::usage::dollars(nano_usd);
    let comma = if object.fields.is_empty() { "" } else { "," };
    let told = format!("\"cost\":{cost},\"cost_usd\":{cost}{comma}");
    let (before, after) = text.split_at_checked(at.start + 1)?;
    Some([before, &told, after].concat().into_bytes())
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Report<'a> {
    #[serde(borrow)]
    choices: super::wire::Raw<'a>,
    #[serde(borrow)]
    usage: super::wire::Raw<'a>,
}

fn is_usage_report(data: &[u8]) -> bool {
    // Chunks with choices are the many; theirs are told apart without parsing.
    if memmem::find(data, b"\"delta\"").is_some() {
        return false;
    }
    let Some(text) = super::json_text(data) else {
        return false;
    };
    let report: Report<'_> = serde_json::from_str(text).unwrap_or_default();
    let no_choices = report
        .choices
        .0
        .is_none_or(|raw| object::items(raw).is_some_and(|items| items.is_empty()));
    no_choices && report.usage.0.is_some_and(|raw| raw.get().starts_with('{'))
}
