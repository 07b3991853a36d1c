//! `[[providers]]`: the services that can be called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diagnose::Diagnostic;
use crate::nearest;
use crate::read::{At, Reading, Table, Unique};
use crate::{Proxy, Secret, Settings, TimeoutOverrides, proxy, secrets, settings, timeouts, url};

/// One `[[providers]]` table.
#[derive(Debug)]
pub struct Provider {
    /// The name that targets use; unique.
    pub name: String,
    /// The roster's row for its `kind`.
    pub row: &'static llmleaf_providers::Provider,
    /// Base URL, without a trailing slash, where it is not the row's own.
    pub endpoint: Option<String>,
    /// What to send as credential.
    pub credential: Option<Secret>,
    /// Models named `<prefix>/<model>` go here without a route.
    pub prefix: Option<String>,
    /// Details of this provider.
    pub settings: Settings,
    /// Local limits on all its models together.
    pub limits: Limits,
    /// Local limits by upstream model, on top of [`Self::limits`].
    pub model_limits: BTreeMap<String, Limits>,
    /// Clocks that differ from the server's.
    pub timeouts: TimeoutOverrides,
    /// PEM file with the authorities that sign this endpoint, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// What proves to the endpoint who is calling.
    pub client_certificate: Option<ClientCertificate>,
    /// The way to the endpoint leads through this. Only the file decides: no environment variable does.
    pub proxy: Option<Proxy>,
}

/// PEM files of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

impl Provider {
    /// The base URL to call: the configured one, else the row's.
    pub fn base_url(&self) -> Option<&str> {
        self.endpoint.as_deref().or(self.row.base_url)
    }
}

/// A `limits` table; absent means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests_per_min: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_min: Option<u64>,
    /// Requests running at the same time.
    pub max_concurrent: Option<u64>,
}

/// What reading `[[providers]]` yields beside the values.
pub(crate) struct ProvidersRead {
    pub providers: Vec<Provider>,
    /// Every name that was written, also of tables with other mistakes, so that targets which name them are
    /// not reported as well.
    pub names: Vec<At<String>>,
}

/// Reads every `[[providers]]` table.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> ProvidersRead {
    let mut names = Unique::new("provider");
    let mut prefixes = Unique::new("prefix");
    let mut out = ProvidersRead {
        providers: Vec::new(),
        names: Vec::new(),
    };
    for mut table in root.tables(cx, "providers") {
        let name = table.required(cx, "name", "any name; targets refer to it");
        let fresh = name.as_ref().is_none_or(|name| names.check(cx, name));
        let provider = one(cx, &mut table, name.clone(), &mut prefixes);
        table.finish(cx);
        if fresh {
            out.names.extend(name);
            out.providers.extend(provider);
        }
    }
    out
}

fn one(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    name: Option<At<String>>,
    prefixes: &mut Unique,
) -> Option<Provider> {
    let row = kind(cx, table);
    let endpoint = endpoint(cx, table, row);
    let credential = secrets::read(cx, table, "credential");
    let prefix = prefix(cx, table, prefixes);
    let settings = settings::read(cx, table);
    let limits = table.table(cx, "limits").map(|t| limits(cx, t));
    let model_limits = model_limits(cx, table);
    let timeouts = timeouts::read(cx, table);
    let ca_file = table.string(cx, "ca_file");
    let client_certificate = client_certificate(cx, table);
    let proxy = proxy::read(cx, table);
    Some(Provider {
        name: name?.value,
        row: row?,
        endpoint,
        credential: credential.map(|s| s.value),
        prefix,
        settings,
        limits: limits.unwrap_or_default(),
        model_limits,
        timeouts,
        ca_file: ca_file.map(|at| cx.file(&at.value)),
        client_certificate,
        proxy,
    })
}

fn client_certificate(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<ClientCertificate> {
    let mut table = table.table(cx, "client_certificate")?;
    let help = "`client_certificate` takes two PEM files: `{ cert = \"…\", key = \"…\" }`";
    let cert = table.required(cx, "cert", help);
    let key = table.required(cx, "key", help);
    table.finish(cx);
    Some(ClientCertificate {
        cert: cx.file(&cert?.value),
        key: cx.file(&key?.value),
    })
}

fn kind(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<&'static llmleaf_providers::Provider> {
    let help = "`llmleaf providers` lists the kinds; `openai-compatible` serves any other";
    let at = table.required(cx, "kind", help)?;
    let row = llmleaf_providers::find(&at.value);
    if row.is_none() {
        let message = format!("unknown kind `{}`", at.value);
        let near = nearest::nearest(&at.value, llmleaf_providers::kinds());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => help.to_owned(),
        };
        cx.report(Diagnostic::error(&at.place, message, "no such kind").help(help));
    }
    row
}

fn endpoint(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    row: Option<&'static llmleaf_providers::Provider>,
) -> Option<String> {
    if let Some(at) = table.string(cx, "endpoint") {
        return url::base(cx, "endpoint", &at);
    }
    if let Some(row) = row
        && row.base_url.is_none()
        && !row.is_local()
        && !table.has("endpoint")
    {
        let help = format!(
            "kind `{}` has no address of its own: `endpoint = \"https://…\"`",
            row.name
        );
        table.missing(cx, "endpoint", help);
    }
    None
}

fn prefix(cx: &Reading<'_>, table: &mut Table<'_>, prefixes: &mut Unique) -> Option<String> {
    let at = table.string(cx, "prefix")?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '*';
    if at.value.starts_with('/') || at.value.ends_with('/') || at.value.contains(bad) {
        let message = format!("`{}` cannot be a prefix", at.value);
        cx.report(
            Diagnostic::error(&at.place, message, "slash at an end, space or `*`")
                .help("with `prefix = \"x\"`, the model `x/some-model` goes to this provider"),
        );
        return None;
    }
    prefixes.check(cx, &at).then_some(at.value)
}

fn limits(cx: &Reading<'_>, mut table: Table<'_>) -> Limits {
    const MOST: u64 = 1_000_000_000_000;
    let limits = Limits {
        requests_per_min: table.whole(cx, "requests_per_min", 1..=MOST),
        tokens_per_min: table.whole(cx, "tokens_per_min", 1..=MOST),
        max_concurrent: table.whole(cx, "max_concurrent", 1..=1_000_000),
    };
    table.finish(cx);
    limits
}

fn model_limits(cx: &Reading<'_>, table: &mut Table<'_>) -> BTreeMap<String, Limits> {
    let Some(by_model) = table.table(cx, "model_limits") else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for model in by_model.free_keys() {
        if let Some(table) = by_model.free_table(cx, &model) {
            all.insert(model.value.to_owned(), limits(cx, table));
        }
    }
    all
}

/// Says which providers nothing can reach.
pub(crate) fn report_idle(cx: &Reading<'_>, read: &ProvidersRead, targeted: &[&str]) {
    for provider in &read.providers {
        let reached = provider.prefix.is_some() || targeted.contains(&provider.name.as_str());
        let place = read.names.iter().find(|at| at.value == provider.name);
        if let (false, Some(At { place, .. })) = (reached, place) {
            let message = format!("nothing leads to provider `{}`", provider.name);
            cx.report(
                Diagnostic::warning(place, message, "no target, no prefix")
                    .help("name it in a route's `targets`, or give it a `prefix`"),
            );
        }
    }
}
