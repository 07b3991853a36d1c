//! One line per provider, in the order of the documentation.

use crate::Provider;

mod anthropic;
mod azure_openai;
mod cerebras;
mod cohere;
mod deepinfra;
mod deepseek;
mod echo;
mod fireworks;
mod gemini;
mod groq;
mod lmstudio;
mod mistral;
mod moonshot;
mod ollama;
mod openai;
mod openai_compatible;
mod openrouter;
mod perplexity;
mod requesty;
mod together;
mod vertex;
mod xai;
mod zai;

/// Every provider.
pub static ROSTER: &[&Provider] = &[
    &openai::PROVIDER,
    &anthropic::PROVIDER,
    &gemini::PROVIDER,
    &vertex::PROVIDER,
    &cohere::PROVIDER,
    &openrouter::PROVIDER,
    &requesty::PROVIDER,
    &groq::PROVIDER,
    &deepseek::PROVIDER,
    &xai::PROVIDER,
    &mistral::PROVIDER,
    &together::PROVIDER,
    &fireworks::PROVIDER,
    &perplexity::PROVIDER,
    &cerebras::PROVIDER,
    &deepinfra::PROVIDER,
    &zai::PROVIDER,
    &moonshot::PROVIDER,
    &azure_openai::PROVIDER,
    &ollama::PROVIDER,
    &lmstudio::PROVIDER,
    &openai_compatible::PROVIDER,
    &echo::PROVIDER,
];
