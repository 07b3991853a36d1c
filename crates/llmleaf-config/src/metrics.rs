//! `[metrics]`: what is told to scrapers, and to whom.

use crate::read::{Reading, Table};
use crate::server::bad_address;
use crate::{Secret, secrets};
use std::net::SocketAddr;

/// The `[metrics]` table.
#[derive(Debug)]
pub struct Metrics {
    /// An address of its own for scrapers, where nothing else is served but health. Default none.
    pub listen: Option<SocketAddr>,
    /// Opens `/metrics` to those who send it as their bearer token, beside `server.admin_token`.
    pub token: Option<Secret>,
    /// Most models that get labels of their own though no route names them. Default 200.
    pub models: usize,
    /// Most keys that get labels of their own. Default none.
    pub keys: usize,
    /// Tell OpenTelemetry's families as well. Default true.
    pub gen_ai: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: None,
            token: None,
            models: 200,
            keys: 0,
            gen_ai: true,
        }
    }
}

/// Environment variables that set values of this table.
const ENV_PREFIX: &str = "LLMLEAF_METRICS__";
/// Most models, and keys: each is some dozens of series.
const MOST_MODELS: u64 = 1000;
const MOST_KEYS: u64 = 5000;

/// Reads the `[metrics]` table, and the environment's say on it.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> Metrics {
    let mut table = root.table_or_empty(cx, "metrics").with_env(ENV_PREFIX);
    let defaults = Metrics::default();
    let t = &mut table;
    let size = |n: u64| usize::try_from(n).ok();
    let metrics = Metrics {
        listen: t.string(cx, "listen").and_then(|at| {
            let parsed = at.value.parse().ok();
            if parsed.is_none() {
                cx.report(bad_address(&at));
            }
            parsed
        }),
        token: secrets::read(cx, t, "token").map(|s| s.value),
        models: (t.whole(cx, "models", 0..=MOST_MODELS))
            .and_then(size)
            .unwrap_or(defaults.models),
        keys: (t.whole(cx, "keys", 0..=MOST_KEYS))
            .and_then(size)
            .unwrap_or(defaults.keys),
        gen_ai: (t.boolean(cx, "gen_ai")).unwrap_or(defaults.gen_ai),
    };
    table.finish(cx);
    metrics
}
