//! The roster: each provider is a row of data over a dialect.
//!
//! Stub of the public face; the rows follow.

/// One provider: a service, as a row.
#[derive(Debug)]
pub struct Provider {
    /// Canonical kind, as written in `kind = "…"`.
    pub name: &'static str,
    /// Other spellings of the kind that configs may use.
    pub aliases: &'static [&'static str],
    /// Where the service lives; `None` where the operator must give an `endpoint`.
    pub base_url: Option<&'static str>,
    /// The environment variable its own SDK reads the credential from.
    pub credential_env: Option<&'static str>,
}

/// The provider that a config's `kind` names, by its name or an alias.
pub fn find(kind: &str) -> Option<&'static Provider> {
    ROSTER
        .iter()
        .find(|p| p.name == kind || p.aliases.contains(&kind))
}

/// Every known kind, names first, then aliases.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let aliases = ROSTER.iter().flat_map(|p| p.aliases.iter().copied());
    ROSTER.iter().map(|p| p.name).chain(aliases)
}

static ROSTER: &[Provider] = &[
    Provider { name: "openai", aliases: &[], base_url: Some("https://api.openai.com/v1"), credential_env: Some("OPENAI_API_KEY") },
    Provider { name: "anthropic", aliases: &["claude"], base_url: Some("https://api.anthropic.com"), credential_env: Some("ANTHROPIC_API_KEY") },
    Provider { name: "azure-openai", aliases: &["azure"], base_url: None, credential_env: Some("AZURE_OPENAI_API_KEY") },
    Provider { name: "openai-compatible", aliases: &[], base_url: None, credential_env: None },
    Provider { name: "echo", aliases: &["mock"], base_url: None, credential_env: None },
];
