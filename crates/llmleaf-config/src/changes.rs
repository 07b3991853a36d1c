//! What a configuration has that another had not: for the operator's eyes, so names only and no values.

use std::fmt;

use crate::{Config, Credential, Key, Metrics, Oauth, Provider, Route, Server};

/// One table that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which: `provider`, `route`, `prices`, `key`, `server`, `access_log`, `metrics`, `traces`, `oauth`, `control`.
    pub table: &'static str,
    /// Its name, where there are several of the kind.
    pub name: String,
    /// What became of it.
    pub how: How,
}

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// These keys have other values; none where it is not known which.
    Changed(Vec<&'static str>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        if !self.name.is_empty() {
            write!(f, " `{}`", self.name)?;
        }
        match &self.how {
            How::Added => f.write_str(" added"),
            How::Removed => f.write_str(" removed"),
            How::Changed(keys) if keys.is_empty() => f.write_str(" changed"),
            How::Changed(keys) => write!(f, " changed: {}", keys.join(", ")),
        }
    }
}

impl Config {
    /// What this one has that `before` had not, in file order; what is gone stands at the end of its kind.
    pub fn changes_since(&self, before: &Config) -> Vec<Change> {
        let mut all = Vec::new();
        let server = self.server.differs_from(&before.server);
        note(&mut all, "server", "", server);
        let log = (self.access_log != before.access_log).then(Vec::new);
        note(&mut all, "access_log", "", log);
        note(
            &mut all,
            "metrics",
            "",
            metrics_keys(&self.metrics, &before.metrics),
        );
        let traces = (self.traces != before.traces).then(Vec::new);
        note(&mut all, "traces", "", traces);
        let of = |provider: &Provider| provider.name.clone();
        let keys = Provider::differs_from;
        tables(
            &mut all,
            "provider",
            &self.providers,
            &before.providers,
            of,
            keys,
        );
        let of = |route: &Route| route.model.clone();
        tables(
            &mut all,
            "route",
            &self.routes,
            &before.routes,
            of,
            route_keys,
        );
        let prices = (self.prices != before.prices).then(Vec::new);
        note(&mut all, "prices", "", prices);
        let of = |key: &Key| key.id.clone();
        tables(&mut all, "key", &self.keys, &before.keys, of, key_keys);
        let of = |issuer: &Oauth| issuer.name.clone();
        let keys = |now: &Oauth, before: &Oauth| (!now.same_as(before)).then(Vec::new);
        tables(&mut all, "oauth", &self.oauth, &before.oauth, of, keys);
        let control = self.control != before.control;
        note(&mut all, "control", "", control.then(Vec::new));
        all
    }
}

fn note(all: &mut Vec<Change>, table: &'static str, name: &str, keys: Option<Vec<&'static str>>) {
    if let Some(keys) = keys {
        all.push(Change {
            table,
            name: name.to_owned(),
            how: How::Changed(keys),
        });
    }
}

fn tables<T>(
    all: &mut Vec<Change>,
    table: &'static str,
    now: &[T],
    before: &[T],
    name: impl Fn(&T) -> String,
    keys: impl Fn(&T, &T) -> Option<Vec<&'static str>>,
) {
    let known: std::collections::HashMap<String, &T> =
        before.iter().map(|old| (name(old), old)).collect();
    let mut gone: std::collections::HashSet<String> = known.keys().cloned().collect();
    for new in now {
        let called = name(new);
        gone.remove(&called);
        match known.get(&called) {
            Some(old) => note(all, table, &called, keys(new, old)),
            None => all.push(Change {
                table,
                name: called,
                how: How::Added,
            }),
        }
    }
    for old in before.iter().map(&name).filter(|old| gone.contains(old)) {
        all.push(Change {
            table,
            name: old,
            how: How::Removed,
        });
    }
}

