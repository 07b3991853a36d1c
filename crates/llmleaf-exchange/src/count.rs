//! How many input tokens a request has: the provider's own count, else an estimate that errs high.

use crate::attempt::{self, Attempt, Incoming, Outgoing};
use crate::drive::Run;
use crate::failure;
use crate::job::Operation;
use crate::upstream::Upstream;
use http::{Method, StatusCode};
use llmleaf_dialects::Dialect;
use llmleaf_model::{
    ChatRequest, Failure, Media, MediaSource, Part, PartKind, ResponseFormat, ToolKind,
};
use llmleaf_route::Candidate;
use std::pin::pin;

mod inputs;

/// Largest reply that holds a count, in bytes.
const REPLY_BYTES: usize = 64 * 1024;

/// Counts.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
) -> Result<(), Failure> {
    let own = upstream
        .wire(run.job.dialect, &candidate.model)
        .filter(|(wire, _)| wire.dialect() == run.job.dialect);
    let (Some(path), Some((wire, _))) = (upstream.count_tokens(&candidate.model), own) else {
        here(run)?;
        attempt.forgo();
        attempt.complete(&[]);
        return Ok(());
    };
    let rendered = wire.edit_count(
        &run.job.head,
        &run.job.body,
        upstream.named(&candidate.model),
    )?;
    run.losses = rendered.losses;
    let path = upstream.path(path, &candidate.model, false);
    let going = Outgoing {
        method: Method::POST,
        wire,
        path: &path,
        body: rendered.body,
        stream: false,
        same: true,
        kind: None,
    };
    let Incoming { watch, body, .. } =
        attempt::send(run, attempt, candidate, upstream, going).await?;
    let body = match run.wait(&watch, pin!(body.collect(REPLY_BYTES))).await {
        Err(clock) => return Err(failure::timeout(clock, &watch)),
        Ok(Err(error)) => return Err(failure::transport(&error, true)),
        Ok(Ok(body)) => body,
    };
    wire.parse_count(&body)?;
    attempt.complete(&run.losses);
    run.whole(StatusCode::OK, body);
    Ok(())
}

/// Estimates here: nobody need be asked, unless a service holds what is to be counted.
pub(crate) fn here(run: &mut Run) -> Result<(), Failure> {
    let text = llmleaf_dialects::head::text(&run.job.body)?;
    let request = run.job.dialect.parse_count(text)?;
    llmleaf_dialects::needs_no_keeper(&request)?;
    let tokens = estimate(&request);
    run.estimated = true;
    let reply = run.job.dialect.render_count(tokens);
    run.whole(StatusCode::OK, run.explaining_whole(reply.into()));
    Ok(())
}

/// Bytes of text per token; most text has more, so that the estimate errs high.
const BYTES_PER_TOKEN: u64 = 3;
/// Tokens around each message, part and tool.
const OVERHEAD: u64 = 8;
/// Tokens of a picture: what Anthropic counts for one of 1568 pixels a side, the largest it does not shrink
/// (its vision guide, read 2026-11).
const IMAGE_TOKENS: u64 = 1600;
/// Bytes of an encoded document per token. A page of PDF takes some 3000 tokens and seldom less than 48 KiB.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 16;

/// An estimate for a body that is to be billed and was not counted: by its parts where it parses, else by its length.
pub(crate) fn of_body(operation: Operation, dialect: Dialect, body: &[u8]) -> u64 {
    let parsed = || {
        let said = llmleaf_dialects::head::text(body).ok()?;
        match operation {
            Operation::Embed(form) => Some(inputs::embedded(&form.parse_request(said, "").ok()?)),
            Operation::Draw(form) => Some(inputs::drawn(&form.parse_request(said, "").ok()?)),
            Operation::Moderate(form) => Some(inputs::judged(&form.parse_request(said, "").ok()?)),
            Operation::Audio(_) => Some(inputs::written(said)),
            // Texts, and nothing else.
            Operation::Rerank(_) => None,
            _ => Some(estimate(&dialect.parse_count(said).ok()?)),
        }
    };
    parsed().unwrap_or_else(|| text(body.len()))
}

fn estimate(request: &ChatRequest) -> u64 {
    let messages = request
        .messages
        .iter()
        .map(|m| OVERHEAD + m.parts.iter().map(part).sum::<u64>());
    let tools = request
        .tools
        .iter()
        .map(|tool| OVERHEAD + tool_bytes(&tool.kind).div_ceil(BYTES_PER_TOKEN));
    let form = request.response_format.as_ref();
    let form = form.map_or(0, |form| OVERHEAD + text(form_bytes(form)));
    messages.sum::<u64>() + tools.sum::<u64>() + form + OVERHEAD
}

/// What the model is told of the form of its answer.
fn form_bytes(form: &ResponseFormat) -> usize {
    match form {
        ResponseFormat::Text | ResponseFormat::JsonObject => 0,
        ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            ..
        } => {
            let said = [name, description].into_iter().flatten();
            said.map(String::len).sum::<usize>() + schema.as_str().len()
        }
        ResponseFormat::Opaque { json, .. } => json.as_str().len(),
    }
}

fn text(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

fn part(part: &Part) -> u64 {
    OVERHEAD
        + match &part.kind {
            PartKind::Text { text: t, .. } | PartKind::Refusal(t) => text(t.len()),
            PartKind::Media(media) => medium(media),
            PartKind::ToolCall(call) => text(call.name.len() + call.arguments.len()),
            PartKind::ToolResult(result) => result.parts.iter().map(self::part).sum(),
            PartKind::Reasoning(reasoning) => text(
                reasoning.joined().len()
                    + reasoning
                        .artefact
                        .as_ref()
                        .map_or(0, |artefact| artefact.data.len()),
            ),
            PartKind::ServerToolUse(tool) => text(tool.name.len() + tool.input.len()),
            PartKind::ServerToolResult(result) => text(result.json.as_str().len()),
            PartKind::Opaque { json, .. } => text(json.as_str().len()),
        }
}

fn medium(media: &Media) -> u64 {
    match (&media.source, media.kind) {
        (MediaSource::Text(t), _) => text(t.len()),
        (MediaSource::Parts(parts), _) => parts.iter().map(part).sum(),
        (_, llmleaf_model::MediaKind::Image) => IMAGE_TOKENS,
        (MediaSource::Base64(data), _) => (data.len() as u64).div_ceil(DOCUMENT_BYTES_PER_TOKEN),
        // Nothing is known of what lies elsewhere; a picture's worth is better than nothing.
        (MediaSource::Url(_) | MediaSource::FileId(_), _) => IMAGE_TOKENS,
    }
}

fn tool_bytes(kind: &ToolKind) -> u64 {
    let bytes = match kind {
        ToolKind::Function {
            name,
            description,
            parameters,
            ..
        } => {
            name.len()
                + description.as_ref().map_or(0, String::len)
                + parameters.as_ref().map_or(0, |p| p.as_str().len())
        }
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            name.len()
                + description.as_ref().map_or(0, String::len)
                + format.as_ref().map_or(0, |f| f.as_str().len())
        }
        ToolKind::Namespace { tools, .. } => {
            return tools.iter().map(|t| tool_bytes(&t.kind)).sum();
        }
        ToolKind::Server { json, .. } => json.as_str().len(),
    };
    bytes as u64
}
