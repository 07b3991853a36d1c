//! The provider that needs no service: a tone for a text, and what is known of a sound for its words.

use super::header;
use crate::attempt::Attempt;
use crate::drive::Run;
use crate::failure::unoffered;
use crate::flow::Kind;
use bytes::Bytes;
use http::StatusCode;
use llmleaf_dialects::malformed;
use llmleaf_dialects::speech::{self, Pcm, Writer};
use llmleaf_dialects::transcription::{Request, Task, render, render_events};
use llmleaf_framing::{MultipartLimits, MultipartReader, Piece};
use llmleaf_model::{Failure, Loss, SpeechRequest, Transcript};
use llmleaf_providers::echo;

/// Bytes of sound that are handed on at a time.
const PIECE: usize = 16 * 1024;

/// Says a text.
pub(super) async fn speak(
    run: &mut Run,
    attempt: &mut Attempt,
    request: &SpeechRequest,
) -> Result<(), Failure> {
    // Who asks for no format gets one that is written here, and is told so.
    let format = request.format.as_deref().unwrap_or("wav");
    if request.format.is_none() {
        let why = "mp3 is not written here: this is wav";
        run.losses.push(Loss::approximated("response_format", why));
    }
    let samples = echo::tone(&request.input);
    let mut sound = match format {
        "wav" => speech::header(Pcm::USUAL, u32::try_from(samples.len()).ok()),
        "pcm" => Vec::new(),
        _ => {
            let mut failure = unoffered("this model writes `wav` and `pcm` only");
            failure.param = Some("response_format".to_owned());
            return Err(failure);
        }
    };
    attempt.units.audio_ms = Pcm::USUAL.millis(samples.len() as u64);
    sound.extend_from_slice(&samples);
    let kind = match request.events {
        true => Kind::Events,
        false => Kind::Bytes(header(speech::content_type(format))),
    };
    let mut writer = Writer::new(request.events, None);
    hand_on(run, attempt, &mut writer, &sound, &kind).await
}

/// Hands on sound that is there.
pub(super) async fn hand_on(
    run: &mut Run,
    attempt: &mut Attempt,
    writer: &mut Writer,
    sound: &[u8],
    kind: &Kind,
) -> Result<(), Failure> {
    attempt.meter.committed = true;
    run.content(attempt, run.node.shared.now());
    match kind {
        Kind::Events => run.stream_head(),
        Kind::Bytes(kind) => run.bytes_head(kind.clone()),
    }
    let mut out = Vec::new();
    for piece in sound.chunks(PIECE) {
        writer.sound(piece, &mut out);
        run.out.write(&out);
        out.clear();
        run.out.taken().await;
    }
    writer.done(attempt.meter.usage.as_ref(), &mut out);
    run.out.write(&out);
    attempt.meter.ended = true;
    attempt.complete(&run.losses);
    if let Kind::Events = kind {
        run.explain_late();
    }
    run.out.taken().await;
    Ok(())
}

/// Says what is known of a sound.
pub(super) async fn listen(
    run: &mut Run,
    attempt: &mut Attempt,
    task: Task,
) -> Result<(), Failure> {
    let (request, heard) = match run.job.upload.clone() {
        Some(upload) => uploaded(&upload).await?,
        None => {
            let body = run.job.body.clone();
            let text = llmleaf_dialects::head::text(&body)?;
            let json = llmleaf_dialects::transcription::parse_json(text)?;
            let heard = echo::Sound::begin(&[], json.encoded_length() as u64);
            (json.request, heard)
        }
    };
    if let Some(format) = &request.other_format {
        let known = "json, text, srt, verbose_json, vtt and diarized_json";
        let why = format!("`response_format` {format:?} is not written here; {known} are");
        return Err(Failure::invalid(why, Some("response_format")));
    }
    let transcript = echo::transcript(&heard);
    attempt.units.audio_ms = heard.millis();
    attempt.meter.usage.clone_from(&transcript.usage);
    told(run, attempt, &transcript, &request, task).await
}

async fn uploaded(upload: &crate::upload::Upload) -> Result<(Request, echo::Sound), Failure> {
    let ahead = upload.ahead();
    let boundary = ahead.as_ref().map_or("", |ahead| ahead.0.as_str());
    let mut reader = upload.reader().ok_or_else(crate::upload::gone)?;
    let mut form = MultipartReader::new(boundary, MultipartLimits::default());
    let mut request = Request::default();
    let mut name = String::new();
    let mut value = Vec::new();
    let (mut beginning, mut length) = (Vec::new(), 0u64);
    while let Some(bytes) = reader.next().await? {
        form.push(&bytes);
        while let Some(piece) = form.next() {
            match piece.map_err(malformed)? {
                Piece::Head(head) => {
                    request.field(&name, &String::from_utf8_lossy(&value))?;
                    (name, value) = (head.name, Vec::new());
                }
                Piece::Data(data) if name == "file" => {
                    length = length.saturating_add(data.len() as u64);
                    let wanted = 64usize.saturating_sub(beginning.len());
                    beginning.extend(data.iter().take(wanted));
                }
                Piece::Data(data) if value.len() < 4096 => value.extend_from_slice(&data),
                Piece::Data(_) => {}
                Piece::End(_) => {
                    request.field(&name, &String::from_utf8_lossy(&value))?;
                    name = String::new();
                }
            }
        }
    }
    form.finish().map_err(malformed)?;
    if length == 0 {
        return Err(Failure::invalid(
            "the field `file` is missing",
            Some("file"),
        ));
    }
    Ok((request, echo::Sound::begin(&beginning, length)))
}

/// Hands on a transcript that is there.
pub(super) async fn told(
    run: &mut Run,
    attempt: &mut Attempt,
    transcript: &Transcript,
    request: &Request,
    task: Task,
) -> Result<(), Failure> {
    attempt.first_content(run.node.shared.now());
    attempt.meter.committed = true;
    attempt.meter.ended = true;
    if !request.wants_events() {
        let mut body = Bytes::from(render(transcript, request.format, task));
        let kind = request.format.content_type();
        attempt.complete(&run.losses);
        if kind.starts_with("application/json") {
            body = run.explaining_whole(body);
        }
        run.whole_as(StatusCode::OK, header(kind), body);
        return Ok(());
    }
    let mut out = Vec::new();
    let diarized = request.format == llmleaf_dialects::transcription::Format::Diarized;
    render_events(transcript, diarized, &mut out);
    run.content(attempt, run.node.shared.now());
    run.stream_head();
    run.out.write(&out);
    attempt.complete(&run.losses);
    run.explain_late();
    run.out.taken().await;
    Ok(())
}