/// The names of those that differ; `None` where none does and `same` holds, which looks at everything that prints.
fn differing(keys: &[(&'static str, bool)], same: bool) -> Option<Vec<&'static str>> {
    let names: Vec<&'static str> = keys
        .iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| *name)
        .collect();
    (!names.is_empty() || !same).then_some(names)
}

impl Provider {
    /// The keys whose values differ, if any do.
    pub fn differs_from(&self, before: &Provider) -> Option<Vec<&'static str>> {
        let keys = [
            ("kind", self.row.name == before.row.name),
            ("endpoint", self.endpoint == before.endpoint),
            (
                "credential",
                self.credentials
                    .iter()
                    .map(Credential::identity)
                    .eq(before.credentials.iter().map(Credential::identity)),
            ),
            (
                "spread_credentials",
                self.spread_credentials == before.spread_credentials,
            ),
            ("prefix", self.prefix == before.prefix),
            ("settings", self.settings == before.settings),
            ("limits", self.limits == before.limits),
            ("model_limits", self.model_limits == before.model_limits),
            ("health", self.health == before.health),
            ("on_cancel", self.on_cancel == before.on_cancel),
            (
                "data_collection",
                self.data.collects == before.data.collects,
            ),
            (
                "zdr",
                self.data.zero_retention == before.data.zero_retention,
            ),
            ("timeouts", self.timeouts == before.timeouts),
            ("ca_file", self.ca_file == before.ca_file),
            (
                "client_certificate",
                self.client_certificate == before.client_certificate,
            ),
            ("proxy", self.proxy == before.proxy),
        ];
        differing(&keys, format!("{self:?}") == format!("{before:?}"))
    }
}

impl Server {
    fn differs_from(&self, before: &Server) -> Option<Vec<&'static str>> {
        let keys = [
            ("listen", self.listen == before.listen),
            ("admin_token", self.admin_token == before.admin_token),
            (
                "batch_id_secret",
                self.batch_id_secret == before.batch_id_secret,
            ),
            (
                "batch_id_secret_previous",
                self.batch_id_secret_previous == before.batch_id_secret_previous,
            ),
            ("state_dir", self.state_dir == before.state_dir),
            ("event_buffer", self.event_buffer == before.event_buffer),
            (
                "include_payloads",
                self.include_payloads == before.include_payloads,
            ),
            (
                "realtime_origins",
                self.realtime_origins == before.realtime_origins,
            ),
            (
                "rate_limit_max_wait_ms",
                self.rate_limit_max_wait == before.rate_limit_max_wait,
            ),
            ("keepalive_secs", self.keepalive == before.keepalive),
            ("hold_headers_ms", self.hold_headers == before.hold_headers),
            ("drain_secs", self.drain == before.drain),
            ("drain_delay_secs", self.drain_delay == before.drain_delay),
            ("watch_secs", self.watch == before.watch),
            ("reuse_port", self.reuse_port == before.reuse_port),
            (
                "fallback_cooldown_secs",
                self.fallback_cooldown == before.fallback_cooldown,
            ),
            ("loss_policy", self.loss_policy == before.loss_policy),
            ("timeouts", self.timeouts == before.timeouts),
            ("attempts", self.retries.attempts == before.retries.attempts),
            (
                "tries_per_target",
                self.retries.tries_per_target == before.retries.tries_per_target,
            ),
            (
                "deadline_ms",
                self.retries.deadline == before.retries.deadline,
            ),
            ("workers", self.workers == before.workers),
            ("tls", self.tls == before.tls),
            ("tell_cost", self.tell_cost == before.tell_cost),
            ("spool_mib", self.spool_bytes == before.spool_bytes),
        ];
        let keys = [keys.as_slice(), &self.bounds(before)].concat();
        differing(&keys, format!("{self:?}") == format!("{before:?}"))
    }

    /// Of how much is taken on: whether each is the same.
    fn bounds(&self, before: &Server) -> [(&'static str, bool); 6] {
        [
            (
                "max_body_bytes",
                self.max_body_bytes == before.max_body_bytes,
            ),
            (
                "max_files_per_key",
                self.max_files_per_key == before.max_files_per_key,
            ),
            (
                "max_file_mib_per_key",
                self.max_file_bytes_per_key == before.max_file_bytes_per_key,
            ),
            (
                "max_upload_bytes",
                self.max_upload_bytes == before.max_upload_bytes,
            ),
            (
                "max_connections",
                self.max_connections == before.max_connections,
            ),
            ("memory_limit_mib", self.memory_limit == before.memory_limit),
        ]
    }
}

fn metrics_keys(now: &Metrics, before: &Metrics) -> Option<Vec<&'static str>> {
    let keys = [
        ("listen", now.listen == before.listen),
        ("token", now.token == before.token),
        ("models", now.models == before.models),
        ("keys", now.keys == before.keys),
        ("gen_ai", now.gen_ai == before.gen_ai),
    ];
    differing(&keys, true)
}

fn route_keys(now: &Route, before: &Route) -> Option<Vec<&'static str>> {
    let keys = [
        ("targets", now.targets == before.targets),
        ("strategy", now.strategy == before.strategy),
        ("affinity", now.affinity == before.affinity),
        ("hedge", now.hedge == before.hedge),
        ("attempts", now.retries.attempts == before.retries.attempts),
        (
            "tries_per_target",
            now.retries.tries_per_target == before.retries.tries_per_target,
        ),
        (
            "deadline_ms",
            now.retries.deadline == before.retries.deadline,
        ),
        ("timeouts", now.timeouts == before.timeouts),
        ("loss_policy", now.loss_policy == before.loss_policy),
        ("prompt_cache", now.prompt_cache == before.prompt_cache),
        (
            "reasoning_effort",
            now.reasoning_effort == before.reasoning_effort,
        ),
        ("realtime", now.realtime == before.realtime),
    ];
    differing(&keys, now == before)
}

