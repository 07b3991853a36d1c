//! `llmleaf check [--route MODEL] [CONFIG]`: what is wrong with a file, else where each route leads, or all about one.

use std::fmt::Write;
use std::path::PathBuf;

use llmleaf_config::Config;

use super::{Exit, load, plan, refuse};
use crate::{dev, out};

pub(crate) fn run(path: Option<PathBuf>, route: Option<&str>) -> Exit {
    let config = match load(path.as_ref()) {
        Ok(config) => config,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    if !config.warnings.is_empty() {
        out::error(&config.warnings.render(out::colour()));
    }
    if let Some(model) = route {
        return plan::print(&config, model);
    }
    let name = path.map_or(dev::NAME.to_owned(), |path| path.display().to_string());
    match ways(&config) {
        Ok(ways) => out::print(&report(&name, &config, &ways)),
        Err(error) => {
            out::error(&format!("{name}: {error}\n"));
            Exit::Usage
        }
    }
}

/// One way that a request can take.
struct Way {
    route: String,
    provider: String,
    url: String,
}

/// Each target of each route with the URL of a chat request, then each prefix with its base URL.
fn ways(config: &Config) -> Result<Vec<Way>, llmleaf_server::BuildError> {
    let mut ways: Vec<Way> = llmleaf_server::check_urls(config)?
        .into_iter()
        .map(|(route, provider, url)| Way {
            url: if url.is_empty() {
                NO_URL.to_owned()
            } else {
                url
            },
            route,
            provider,
        })
        .collect();
    for provider in &config.providers {
        if let Some(prefix) = &provider.prefix {
            ways.push(Way {
                route: format!("{prefix}/…"),
                provider: provider.name.clone(),
                url: provider.base_url().unwrap_or(NO_URL).to_owned(),
            });
        }
    }
    Ok(ways)
}

/// Shown for a provider that makes its answers itself.
const NO_URL: &str = "(answers by itself)";

fn report(name: &str, config: &Config, ways: &[Way]) -> String {
    let width = |text: fn(&Way) -> &str| {
        let longest = ways.iter().map(|way| text(way).chars().count()).max();
        longest.unwrap_or(0)
    };
    let (route, provider) = (width(|w| &w.route), width(|w| &w.provider));
    let mut text = format!(
        "{name}: ok ({}, {}, {}), listens on {}\n",
        count(config.providers.len(), "provider"),
        count(config.routes.len(), "route"),
        count(config.keys.len(), "key"),
        config.server.listen,
    );
    let mut before = None;
    for way in ways {
        // A route is named once; its further targets stand below it.
        let again = before == Some(&way.route);
        let shown = if again { "" } else { way.route.as_str() };
        let _ = writeln!(
            text,
            "  {shown:route$}  {:provider$}  {}",
            way.provider, way.url
        );
        before = Some(&way.route);
    }
    text
}

fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_each_way() {
        let toml = r#"
            [[providers]]
            name = "first"
            kind = "openai"
            prefix = "oa"
            [[providers]]
            name = "second"
            kind = "openai-compatible"
            endpoint = "https://second.example/v1/"
            [[routes]]
            model = "m"
            targets = [{ provider = "first" }, { provider = "second", model = "n" }]
            [[keys]]
            id = "k"
            pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
        "#;
        let config = Config::parse(toml, "x.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
        let ways = ways(&config).expect("servable");
        let text = report("x.toml", &config, &ways);
        let lines: Vec<&str> = text.lines().collect();
        let [head, first, second, prefix] = lines.as_slice() else {
            panic!("{text}");
        };
        assert_eq!(
            *head,
            "x.toml: ok (2 providers, 1 route, 1 key), listens on 127.0.0.1:8080"
        );
        assert!(
            first.starts_with("  m     first   https://api.openai.com"),
            "{text}"
        );
        assert!(first.ends_with("/v1/chat/completions"), "{text}");
        assert!(
            second.starts_with("        second  https://second.example"),
            "{text}"
        );
        assert_eq!(*prefix, "  oa/…  first   https://api.openai.com/v1");
    }
}
