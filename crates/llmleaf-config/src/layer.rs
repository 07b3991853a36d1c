//! What a controller adds to the file: further providers and routes, in the form that the file has them, as JSON.
//!
//! The rule: what the file says stands. An entry with a name, prefix or model that the file has is passed over, and told; so is one of a
//! kind that this version does not know, and a target that names such a one. Whatever else is wrong with an entry spoils the whole
//! layer, and nothing of it is added.
//!
//! What comes from outside may not point into this machine: no `file:`, no paths. An environment variable may be named by a
//! provider that calls its kind's own address; one with an address of its own gets those that `control.topology.secrets` lists, so
//! that nobody who can write a layer can send a secret of this machine to himself.

mod inline;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::de::DeTable;

use crate::diagnose::{Diagnostic, Place, Severity};
use crate::read::{At, Reading, Table};
use crate::{Config, Provider, Route, providers, routes};

/// Providers and routes from outside, as they were written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    #[serde(default)]
    providers: Vec<Map<String, Value>>,
    #[serde(default)]
    routes: Vec<Map<String, Value>>,
}

/// Why a layer cannot be added. Repeats no value of it but names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerError(String);

impl std::fmt::Display for LayerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayerError {}

/// What adding a layer came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Providers.
    pub providers: usize,
    /// Routes.
    pub routes: usize,
    /// What was passed over, and why.
    pub passed: Vec<String>,
}

/// Most mistakes that are told of one layer.
const TOLD: usize = 5;

impl Layer {
    /// Reads a layer.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(body: &[u8]) -> Result<Self, LayerError> {
        let form = "not `{\"providers\": […], \"routes\": […]}`";
        // A list would be read as fields in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(LayerError(form.to_owned()));
        }
        serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            LayerError(format!("{form} (line {line}, column {column})"))
        })
    }
}

impl Config {
    /// Adds a layer. `env` looks up environment variables.
    ///
    /// # Errors
    /// Something of it is wrong: then nothing of it was added.
    pub fn add(
        &mut self,
        layer: &Layer,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Added, LayerError> {
        let topology = self.control.as_ref().and_then(|c| c.topology.as_ref());
        let listed: &[String] = topology.map_or(&[], |topology| &topology.secrets);
        let mut passed = Vec::new();
        let (own, elsewhere) = self.fitting_providers(layer, listed, &mut passed)?;
        let restricted = |name: &str| {
            let known = listed.iter().any(|secret| secret == name);
            known.then(|| env(name)).flatten()
        };
        let mut fresh = read_providers(own, env)?;
        fresh.extend(read_providers(elsewhere, &restricted)?);
        let names = self.providers.iter().chain(&fresh);
        let names: Vec<At<String>> = names
            .map(|provider| At {
                value: provider.name.clone(),
                place: Place::Whole,
            })
            .collect();
        let routes = self.fitting_routes(layer, &names, &mut passed);
        let routes = read_routes(routes, &names)?;
        let added = Added {
            providers: fresh.len(),
            routes: routes.len(),
            passed,
        };
        self.providers.extend(fresh);
        self.routes.extend(routes);
        Ok(added)
    }

    /// The providers that the file leaves room for: those that call their kind's own address, and the others.
    fn fitting_providers(
        &self,
        layer: &Layer,
        listed: &[String],
        passed: &mut Vec<String>,
    ) -> Result<(Vec<Value>, Vec<Value>), LayerError> {
        let known = self.providers.iter();
        let mut names: HashSet<&str> = known.map(|provider| provider.name.as_str()).collect();
        let known = self.providers.iter();
        let mut prefixes: HashSet<&str> = known.filter_map(|p| p.prefix.as_deref()).collect();
        let (mut own, mut elsewhere) = (Vec::new(), Vec::new());
        for entry in &layer.providers {
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            let name = text("name").unwrap_or_default();
            if let Some(kind) = text("kind")
                && llmleaf_providers::find(kind).is_none()
            {
                passed.push(format!("provider `{name}`: no kind `{kind}` is known here"));
                continue;
            }
            let taken = text("prefix").filter(|prefix| prefixes.contains(prefix));
            if names.contains(name) || taken.is_some() {
                let what = taken.map_or("name", |_| "prefix");
                passed.push(format!("provider `{name}`: its {what} is taken"));
                continue;
            }
            let addressed = ["endpoint", "proxy"]
                .iter()
                .any(|key| entry.contains_key(*key));
            let may = |variable: &str| !addressed || listed.iter().any(|secret| secret == variable);
            reaches_in(entry, &may)
                .map_err(|why| LayerError(format!("provider `{name}`: {why}")))?;
            names.insert(name);
            prefixes.extend(text("prefix"));
            let group = if addressed { &mut elsewhere } else { &mut own };
            group.push(Value::Object(entry.clone()));
        }
        Ok((own, elsewhere))
    }

    /// The routes that the file leaves room for, with the targets that there are.
    fn fitting_routes(
        &self,
        layer: &Layer,
        names: &[At<String>],
        passed: &mut Vec<String>,
    ) -> Vec<Value> {
        let known = self.routes.iter();
        let mut models: HashSet<&str> = known.map(|route| route.model.as_str()).collect();
        let mut fitting = Vec::new();
        for entry in &layer.routes {
            let model = entry
                .get("model")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if !models.insert(model) {
                passed.push(format!("route `{model}`: there is one already"));
                continue;
            }
            let mut entry = entry.clone();
            if let Some(Value::Array(targets)) = entry.get_mut("targets") {
                let all = targets.len();
                targets.retain(|target| {
                    let name = target.get("provider").and_then(Value::as_str);
                    // What names none at all is a mistake, and told as one.
                    name.is_none_or(|name| names.iter().any(|known| known.value == name))
                });
                let gone = all - targets.len();
                if gone > 0 {
                    passed.push(format!(
                        "route `{model}`: {gone} of its targets are not here"
                    ));
                    if targets.is_empty() {
                        continue;
                    }
                }
            }
            fitting.push(Value::Object(entry));
        }
        fitting
    }
}

/// Whether an entry points at something of this machine that it may not have.
fn reaches_in(entry: &Map<String, Value>, may: &impl Fn(&str) -> bool) -> Result<(), &'static str> {
    for key in ["ca_file", "client_certificate"] {
        if entry.contains_key(key) {
            return Err("files of this machine cannot be named from outside");
        }
    }
    entry
        .values()
        .try_for_each(|value| text_reaches_in(value, may))
}

