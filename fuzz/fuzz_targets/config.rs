//! Any text as a configuration: it is read, or every mistake in it is shown at a place that exists, without a secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llmleaf_config::{Config, Diagnostics};

fuzz_target!(|text: &str| {
    // The targets are fuzzed without a file system: `file:` secrets would be read from it.
    if text.contains("file:") {
        return;
    }
    // Settings from the environment are not secrets; what a file names as `env:` may be.
    let setting = |name: &str| name == "PORT" || name.starts_with("LLMLEAF_");
    let named = |name: &str| !setting(name) && text.contains(&format!("env:{name}"));
    let env = |name: &str| named(name).then(|| format!("sesame-{name}"));
    match Config::parse(text, "llmleaf.toml", &env) {
        Ok(config) => {
            shown(&config.warnings, text);
            for provider in &config.providers {
                assert!(config.provider(&provider.name).is_some());
                config.timeouts(None, provider);
            }
            for route in &config.routes {
                for target in &route.targets {
                    assert!(config.provider(&target.provider).is_some(), "{target:?}");
                }
                config.loss_policy(Some(route));
            }
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            shown(&diagnostics, text);
        }
    }
});

fn shown(diagnostics: &Diagnostics, text: &str) {
    let lines = text.matches('\n').count() + 1;
    for diagnostic in diagnostics.iter() {
        assert!(!diagnostic.message().is_empty());
        assert!(
            diagnostics
                .line_of(diagnostic)
                .is_none_or(|line| line <= lines)
        );
    }
    for colour in [false, true] {
        let rendered = diagnostics.render(colour);
        assert!(diagnostics.is_empty() || !rendered.is_empty());
        assert!(
            !rendered.contains("sesame-"),
            "a secret is shown: {rendered}"
        );
    }
}