fn key_keys(now: &Key, before: &Key) -> Option<Vec<&'static str>> {
    let keys = [
        ("name", now.name == before.name),
        ("pw_hash", now.pw_hash == before.pw_hash),
        (
            "allowed_models",
            now.allowed_models == before.allowed_models,
        ),
        ("limits", now.limits == before.limits),
        ("explain", now.explain == before.explain),
    ];
    differing(&keys, format!("{now:?}") == format!("{before:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[providers]]
        name = "a"
        kind = "openai"
        credential = "sk-CANARY-one"
        prefix = "a"
        [[providers]]
        name = "b"
        kind = "openai"
        credential = "env:B"
        prefix = "b"
        [[routes]]
        model = "m"
        targets = [{ provider = "a" }]
        [[keys]]
        id = "k"
        pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
    "#;

    fn config(text: &str, b: &str) -> Config {
        let env = |name: &str| (name == "B").then(|| b.to_owned());
        Config::parse(text, "x.toml", &env).unwrap_or_else(|d| panic!("{d}"))
    }

    fn told(now: &Config, before: &Config) -> Vec<String> {
        let changes = now.changes_since(before);
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_changed_is_nothing_told() {
        let before = config(FILE, "sk-CANARY-two");
        assert!(told(&config(FILE, "sk-CANARY-two"), &before).is_empty());
    }

    /// Every key of `[server]` and of a route, by its own name.
    #[test]
    fn what_changed_is_told_by_its_name() {
        let before = config(FILE, "sk-CANARY-two");
        for (key, value) in [
            ("listen", "\"127.0.0.1:1\""),
            ("admin_token", "\"sk-CANARY-admin\""),
            ("batch_id_secret", "\"sk-CANARY-batch-0123456789abcdef\""),
            (
                "batch_id_secret_previous",
                "\"sk-CANARY-batch-fedcba9876543210\"",
            ),
            ("state_dir", "\"/nowhere/llmleaf\""),
            ("event_buffer", "7"),
            ("include_payloads", "true"),
            ("max_body_bytes", "1048576"),
            ("max_files_per_key", "7"),
            ("max_file_mib_per_key", "7"),
            ("realtime_origins", "[\"https://a.example\"]"),
            ("max_upload_bytes", "1048576"),
            ("max_connections", "100"),
            ("memory_limit_mib", "512"),
            ("rate_limit_max_wait_ms", "7"),
            ("keepalive_secs", "7"),
            ("hold_headers_ms", "7"),
            ("drain_secs", "7"),
            ("drain_delay_secs", "7"),
            ("watch_secs", "7"),
            ("reuse_port", "true"),
            ("fallback_cooldown_secs", "7"),
            ("loss_policy", "\"error\""),
            ("timeouts", "{ total_ms = 7000 }"),
            ("attempts", "7"),
            ("tries_per_target", "7"),
            ("deadline_ms", "7000"),
            ("workers", "977"),
            ("tls", "{ cert = \"c\", key = \"k\" }"),
        ] {
            let now = config(
                &format!("{FILE}[server]\n{key} = {value}\n"),
                "sk-CANARY-two",
            );
            assert_eq!(told(&now, &before), [format!("server changed: {key}")]);
        }
        for (key, value) in [
            ("strategy", "\"latency\""),
            ("affinity", "false"),
            ("hedge", "true"),
            ("attempts", "7"),
            ("tries_per_target", "7"),
            ("deadline_ms", "7000"),
            ("timeouts", "{ total_ms = 7000 }"),
            ("loss_policy", "\"error\""),
            ("prompt_cache", "false"),
            ("reasoning_effort", "\"low\""),
            ("realtime", "{ voice = \"v\" }"),
        ] {
            let text = FILE.replace("model = \"m\"", &format!("model = \"m\"\n{key} = {value}"));
            let now = config(&text, "sk-CANARY-two");
            assert_eq!(told(&now, &before), [format!("route `m` changed: {key}")]);
        }
    }

    #[test]
    fn each_table_is_told_without_its_values() {
        let before = config(FILE, "sk-CANARY-two");
        let text = FILE
            .replace("model = \"m\"", "model = \"n\"")
            .replace("sk-CANARY-one", "sk-CANARY-three")
            .replace("id = \"k\"", "id = \"k\"\nname = \"K\"\nexplain = true")
            + "[server]\nkeepalive_secs = 7\n";
        let now = config(&text, "sk-CANARY-four");
        let told = told(&now, &before);
        assert_eq!(
            told,
            [
                "server changed: keepalive_secs",
                "provider `a` changed: credential",
                "provider `b` changed: credential",
                "route `n` added",
                "route `m` removed",
                "key `k` changed: name, explain",
            ]
        );
    }
}
