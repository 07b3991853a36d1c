//! One line per provider, in the order of the documentation.

use crate::Provider;

mod anthropic;
mod azure_openai;
mod echo;
mod openai;
mod openai_compatible;

/// Every provider.
pub static ROSTER: &[&Provider] = &[
    &openai::PROVIDER,
    &anthropic::PROVIDER,
    &azure_openai::PROVIDER,
    &openai_compatible::PROVIDER,
    &echo::PROVIDER,
];
