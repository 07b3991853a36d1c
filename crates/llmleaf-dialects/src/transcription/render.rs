//! Writing a transcript in the format that the consumer asked for.

use super::{Format, Task, usage};
use crate::writer::{ObjectWriter, array};
use llmleaf_model::{Segment, Transcript, Word};
use std::fmt::Write as _;

/// Writes a transcript.
pub fn render(transcript: &Transcript, format: Format, task: Task) -> Vec<u8> {
    let segments = transcript.segments.as_deref().unwrap_or_default();
    match format {
        Format::Text => format!("{}\n", transcript.text).into_bytes(),
        Format::Srt => srt(segments).into_bytes(),
        Format::Vtt => vtt(segments).into_bytes(),
        Format::Json => json(transcript),
        Format::Verbose => verbose(transcript, task),
        Format::Diarized => diarized(transcript, task),
    }
}

fn json(transcript: &Transcript) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("text", &transcript.text);
    if let Some(logprobs) = &transcript.logprobs {
        object.raw("logprobs", logprobs.as_str());
    }
    if let Some(told) = &transcript.usage {
        usage::write(&mut object, told);
    }
    object.end();
    out
}

fn task_name(task: Task) -> &'static str {
    match task {
        Task::Transcribe => "transcribe",
        Task::Translate => "translate",
    }
}

/// How long it is: as told, else up to the end of the last segment, else as billed.
fn duration(transcript: &Transcript) -> String {
    let last = transcript.segments.as_deref().and_then(<[Segment]>::last);
    let told = transcript.duration.as_ref().or(last.map(|s| &s.end));
    match told {
        Some(json) => json.as_str().to_owned(),
        None => {
            let billed = transcript.usage.as_ref().map_or(0, |u| u.units.audio_ms);
            format!("{}.{:03}", billed / 1000, billed % 1000)
        }
    }
}

fn verbose(transcript: &Transcript, task: Task) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("task", task_name(task));
    object.string(
        "language",
        transcript.language.as_deref().unwrap_or_default(),
    );
    object.raw("duration", &duration(transcript));
    object.string("text", &transcript.text);
    if let Some(words) = &transcript.words {
        array(object.key("words"), words, word);
    }
    if let Some(segments) = &transcript.segments {
        let numbered = segments.iter().enumerate();
        array(
            object.key("segments"),
            numbered,
            |out, (number, segment)| {
                verbose_segment(out, number, segment);
            },
        );
    }
    if let Some(told) = &transcript.usage {
        usage::write(&mut object, told);
    }
    object.end();
    out
}

fn word(out: &mut Vec<u8>, word: &Word) {
    let mut object = ObjectWriter::new(out);
    object.string("word", &word.word);
    object.raw("start", word.start.as_str());
    object.raw("end", word.end.as_str());
    object.string_if("speaker", word.speaker.as_deref());
    object.end();
}

/// All fields of the reference are written: its clients' types have no room for one that is missing. What a service does not tell is 0.
fn verbose_segment(out: &mut Vec<u8>, number: usize, segment: &Segment) {
    let rest = |name: &str| segment.rest.iter().find(|(known, _)| *known == name);
    let mut object = ObjectWriter::new(out);
    object.number("id", number as u64);
    let seek = rest("seek").map_or("0", |(_, json)| json.as_str());
    object.raw("seek", seek);
    object.raw("start", segment.start.as_str());
    object.raw("end", segment.end.as_str());
    object.string("text", &segment.text);
    for (name, none) in [
        ("tokens", "[]"),
        ("temperature", "0.0"),
        ("avg_logprob", "0.0"),
        ("compression_ratio", "0.0"),
        ("no_speech_prob", "0.0"),
    ] {
        object.raw(name, rest(name).map_or(none, |(_, json)| json.as_str()));
    }
    object.string_if("speaker", segment.speaker.as_deref());
    object.end();
}

fn diarized(transcript: &Transcript, task: Task) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("task", task_name(task));
    object.raw("duration", &duration(transcript));
    object.string("text", &transcript.text);
    let segments = transcript.segments.as_deref().unwrap_or_default();
    let numbered = segments.iter().enumerate();
    array(
        object.key("segments"),
        numbered,
        |out, (number, segment)| {
            let mut object = ObjectWriter::new(out);
            write_diarized(&mut object, number, segment);
            object.end();
        },
    );
    if let Some(told) = &transcript.usage {
        usage::write(&mut object, told);
    }
    object.end();
    out
}

/// A segment with its speaker, as an answer and an event have it.
pub(super) fn write_diarized(object: &mut ObjectWriter<'_>, number: usize, segment: &Segment) {
    object.string("type", "transcript.text.segment");
    object.string("id", &format!("seg_{number}"));
    object.raw("start", segment.start.as_str());
    object.raw("end", segment.end.as_str());
    object.string("text", &segment.text);
    object.string("speaker", segment.speaker.as_deref().unwrap_or_default());
}

fn srt(segments: &[Segment]) -> String {
    let mut out = String::new();
    for (number, segment) in segments.iter().enumerate() {
        let (start, end) = (clock(&segment.start, ','), clock(&segment.end, ','));
        let text = cue(&segment.text);
        // Writing to memory does not fail.
        let _ = write!(out, "{}\n{start} --> {end}\n{text}\n\n", number + 1);
    }
    out
}

fn vtt(segments: &[Segment]) -> String {
    let mut out = "WEBVTT\n\n".to_owned();
    for segment in segments {
        let (start, end) = (clock(&segment.start, '.'), clock(&segment.end, '.'));
        let _ = write!(out, "{start} --> {end}\n{}\n\n", cue(&segment.text));
    }
    out
}

/// Text of a subtitle: a blank line would end it, and an arrow begin another.
fn cue(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.replace("-->", "->")
}

fn clock(seconds: &llmleaf_model::Json, point: char) -> String {
    let millis = usage::millis(seconds.as_str());
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, millis) = (millis / 1000 % 60, millis % 1000);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{millis:03}")
}
