//! `[[providers]]`: the services that can be called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use llmleaf_providers::Mints;

use crate::credentials::{self, Credentials, Surroundings};
use crate::diagnose::{Diagnostic, Place};
use crate::limits::{self, Limits};
use crate::nearest;
use crate::read::{At, Reading, Table, Unique};
use crate::{Credential, Proxy, Settings, TimeoutOverrides, proxy, settings, timeouts, url};

/// One `[[providers]]` table.
#[derive(Debug)]
pub struct Provider {
    /// The name that targets use; unique.
    pub name: String,
    /// The roster's row for its `kind`.
    pub row: &'static llmleaf_providers::Provider,
    /// Base URL, without a trailing slash, where it is not the row's own.
    pub endpoint: Option<String>,
    /// What to send as credential: the first, and the others in its place when it is refused or limited.
    pub credentials: Vec<Credential>,
    /// Spread requests over the credentials. Else the first serves until it is held back.
    pub spread_credentials: bool,
    /// Models named `<prefix>/<model>` go here without a route.
    pub prefix: Option<String>,
    /// Details of this provider.
    pub settings: Settings,
    /// Local limits on all its models together.
    pub limits: Limits,
    /// Local limits by upstream model, on top of [`Self::limits`].
    pub model_limits: BTreeMap<String, Limits>,
    /// Whether failures hold it back. Default true; else every request is sent, whatever came of those before it.
    pub health: bool,
    /// What becomes of an upstream call when its consumer goes away.
    pub on_cancel: OnCancel,
    /// What the service does with what it is sent, as far as the operator knows.
    pub data: DataPolicy,
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

/// What becomes of an upstream call when its consumer goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// Its connection is closed.
    #[default]
    Close,
    /// It is read to its end, within bounds, so that its usage is known: for services that bill for all of it anyway.
    Drain,
}

/// What a service does with what it is sent; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataPolicy {
    /// It may keep prompts, to train on or otherwise.
    pub collects: Option<bool>,
    /// It retains nothing.
    pub zero_retention: Option<bool>,
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
    let spread_credentials = table.boolean(cx, "spread_credentials");
    let prefix = prefix(cx, table, prefixes);
    let settings = settings::read(cx, table);
    let table_place = table.place().clone();
    let (credentials, endpoint) = match row {
        Some(row) => {
            let around = Surroundings {
                row,
                place: name.as_ref().map_or(&table_place, |name| &name.place),
                project: settings.project.as_deref(),
                placed: is_placed(endpoint.as_deref()),
            };
            let found = credentials::read(cx, table, &around);
            let endpoint = place(cx, table, row, endpoint, &settings, &found);
            (found.all, endpoint)
        }
        None => {
            credentials::pass(cx, table);
            (Vec::new(), endpoint)
        }
    };
    let limits = limits::read(cx, table);
    let health = table.boolean(cx, "health");
    let on_cancel = table.choice(cx, "on_cancel", ON_CANCEL);
    let data = DataPolicy {
        collects: table.choice(cx, "data_collection", DATA_COLLECTION),
        zero_retention: table.boolean(cx, "zdr"),
    };
    let model_limits = model_limits(cx, table);
    let timeouts = timeouts::read(cx, table);
    let ca_file = table.string(cx, "ca_file");
    let client_certificate = client_certificate(cx, table);
    let proxy = proxy::read(cx, table);
    let row = row?;
    check_publisher(cx, &table_place, row, &settings);
    // What plays errors on demand is as well as ever after each of them.
    let health = health.unwrap_or(row.name != "echo");
    Some(Provider {
        name: name?.value,
        row,
        endpoint,
        credentials,
        spread_credentials: spread_credentials.unwrap_or_default(),
        prefix,
        settings,
        limits,
        model_limits,
        health,
        on_cancel: on_cancel.unwrap_or_default(),
        data,
        timeouts,
        ca_file: ca_file.map(|at| cx.file(&at.value)),
        client_certificate,
        proxy,
    })
}

/// What proves who is calling, where an endpoint asks for a certificate.
pub(crate) fn client_certificate(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
) -> Option<ClientCertificate> {
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

/// The words of `on_cancel`.
const ON_CANCEL: &[(&str, OnCancel)] = &[("close", OnCancel::Close), ("drain", OnCancel::Drain)];

/// The words of `data_collection`.
const DATA_COLLECTION: &[(&str, bool)] = &[("allow", true), ("deny", false)];

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
        && row.place.is_none()
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

/// A publisher that a service does not know leads nowhere.
fn check_publisher(
    cx: &Reading<'_>,
    place: &Place,
    row: &'static llmleaf_providers::Provider,
    settings: &Settings,
) {
    let Some(publisher) = settings.publisher.as_deref() else {
        return;
    };
    let makers = row.speaks.makers.iter().map(|maker| maker.name);
    let all: Vec<&str> = row.speaks.own_maker.into_iter().chain(makers).collect();
    if all.contains(&publisher) {
        return;
    }
    let message = format!("kind `{}` has no publisher `{publisher}`", row.name);
    let help = match all.is_empty() {
        true => "the setting is for kinds that keep publishers apart".to_owned(),
        false => format!("known: {}", all.join(", ")),
    };
    cx.report(Diagnostic::error(place, message, "no such publisher").help(help));
}

/// Whether an endpoint leads into a project.
fn is_placed(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|endpoint| endpoint.contains("/projects/"))
}

/// The address of a service that has one for each project: by the setting, by a variable, by what the keys say. Only where all
/// credentials are keys, which say it to the service, none is needed.
fn place(
    cx: &Reading<'_>,
    table: &Table<'_>,
    row: &'static llmleaf_providers::Provider,
    endpoint: Option<String>,
    settings: &Settings,
    found: &Credentials,
) -> Option<String> {
    let (Some(place), Mints::KeyFiles(files)) = (row.place, row.mints) else {
        return endpoint;
    };
    let keys = |credential: &Credential| matches!(credential, Credential::InHeader(..));
    let keys_alone = !found.all.is_empty() && found.all.iter().all(keys);
    let mut project = settings.project.clone();
    if project.is_none() && !keys_alone {
        let set = |name: &&str| (cx.env)(name).filter(|project| !project.trim().is_empty());
        let named = files.project_env.iter().find_map(set);
        project = named.or_else(|| found.project.clone());
        // What was said to be wrong with the credentials may be why there is none.
        if project.is_none() && !is_placed(endpoint.as_deref()) && !found.all.is_empty() {
            let help = format!(
                "`settings = {{ project = \"…\" }}`, or `{}` in the environment",
                files.project_env.first().unwrap_or(&"")
            );
            table.missing(cx, "settings.project", help);
        }
    }
    let (location, version) = (
        settings.location.as_deref(),
        settings.api_version.as_deref(),
    );
    Some(place.base(endpoint.as_deref(), project.as_deref(), location, version))
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

fn model_limits(cx: &Reading<'_>, table: &mut Table<'_>) -> BTreeMap<String, Limits> {
    let Some(by_model) = table.table(cx, "model_limits") else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for model in by_model.free_keys() {
        if let Some(table) = by_model.free_table(cx, &model) {
            all.insert(model.value.to_owned(), limits::of(cx, table));
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
