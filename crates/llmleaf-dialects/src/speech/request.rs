//! Requests: the consumer's form read, edited for a service that speaks it, rendered for one that does not.

use super::{SpeechQuirks, SpeechWire, UNASKED, unwritten};
use crate::head::{self, Field};
use crate::level::Level;
use crate::splice::{Splices, quote};
use crate::writer::{ObjectWriter, array};
use crate::{Head, Rendered};
use bytes::Bytes;
use llmleaf_model::{DialectName, Failure, Json, Loss, SpeechRequest, Voice};

/// Parses a consumer's request. `model` is the one that it names.
///
/// # Errors
/// It does not say what is needed; the failure names the field.
pub fn parse_request(body: &str, model: &str) -> Result<SpeechRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let input = top.required("input")?;
    let voice = match top.peek("voice") {
        Some(raw) if raw.get().starts_with('{') => top.raw("voice").map(Json::from).map(Voice::Own),
        _ => top.string("voice")?.map(Voice::Named),
    };
    let events = match top.string("stream_format")?.as_deref() {
        None | Some("audio") => false,
        Some("sse") => true,
        Some(_) => {
            let why = "`stream_format` must be \"audio\" or \"sse\"";
            return Err(Failure::invalid(why, Some("stream_format")));
        }
    };
    let speed = top.number("speed")?;
    Ok(SpeechRequest {
        dialect: DialectName::ChatCompletions,
        model: model.to_owned(),
        input,
        voice,
        instructions: top.string("instructions")?,
        format: top.string("response_format")?,
        speed: speed.map(|number| Json::from_value(&number)),
        events,
        rest: top.into_rest(),
    })
}

/// What the sound is to be written as.
pub fn format(request: &SpeechRequest) -> &str {
    request.format.as_deref().unwrap_or(UNASKED)
}

/// Same form: the model's name, the format where the service would choose another one, and what it does not take.
///
/// # Errors
/// The service does not write the format (kind `Unsupported`: the next target may).
pub fn edit(
    head: &Head,
    body: &Bytes,
    request: &SpeechRequest,
    model: &str,
    quirks: &SpeechQuirks,
) -> Result<Rendered, Failure> {
    let format = format(request);
    // What the reference does not name either is for the service to judge.
    let known = SpeechQuirks::REFERENCE.formats.iter().any(|f| f == format);
    if known && !quirks.formats.iter().any(|f| f == format) {
        return Err(unwritten(format));
    }
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    if let Some(field) = head.field(text, "model").filter(|_| head.model != model) {
        splices.replace(field.value.clone(), quote(model));
    }
    // The events of a service that has none are written here, and what is asked of routing is done here.
    let gone = |field: &Field| match field.name(text) {
        "stream_format" => !quirks.events,
        name => !quirks.takes(name) || field.is_wish(text) && !quirks.routes(),
    };
    for field in head.fields().iter().filter(|field| gone(field)) {
        let name = field.name(text);
        if name != "stream_format" && !field.is_wish(text) && !is_unsaid(name, request) {
            losses.push(Loss::dropped(name, "the target has no such field"));
        }
    }
    let cuts = head.cuts(gone);
    cuts.into_iter().for_each(|cut| splices.remove(cut));
    if request.format.is_none()
        && quirks.unasked != UNASKED
        && let Some(at) = head.insertion()
    {
        splices.insert(at, format!("\"response_format\":{},", quote(UNASKED)));
    }
    let body = match splices.is_empty() {
        true => body.slice_ref(text.as_bytes()),
        false => Bytes::from(splices.apply(text)),
    };
    Ok(Rendered {
        body,
        losses,
        usage_added: false,
    })
}

/// A field that says what would be anyway.
fn is_unsaid(name: &str, request: &SpeechRequest) -> bool {
    let speed = request.speed.as_ref().map(Json::as_str);
    name == "speed" && speed.is_none_or(|speed| speed.parse() == Ok(1.0))
}

/// Renders a request for a service of another form. `stream`: what it makes is to come as it is made.
///
/// # Errors
/// The service does not write the format (kind `Unsupported`: the next target may).
pub fn render_request(
    request: &SpeechRequest,
    model: &str,
    wire: &SpeechWire,
    stream: bool,
) -> Result<Rendered, Failure> {
    let mut losses = Vec::new();
    let body = match wire {
        SpeechWire::Reference(quirks) | SpeechWire::AudioData(quirks) => {
            audio_data(request, model, quirks, stream, &mut losses)?
        }
        SpeechWire::GenerateContent => generate(request, &mut losses)?,
    };
    if request.instructions.is_some() {
        let why = "the target is told how to speak in the text only";
        losses.push(Loss::dropped("instructions", why));
    }
    if !is_unsaid("speed", request) {
        losses.push(Loss::dropped("speed", "the target has no such field"));
    }
    let rest = request.rest.iter().map(|(name, _)| name);
    losses.extend(rest.map(|name| Loss::dropped(name, "the target has no such field")));
    Ok(Rendered {
        body: Bytes::from(body),
        losses,
        usage_added: false,
    })
}

/// Mistral's form (OpenAPI document 1.0.0, 2026-08, `/v1/audio/speech`).
fn audio_data(
    request: &SpeechRequest,
    model: &str,
    quirks: &SpeechQuirks,
    stream: bool,
    losses: &mut Vec<Loss>,
) -> Result<Vec<u8>, Failure> {
    let format = format(request);
    if !quirks.formats.iter().any(|f| f == format) {
        return Err(unwritten(format));
    }
    if format == "pcm" {
        let why = "the target's samples are floats, and are written as 16-bit integers";
        losses.push(Loss::approximated("response_format", why));
    }
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    object.string("input", &request.input);
    if let Some(name) = voice(request) {
        object.string("voice_id", &name);
    }
    object.string("response_format", format);
    object.bool_if("stream", stream.then_some(true));
    object.end();
    Ok(out)
}

/// A voice by its name or its id.
fn voice(request: &SpeechRequest) -> Option<String> {
    match request.voice.as_ref()? {
        Voice::Named(name) => Some(name.clone()),
        Voice::Own(json) => {
            let object = crate::object::Object::from_raw(json.raw())?;
            let id = object.get("id").and_then(crate::object::string)?;
            Some(id.into_owned())
        }
    }
}

/// A `generateContent` request that asks for sound (ai.google.dev, "Speech generation", 2026-11). Samples are all that it writes.
fn generate(request: &SpeechRequest, losses: &mut Vec<Loss>) -> Result<Vec<u8>, Failure> {
    let format = format(request);
    if !matches!(format, "wav" | "pcm") {
        return Err(unwritten(format));
    }
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    array(object.key("contents"), [&request.input], |out, input| {
        let mut content = ObjectWriter::new(out);
        content.string("role", "user");
        array(content.key("parts"), [input], |out, input| {
            let mut part = ObjectWriter::new(out);
            part.string("text", input);
            part.end();
        });
        content.end();
    });
    object.object("generationConfig", |config| {
        array(
            config.key("responseModalities"),
            ["AUDIO"],
            crate::writer::string,
        );
        match voice(request) {
            Some(name) => {
                config.object("speechConfig", |speech| {
                    speech.object("voiceConfig", |voice| {
                        voice.object("prebuiltVoiceConfig", |voice| {
                            voice.string("voiceName", &name);
                        });
                    });
                });
            }
            None if request.voice.is_some() => {
                losses.push(Loss::dropped("voice", "it is no voice of the target's"));
            }
            None => {}
        }
    });
    object.end();
    Ok(out)
}
