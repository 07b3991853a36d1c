//! What happens to a node, beside requests: events of their own among those of usage, so that a controller need not ask.

use crate::control::run_name;
use llmleaf_control::Ruling;
use llmleaf_exchange::Turned;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most lines of a change that are told.
const LINES: usize = 16;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// The node serves.
    NodeStarted {
        version: &'static str,
        generation: u64,
        workers: usize,
    },
    /// It takes nothing new.
    NodeDraining { drain_secs: u64 },
    /// Another configuration is in effect.
    ConfigReloaded {
        generation: u64,
        changes: Vec<String>,
        wants_restart: Vec<&'static str>,
    },
    /// Another configuration cannot be put in effect: the one before stays.
    ConfigRefused {
        generation: u64,
        problems: Vec<String>,
    },
    /// A target is passed over, or serves again.
    ProviderHealth {
        provider: String,
        upstream_model: String,
        status: &'static str,
    },
    /// A verdict on a key took effect.
    KeyVerdict {
        key_id: String,
        status: &'static str,
    },
}

/// An event as it is pushed.
#[derive(Serialize)]
struct Event<'a> {
    ts_ms: u64,
    /// Whoever gets an event twice knows it by this.
    id: String,
    node: &'a str,
    #[serde(flatten)]
    happening: &'a Happening,
}

impl Happening {
    /// Another configuration is in effect.
    pub fn reloaded(generation: u64, changes: &[String], wants_restart: &[&'static str]) -> Self {
        Self::ConfigReloaded {
            generation,
            changes: changes.iter().take(LINES).cloned().collect(),
            wants_restart: wants_restart.to_vec(),
        }
    }

    /// It is refused.
    pub fn refused(generation: u64, problems: &[String]) -> Self {
        Self::ConfigRefused {
            generation,
            problems: problems.iter().take(LINES).cloned().collect(),
        }
    }

    /// The health of a target turned.
    pub fn turned(turned: Turned<'_>) -> Self {
        Self::ProviderHealth {
            provider: turned.provider.to_owned(),
            upstream_model: turned.model.to_owned(),
            status: if turned.opened { "open" } else { "closed" },
        }
    }

    /// A verdict on a key took effect.
    pub fn ruled(ruling: Ruling<'_>) -> Self {
        Self::KeyVerdict {
            key_id: ruling.key.to_owned(),
            status: ruling.status.as_str(),
        }
    }

    /// The event of it.
    pub fn event(&self, node: &str, now_ms: u64) -> Vec<u8> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let event = Event {
            ts_ms: now_ms,
            id: format!("{}-{number}", run_name()),
            node,
            happening: self,
        };
        serde_json::to_vec(&event).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const PAGE: &str = include_str!("../../../../docs/control-plane.md");

    fn read(happening: &Happening) -> Value {
        serde_json::from_slice(&happening.event("node-1", 7)).expect("JSON")
    }

    #[test]
    fn an_event_is_told_as_the_page_has_it() {
        let blocks = PAGE.split("```json\n").skip(1);
        let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
        let sample = blocks.find(|block| block.contains("provider_health"));
        let sample: Value = serde_json::from_str(sample.expect("a sample")).expect("JSON");
        let told = read(&Happening::turned(Turned {
            provider: "spare",
            model: "llama-3.3-70b-versatile",
            opened: true,
        }));
        let (sample, told) = (sample.as_object(), told.as_object());
        let (sample, told) = (sample.expect("an object"), told.expect("an object"));
        assert!(sample.keys().eq(told.keys()), "{told:?}");
        for (name, value) in sample
            .iter()
            .filter(|(name, _)| *name != "id" && *name != "ts_ms")
        {
            assert_eq!(told.get(name), Some(value));
        }
    }

    #[test]
    fn each_has_a_name_that_the_page_explains_and_an_id_of_its_own() {
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let all = [
            Happening::NodeStarted {
                version: "1",
                generation: 1,
                workers: 2,
            },
            Happening::NodeDraining { drain_secs: 3 },
            Happening::reloaded(2, &many, &["server.workers"]),
            Happening::refused(2, &many),
            Happening::KeyVerdict {
                key_id: "a".to_owned(),
                status: "blocked",
            },
        ];
        let told: Vec<Value> = all.iter().map(read).collect();
        for event in &told {
            let name = event["event"].as_str().expect("a name");
            assert!(PAGE.contains(&format!("| `{name}` |")), "{name}");
            for list in ["changes", "problems"] {
                let lines = event[list].as_array().map_or(0, Vec::len);
                assert!(lines <= LINES, "{name}: {lines}");
            }
        }
        let ids = told.iter().map(|event| event["id"].to_string());
        let ids: std::collections::BTreeSet<String> = ids.collect();
        assert_eq!(ids.len(), told.len());
    }
}
