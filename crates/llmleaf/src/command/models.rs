//! `llmleaf models [--json] [CONFIG]`: the model names that a configuration offers.

use std::path::PathBuf;

use llmleaf_config::Config;
use serde_json::json;

use super::{Exit, load, refuse};
use crate::out;

pub(crate) fn run(path: Option<PathBuf>, as_json: bool) -> Exit {
    match load(path.as_ref()) {
        Ok(config) if as_json => out::print(&format!("{:#}\n", to_json(&config))),
        Ok(config) => out::print(&to_text(&config)),
        Err(diagnostics) => refuse(&diagnostics),
    }
}

fn to_json(config: &Config) -> serde_json::Value {
    let routes: Vec<_> = (config.routes.iter())
        .map(|route| {
            let targets: Vec<_> = (route.targets.iter())
                .map(|t| json!({ "provider": t.provider, "model": t.model }))
                .collect();
            json!({ "model": route.model, "targets": targets })
        })
        .collect();
    let prefixes: Vec<_> = (config.providers.iter())
        .filter_map(|p| Some(json!({ "prefix": p.prefix.as_ref()?, "provider": p.name })))
        .collect();
    json!({ "routes": routes, "prefixes": prefixes })
}

fn to_text(config: &Config) -> String {
    let mut lines = Vec::new();
    for route in &config.routes {
        let targets: Vec<String> = (route.targets.iter())
            .map(|t| match &t.model {
                Some(model) => format!("{}: {model}", t.provider),
                None => t.provider.clone(),
            })
            .collect();
        lines.push((route.model.clone(), targets.join(", ")));
    }
    for provider in &config.providers {
        if let Some(prefix) = &provider.prefix {
            lines.push((format!("{prefix}/*"), format!("{}: *", provider.name)));
        }
    }
    let longest = lines.iter().map(|(model, _)| model.chars().count()).max();
    let width = longest.unwrap_or(0);
    (lines.iter())
        .map(|(model, to)| format!("{model:width$}  {to}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let toml = r#"
            [[providers]]
            name = "a"
            kind = "openai"
            prefix = "oa"
            [[routes]]
            model = "fast"
            targets = [{ provider = "a", model = "tiny" }]
        "#;
        Config::parse(toml, "x.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"))
    }

    #[test]
    fn text_names_routes_and_prefixes() {
        assert_eq!(to_text(&config()), "fast  a: tiny\noa/*  a: *\n");
    }

    #[test]
    fn json_holds_the_same() {
        let expected = json!({
            "routes": [{ "model": "fast", "targets": [{ "provider": "a", "model": "tiny" }] }],
            "prefixes": [{ "prefix": "oa", "provider": "a" }],
        });
        assert_eq!(to_json(&config()), expected);
    }
}
