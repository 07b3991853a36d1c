//! Estimates for requests that are no conversations: their texts, and what their pictures are worth.

use super::{DOCUMENT_BYTES_PER_TOKEN, IMAGE_TOKENS, OVERHEAD, text};
use llmleaf_model::{
    EmbeddingInput, EmbeddingPart, EmbeddingRequest, ImageRequest, ModerationInput,
    ModerationRequest,
};

/// Shortest string of base64 that is taken for a file.
const FILE_BYTES: usize = 1024;

/// What is to be embedded.
pub(super) fn embedded(request: &EmbeddingRequest) -> u64 {
    let one = |input: &EmbeddingInput| match input {
        EmbeddingInput::Text(said) => text(said.len()),
        EmbeddingInput::Tokens(json) => json.as_str().matches(',').count() as u64 + 1,
        EmbeddingInput::Parts(parts) => parts.iter().map(part).sum(),
        EmbeddingInput::Opaque { json, .. } => written(json.as_str()),
    };
    let each = request.inputs.iter().map(|input| OVERHEAD + one(input));
    each.sum()
}

fn part(part: &EmbeddingPart) -> u64 {
    match part {
        EmbeddingPart::Text(said) => text(said.len()),
        EmbeddingPart::Image(_) => IMAGE_TOKENS,
    }
}

/// What is to be drawn, and from what.
pub(super) fn drawn(request: &ImageRequest) -> u64 {
    let pictures = request.images.len() + usize::from(request.mask.is_some());
    OVERHEAD + text(request.prompt.len()) + IMAGE_TOKENS * pictures as u64
}

/// What is to be judged.
pub(super) fn judged(request: &ModerationRequest) -> u64 {
    let one = |input: &ModerationInput| match input {
        ModerationInput::Text(said) => text(said.len()),
        ModerationInput::Parts(json) | ModerationInput::Conversation(json) => {
            written(json.as_str())
        }
    };
    let each = request.inputs.iter().map(|input| OVERHEAD + one(input));
    each.sum()
}

/// JSON that is not read any further: as text, but for the pictures and files that its strings hold.
pub(super) fn written(json: &str) -> u64 {
    let mut prose = json.len();
    let mut files = 0;
    let mut escaped = false;
    let strings = json.split(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    for said in strings.filter(|said| said.len() >= FILE_BYTES) {
        let picture = said.starts_with("data:image/");
        let data = said
            .strip_prefix("data:")
            .and_then(|uri| uri.split_once(','));
        let mut data = data.map_or(said, |(_, data)| data).bytes();
        if picture || data.all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)) {
            prose = prose.saturating_sub(said.len());
            files += match picture {
                true => IMAGE_TOKENS,
                false => (said.len() as u64).div_ceil(DOCUMENT_BYTES_PER_TOKEN),
            };
        }
    }
    text(prose) + files
}
