//! Schemas of tools and answers, brought to what a target takes.
//!
//! Services take JSON Schema in part, and refuse a whole request for one keyword. What can be said in another way is said
//! so (references are written out, constants become lists of one, alternatives at the root are folded); what cannot is
//! left out, so that more is accepted than was asked, and named as a loss. What no schema of the target could mean (a
//! reference that leads nowhere, a root that is no object) is refused here, by the tool's name and the place.
//!
//! Used between dialects only: in the same dialect a schema is the consumer's own.
//!
//! Reading order: [`profile`], `request`, `compile`, `strict`, `merge`, `tree`.

mod compile;
mod merge;
pub mod profile;
mod request;
mod strict;
#[cfg(test)]
mod tests;
mod tree;

pub use profile::Profile;
pub(crate) use request::{Profiles, fit};
pub(crate) use strict::Strictness;

use compile::Compiler;
use llmleaf_model::{Failure, Json, Loss};
use tree::Node;

/// Most values of a schema, with its references written out.
pub const MOST_VALUES: usize = 100_000;
/// Deepest nesting of a schema, with its references written out.
pub const MOST_DEPTH: usize = 64;
/// Most losses told of one schema.
const MOST_LOSSES: usize = 32;

/// The schema as the target takes it. One that it takes as it is keeps its bytes. `path` says where it stands in the
/// request, `of` whose it is.
///
/// # Errors
/// The target can take no schema of this meaning: the failure names tool and place.
pub fn compile(
    schema: &Json,
    profile: &Profile,
    path: &str,
    of: &str,
    losses: &mut Vec<Loss>,
) -> Result<Json, Failure> {
    let Ok(root) = schema.read::<Node>() else {
        return Ok(schema.clone());
    };
    if !matches!(root, Node::Object(_)) {
        return Ok(schema.clone());
    }
    let mut compiler = Compiler::new(&root, profile, path, of);
    let mut compiled = compiler.root()?;
    if profile.closed {
        compiled = compiler.close(compiled, "")?;
    }
    losses.extend(compiler.losses.into_iter().take(MOST_LOSSES));
    if compiled == root {
        return Ok(schema.clone());
    }
    let mut out = Vec::with_capacity(schema.as_str().len());
    compiled.write(&mut out);
    let text = String::from_utf8(out).unwrap_or_default();
    Ok(Json::parse(&text).unwrap_or_else(|_| schema.clone()))
}
