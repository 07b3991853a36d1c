//! Heads of requests, written once: most requests to a provider differ in their body only.

use http::{Method, Request};
use llmleaf_providers::{Chat, Path, Provider};
use llmleaf_transport::{Origin, Preamble};
use std::sync::OnceLock;

/// Most heads that are kept for one credential: a handful of paths, each with the few things that `accept` may say.
const MOST: usize = 12;

/// The heads of one provider, per credential.
#[derive(Debug)]
pub(super) struct Heads(Vec<[OnceLock<Kept>; MOST]>);

#[derive(Debug)]
struct Kept {
    path: Box<str>,
    accept: &'static str,
    preamble: Preamble,
}

impl Kept {
    fn is_for(&self, path: &str, accept: &str) -> bool {
        self.accept == accept && &*self.path == path
    }
}

impl Heads {
    /// None yet.
    pub fn new(credentials: usize) -> Self {
        let none = || [const { OnceLock::new() }; MOST];
        Self(std::iter::repeat_with(none).take(credentials).collect())
    }

    /// The head of a `POST` there, which is `made` if it was not asked for before. `None` where there is no place for it, or it cannot
    /// be made.
    pub fn of(
        &self,
        credential: usize,
        path: &str,
        accept: &'static str,
        origin: &Origin,
        made: impl Fn(Method) -> Option<Request<()>>,
    ) -> Option<&Preamble> {
        for place in self.0.get(credential)? {
            let kept = match place.get() {
                Some(kept) => kept,
                None => {
                    let preamble = Preamble::new(&made(Method::POST)?, origin).ok()?;
                    place.get_or_init(|| Kept {
                        path: path.into(),
                        accept,
                        preamble,
                    })
                }
            };
            if kept.is_for(path, accept) {
                return Some(&kept.preamble);
            }
        }
        None
    }
}

/// The paths of a provider's chats that are always the same, below its base path.
pub(super) fn fixed(row: &Provider, base_path: &str) -> Vec<(Path, String)> {
    let makers = row.speaks.makers.iter().flat_map(|maker| maker.chat);
    let chats = row.speaks.chat.iter().chain(makers);
    let mut found: Vec<(Path, String)> = Vec::new();
    for chat in chats {
        if let Chat::Wire(_, path @ Path::Fixed(_)) = chat
            && found.iter().all(|(known, _)| known != path)
        {
            found.push((*path, path.below(base_path, "", false, None)));
        }
    }
    found
}