fn text_reaches_in(value: &Value, may: &impl Fn(&str) -> bool) -> Result<(), &'static str> {
    match value {
        Value::String(text) if text.starts_with("file:") => {
            Err("files of this machine cannot be named from outside")
        }
        Value::String(text) => match text.strip_prefix("env:") {
            Some(variable) if !may(variable) => Err(
                "with an address of its own it may name the variables in `control.topology.secrets` only",
            ),
            _ => Ok(()),
        },
        Value::Array(items) => items.iter().try_for_each(|item| text_reaches_in(item, may)),
        Value::Object(entries) => {
            let mut values = entries.values();
            values.try_for_each(|value| text_reaches_in(value, may))
        }
        _ => Ok(()),
    }
}

fn read_providers(
    entries: Vec<Value>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Provider>, LayerError> {
    read("providers", entries, env, |cx, root| {
        providers::read(cx, root).providers
    })
}

fn read_routes(entries: Vec<Value>, names: &[At<String>]) -> Result<Vec<Route>, LayerError> {
    read("routes", entries, &|_| None, |cx, root| {
        routes::read(cx, root, names).routes
    })
}

/// Reads entries with the reader of the file.
fn read<T>(
    key: &'static str,
    entries: Vec<Value>,
    env: &dyn Fn(&str) -> Option<String>,
    reader: impl Fn(&Reading<'_>, &mut Table<'_>) -> Vec<T>,
) -> Result<Vec<T>, LayerError> {
    let text = inline::table(&[(key, &Value::Array(entries))]);
    let document = DeTable::parse(&text);
    // Numbers beyond what the file could hold, for one.
    let document = document.map_err(|error| LayerError(format!("{key}: {}", error.message())))?;
    let cx = Reading::new(env, std::path::PathBuf::new());
    let mut root = Table::root(document.get_ref());
    let read = reader(&cx, &mut root);
    let (found, _) = cx.into_parts();
    let errors = found
        .iter()
        .filter(|item| item.severity() == Severity::Error);
    let errors: Vec<&str> = errors.map(Diagnostic::message).take(TOLD).collect();
    if errors.is_empty() {
        return Ok(read);
    }
    Err(LayerError(format!("{key}: {}", errors.join("; "))))
}
