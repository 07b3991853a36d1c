//! What proves to a provider who is calling: a text, or what tokens are minted from.
//!
//! Key files are read here, so that one that will not do is told with the file, the line and the reason, and before anything is served.
//! No token is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use llmleaf_mint::{Grant, Hidden, Source, key_file};
use llmleaf_providers::{ClientGrant, KeyFiles, Mints};

use crate::diagnose::{Diagnostic, Place};
use crate::read::{At, Reading, Table};
use crate::{Secret, secrets, url};

/// A provider's credential.
#[derive(Clone, Debug)]
pub enum Credential {
    /// As the kind attaches it.
    Plain(Arc<Secret>),
    /// In this header, whatever the kind does with others.
    InHeader(&'static str, Arc<Secret>),
    /// A token that does not last.
    Minted(Arc<Source>),
}

impl Credential {
    /// Bytes that stand for it, so that two can be compared. They are as secret as it is.
    pub fn identity(&self) -> Vec<u8> {
        match self {
            Self::Plain(secret) | Self::InHeader(_, secret) => secret.expose().as_bytes().to_vec(),
            Self::Minted(source) => source.mark().to_vec(),
        }
    }
}

/// The credentials of one provider, and the project that they belong to.
pub(crate) struct Credentials {
    pub all: Vec<Credential>,
    pub project: Option<String>,
}

/// What is known of the provider when its credentials are read.
pub(crate) struct Surroundings<'a> {
    pub row: &'static llmleaf_providers::Provider,
    /// Where to point for what is not written anywhere.
    pub place: &'a Place,
    /// The project that the file names.
    pub project: Option<&'a str>,
    /// The endpoint leads into a project.
    pub placed: bool,
}

/// Words in place of a credential: whatever the machine has, and its own account.
const DEFAULT: &str = "adc";
const MACHINE: &str = "metadata";

/// `credential`, behind it those of `credentials`, and behind them those of `entra`. One that is given twice would be tried twice.
pub(crate) fn read(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    around: &Surroundings<'_>,
) -> Credentials {
    let many = secrets::raw_list(cx, table, "credentials");
    let written = secrets::raw(cx, table, "credential")
        .into_iter()
        .chain(many);
    let mut out = Found {
        cx,
        around,
        all: Vec::new(),
        projects: Vec::new(),
    };
    for text in written {
        out.text(text);
    }
    for grant in table.table_or_tables(cx, "entra") {
        out.client(grant);
    }
    if let (Mints::KeyFiles(files), true) = (around.row.mints, out.all.is_empty())
        && !table.has("credential")
        && !table.has("credentials")
    {
        out.default(files, around.place);
    }
    out.done()
}

/// Looks at what cannot be used because the kind is unknown: its secrets are secrets all the same.
pub(crate) fn pass(cx: &Reading<'_>, table: &mut Table<'_>) {
    let many = secrets::raw_list(cx, table, "credentials");
    let all = secrets::raw(cx, table, "credential")
        .into_iter()
        .chain(many);
    // A key file has several lines, if the kind takes one.
    for text in all.filter(|text| !text.value.trim_start().starts_with('{')) {
        secrets::one_line(cx, text);
    }
    for mut grant in table.table_or_tables(cx, "entra") {
        secrets::raw(cx, &mut grant, "client_secret");
    }
}

struct Found<'a, 'c> {
    cx: &'a Reading<'c>,
    around: &'a Surroundings<'a>,
    all: Vec<(Credential, Place)>,
    projects: Vec<(String, Place)>,
}

impl Found<'_, '_> {
    fn add(&mut self, credential: Credential, place: &Place) {
        let identity = credential.identity();
        let known = self
            .all
            .iter()
            .find(|(known, _)| known.identity() == identity);
        if let Some((_, known)) = known {
            self.cx.report(
                Diagnostic::warning(place, "this credential is already there", "again")
                    .related(known, "first time"),
            );
            return;
        }
        self.all.push((credential, place.clone()));
    }

    /// A credential as it is written, or a key file's text.
    fn text(&mut self, text: secrets::Raw) {
        let Mints::KeyFiles(files) = self.around.row.mints else {
            if let Some(secret) = secrets::one_line(self.cx, text) {
                self.add(Credential::Plain(Arc::new(secret.value)), &secret.place);
            }
            return;
        };
        let place = text.place.clone();
        match text.value.trim() {
            DEFAULT => self.default(files, &place),
            MACHINE => self.ambient(files, &place),
            json if json.starts_with('{') => {
                let what = format!("the key file for `{}`", text.key);
                self.key_file(json, files, &place, &what);
            }
            path if text.is_literal && path.ends_with(".json") => {
                let message = format!("`{}` is the name of a file", text.key);
                self.cx.report(
                    Diagnostic::error(&place, message, "would be sent as it stands")
                        .help(format!("write `{} = \"file:{path}\"`", text.key)),
                );
            }
            _ => {
                if let Some(secret) = secrets::one_line(self.cx, text) {
                    let credential = self.sorted(files, secret.value);
                    self.add(credential, &secret.place);
                }
            }
        }
    }

    /// A key or a token, by how it begins; else a token where there is a project, and a key where there is none, because a key
    /// is all that works without.
    fn sorted(&self, files: KeyFiles, secret: Secret) -> Credential {
        let begins = |all: &[&str]| all.iter().any(|begin| secret.expose().starts_with(begin));
        let has_project = self.around.project.is_some() || self.around.placed;
        let token = begins(files.tokens_begin) || (has_project && !begins(files.keys_begin));
        match token {
            true => Credential::Plain(Arc::new(secret)),
            false => Credential::InHeader(files.key_header, Arc::new(secret)),
        }
    }

    fn key_file(&mut self, json: &str, files: KeyFiles, place: &Place, what: &str) {
        match key_file::read(json, files.token_url, files.scope) {
            Ok(file) => {
                self.projects
                    .extend(file.project.map(|p| (p, place.clone())));
                let at = At {
                    value: file.source.url().to_owned(),
                    place: place.clone(),
                };
                if url::plain(self.cx, "token_uri", &at).is_some() {
                    self.add(Credential::Minted(Arc::new(file.source)), place);
                }
            }
            Err(error) => {
                let message = format!("cannot use {what}: {error}");
                self.cx.report(Diagnostic::error(
                    place,
                    message,
                    "no key file that can be used",
                ));
            }
        }
    }

    /// What the cloud's own programs would take: the file that a variable names, else the one that its tool left, else the machine's
    /// account.
    fn default(&mut self, files: KeyFiles, place: &Place) {
        let cx = self.cx;
        let set = |name: &str| (cx.env)(name).filter(|value| !value.trim().is_empty());
        let (folder_env, below_home, name) = files.left_by_tool;
        let folder = set(folder_env).map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(below_home)));
        let (path, what) = match (set(files.file_env), folder) {
            (Some(path), _) => {
                let what = format!("the key file that `{}` names", files.file_env);
                (PathBuf::from(path), what)
            }
            (None, Some(folder)) if folder.join(name).is_file() => (
                folder.join(name),
                "the key file that the cloud's tool left".to_owned(),
            ),
            _ => {
                let message =
                    "no key file was found, so the machine's own account is asked for tokens";
                cx.report(Diagnostic::warning(place, message, "").help(format!(
                    "set `{}`, or say `credential = \"{MACHINE}\"` if that is meant",
                    files.file_env
                )));
                return self.ambient(files, place);
            }
        };
        cx.depends_on(&path);
        match secrets::read_bounded(&path) {
            Ok(text) => self.key_file(&text, files, place, &what),
            Err(why) => {
                let message = format!("cannot read {what}: {why}");
                let label = format!("looked at `{}`", path.display());
                cx.report(Diagnostic::error(place, message, label));
            }
        }
    }

    fn ambient(&mut self, files: KeyFiles, place: &Place) {
        let ambient = files.ambient;
        let host = (self.cx.env)(ambient.host_env).filter(|host| !host.trim().is_empty());
        let host = host.as_deref().unwrap_or(ambient.host);
        let (name, value) = ambient.header;
        let header = (
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        );
        let url = format!("http://{}{}", host.trim(), ambient.path);
        let source = Source::new(url, Grant::Ambient { header });
        self.add(Credential::Minted(Arc::new(source)), place);
    }

    /// An application's own id and secret.
    fn client(&mut self, mut table: Table<'_>) {
        let cx = self.cx;
        let Mints::ClientGrant(grant) = self.around.row.mints else {
            secrets::raw(cx, &mut table, "client_secret");
            let message = format!("kind `{}` takes no `entra`", self.around.row.name);
            cx.report(Diagnostic::error(
                table.place(),
                message,
                "not for this kind",
            ));
            return;
        };
        let place = table.place().clone();
        let source = client(cx, &mut table, grant);
        table.finish(cx);
        if let Some(source) = source {
            self.add(Credential::Minted(Arc::new(source)), &place);
        }
    }

    fn done(self) -> Credentials {
        if let Some(((first, _), (other, place))) = self.projects.first().zip(
            self.projects
                .iter()
                .find(|(project, _)| Some(project) != self.projects.first().map(|p| &p.0)),
        ) && self.around.project.is_none()
        {
            let message = format!("the keys belong to different projects, `{first}` and `{other}`");
            self.cx.report(
                Diagnostic::error(place, message, "another project").help(
                    "say which: `settings = { project = \"…\" }`; or make a provider of each",
                ),
            );
        }
        Credentials {
            project: self.projects.into_iter().next().map(|(project, _)| project),
            all: self
                .all
                .into_iter()
                .map(|(credential, _)| credential)
                .collect(),
        }
    }
}

fn client(cx: &Reading<'_>, table: &mut Table<'_>, grant: ClientGrant) -> Option<Source> {
    let help = "`entra = { tenant = \"…\", client_id = \"…\", client_secret = \"env:…\" }`";
    let tenant = table.required(cx, "tenant", help);
    let client_id = table.required(cx, "client_id", help);
    let client_secret = secrets::read(cx, table, "client_secret");
    if client_secret.is_none() && !table.has("client_secret") {
        table.missing(cx, "client_secret", help);
    }
    let authority = match table.string(cx, "authority") {
        Some(at) => url::plain(cx, "authority", &at)?,
        None => grant.authority.to_owned(),
    };
    let scope = table.string(cx, "scope").map(|at| at.value);
    let tenant = tenant?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !tenant.value.chars().all(fits) || tenant.value.is_empty() {
        let message = "`tenant` is an id or a domain";
        cx.report(Diagnostic::error(
            &tenant.place,
            message,
            "becomes part of a URL",
        ));
        return None;
    }
    let url = format!("{authority}{}", grant.path.replace("{}", &tenant.value));
    let grant = Grant::Client {
        client_id: client_id?.value,
        client_secret: Hidden::new(client_secret?.value.expose().to_owned()),
        scope: scope.unwrap_or_else(|| grant.scope.to_owned()),
    };
    Some(Source::new(url, grant))
}
