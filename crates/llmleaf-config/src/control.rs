//! `[control]`: the controller that this node pulls from and pushes to.

use std::path::PathBuf;
use std::time::Duration;

use crate::diagnose::{Diagnostic, Place};
use crate::nearest;
use crate::read::{At, Reading, Table, Unique, pick};
use crate::{ClientCertificate, Secret, providers, secrets, url};

/// The `[control]` table; each capability stands alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// What this node is called there. Default: a name of chance, another one with every start.
    pub node: Option<String>,
    /// Credentials that the capabilities refer to by id.
    pub auth: Vec<ControlAuth>,
    /// Pulls the roster of keys.
    pub identity: Option<Identity>,
    /// Pulls verdicts on keys.
    pub limits: Option<LimitsPull>,
    /// Pulls further providers and routes.
    pub topology: Option<Topology>,
    /// Asks for slices of budgets.
    pub leases: Option<Leases>,
    /// Pushes usage.
    pub usage: Option<UsagePush>,
    /// Asks about requests and answers before they go on.
    pub intercept: Option<Intercept>,
}

/// One `[[control.auth]]` table.
#[derive(Debug, PartialEq, Eq)]
pub struct ControlAuth {
    /// The id that capabilities use.
    pub id: String,
    /// What to send.
    pub credential: ControlCredential,
}

/// How a call to the controller proves itself.
#[derive(Debug, PartialEq, Eq)]
pub enum ControlCredential {
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// One header of any name.
    Header {
        /// Lower-case header name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// Where and how a capability calls.
#[derive(Debug, PartialEq, Eq)]
pub struct ControlCall {
    /// Endpoint.
    pub url: String,
    /// Credential, own or by `auth`.
    pub credential: Option<ControlCredential>,
    /// How long one call may take.
    pub timeout: Duration,
    /// PEM file with the authorities that sign this endpoint, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// What proves to the endpoint who is calling, beside the credential.
    pub client_certificate: Option<ClientCertificate>,
}

/// Which keys of the file count beside those of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKeys {
    /// All of them, whatever the controller says of keys of the same id or name.
    Keep,
    /// None, from the first roster of the controller on.
    Replace,
}

/// What a failed call means for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Let them through.
    Allow,
    /// Refuse them.
    Deny,
}

/// `[control.identity]`
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// How often. Default 30 s.
    pub refresh: Duration,
    /// Default keep.
    pub file_keys: FileKeys,
    /// A roster smaller by more than this is believed when it is said twice. Default 50; 100 is never.
    pub max_shrink_percent: u8,
    /// How long a roster counts without being confirmed. Default for ever.
    pub max_stale: Option<Duration>,
}

/// `[control.limits]`
#[derive(Debug, PartialEq, Eq)]
pub struct LimitsPull {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// How often. Default 5 s.
    pub refresh: Duration,
    /// What requests may do while no verdicts were ever had. Default allow.
    pub on_error: OnError,
    /// What becomes of answers that run when their caller is blocked. Default finish.
    pub on_block: OnBlock,
}

/// What becomes of answers that run when their caller may call no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBlock {
    /// They go on to their end.
    #[default]
    Finish,
    /// They end with an error.
    Cut,
}

/// By its name.
const ON_BLOCK: &[(&str, OnBlock)] = &[("finish", OnBlock::Finish), ("cut", OnBlock::Cut)];

/// `[control.topology]`
#[derive(Debug, PartialEq, Eq)]
pub struct Topology {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// How often. Default 30 s.
    pub refresh: Duration,
    /// A topology smaller by more than this is believed when it is said twice. Default 50; 100 is never.
    pub max_shrink_percent: u8,
    /// Environment variables that pulled providers with an address of their own may name.
    pub secrets: Vec<String>,
}

/// `[control.leases]`
#[derive(Debug, PartialEq, Eq)]
pub struct Leases {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// What requests of keys with a budget may do while nobody says what is left of it. Default deny.
    pub on_error: OnError,
}

/// `[control.usage]`
#[derive(Debug, PartialEq, Eq)]
pub struct UsagePush {
    /// Where and how; timeout default 5 s.
    pub call: ControlCall,
    /// Longest wait before a batch is sent. Default 1 s.
    pub batch_wait: Duration,
    /// Most events in a batch. Default 256.
    pub batch_max: usize,
    /// Whether it is told as well what happens to the node. Default true.
    pub lifecycle: bool,
}

/// `[control.intercept]`
#[derive(Debug, PartialEq, Eq)]
pub struct Intercept {
    /// Where and how; timeout default 1 s.
    pub call: ControlCall,
    /// When to ask; empty means never.
    pub phases: Vec<InterceptPhase>,
    /// Only for these keys, by display name; empty means all.
    pub keys: Vec<String>,
    /// Only for these models, exact or with `*`; empty means all.
    pub models: Vec<String>,
    /// What becomes of what nobody can be asked about. It has no default: who does not say it does not know what an outage means.
    pub on_error: OnError,
    /// Largest request or answer that is shown, and largest one that may take its place. Default 32 MiB.
    pub max_body_bytes: usize,
}

/// When an interceptor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterceptPhase {
    /// Before the request is sent upstream.
    Request,
    /// Before the answer is sent to the consumer.
    Response,
}

/// The words of `on_error`.
pub(crate) const ON_ERROR: &[(&str, OnError)] =
    &[("allow", OnError::Allow), ("deny", OnError::Deny)];

const FILE_KEYS: &[(&str, FileKeys)] = &[("keep", FileKeys::Keep), ("replace", FileKeys::Replace)];

const PHASES: &[(&str, InterceptPhase)] = &[
    ("request", InterceptPhase::Request),
    ("response", InterceptPhase::Response),
];

/// Longest length of a setting in seconds: a day.
const MAX_SECS: u64 = 24 * 3600;
/// Longest time without a word: a year.
const MAX_STALE_SECS: u64 = 365 * 24 * 3600;
/// Longest name of a node, in bytes.
const MAX_NODE_BYTES: usize = 64;
/// Longest time for one call, in milliseconds.
const MAX_CALL_MS: u64 = 600_000;
/// Largest request or answer that an interceptor is shown, where nothing else is said: as large as a request may be by default.
const SHOWN_BYTES: usize = 32 * 1024 * 1024;
/// The most that can be said, which is the largest answer that is taken of a provider.
const MAX_SHOWN_BYTES: u64 = 128 * 1024 * 1024;

/// Reads the `[control]` table.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> Option<Control> {
    let mut table = root.table(cx, "control")?;
    let auth = Auths::read(cx, &mut table);
    let node = table.string(cx, "node").and_then(|at| node_name(cx, at));
    let control = Control {
        node,
        identity: identity(cx, &mut table, &auth),
        limits: limits(cx, &mut table, &auth),
        topology: topology(cx, &mut table, &auth),
        leases: leases(cx, &mut table, &auth),
        usage: usage(cx, &mut table, &auth),
        intercept: intercept(cx, &mut table, &auth),
        auth: auth.good,
    };
    table.finish(cx);
    Some(control)
}

fn identity(cx: &Reading<'_>, control: &mut Table<'_>, auth: &Auths) -> Option<Identity> {
    let mut table = control.table(cx, "identity")?;
    let call = call(cx, &mut table, auth, 2000);
    let refresh = table.seconds(cx, "refresh_secs", 1..=MAX_SECS);
    closed_on_error(cx, &mut table);
    let file_keys = table.choice(cx, "file_keys", FILE_KEYS);
    let max_shrink_percent = max_shrink(cx, &mut table);
    let max_stale = table.seconds(cx, "max_stale_secs", 1..=MAX_STALE_SECS);
    table.finish(cx);
    Some(Identity {
        call: call?,
        refresh: refresh.unwrap_or(Duration::from_secs(30)),
        file_keys: file_keys.unwrap_or(FileKeys::Keep),
        max_shrink_percent,
        max_stale,
    })
}

fn limits(cx: &Reading<'_>, control: &mut Table<'_>, auth: &Auths) -> Option<LimitsPull> {
    let mut table = control.table(cx, "limits")?;
    let call = call(cx, &mut table, auth, 2000);
    let refresh = table.seconds(cx, "refresh_secs", 1..=MAX_SECS);
    let on_error = table.choice(cx, "on_error", ON_ERROR);
    let on_block = table.choice(cx, "on_block", ON_BLOCK);
    table.finish(cx);
    Some(LimitsPull {
        call: call?,
        refresh: refresh.unwrap_or(Duration::from_secs(5)),
        on_error: on_error.unwrap_or(OnError::Allow),
        on_block: on_block.unwrap_or_default(),
    })
}

fn topology(cx: &Reading<'_>, control: &mut Table<'_>, auth: &Auths) -> Option<Topology> {
    let mut table = control.table(cx, "topology")?;
    let call = call(cx, &mut table, auth, 2000);
    let refresh = table.seconds(cx, "refresh_secs", 1..=MAX_SECS);
    let max_shrink_percent = max_shrink(cx, &mut table);
    let secrets = table.strings(cx, "secrets").map(|list| list.value);
    let secrets = secrets.unwrap_or_default().into_iter();
    table.finish(cx);
    Some(Topology {
        call: call?,
        refresh: refresh.unwrap_or(Duration::from_secs(30)),
        max_shrink_percent,
        secrets: secrets.map(|at| at.value).collect(),
    })
}

fn max_shrink(cx: &Reading<'_>, table: &mut Table<'_>) -> u8 {
    let percent = table.whole(cx, "max_shrink_percent", 0..=100);
    percent.and_then(|n| u8::try_from(n).ok()).unwrap_or(50)
}

/// Without a roster nobody can be told from anybody else, so nothing but `deny` can be meant.
fn closed_on_error(cx: &Reading<'_>, table: &mut Table<'_>) {
    let place = table.place_of("on_error");
    let chosen = table.choice(cx, "on_error", ON_ERROR);
    if let (Some(OnError::Allow), Some(place)) = (chosen, place) {
        let message = "`identity` cannot let anybody in without a roster";
        cx.report(
            Diagnostic::error(&place, message, "only `deny`")
                .help("the last good roster stays in effect while the controller is away, and `server.state_dir` keeps it over restarts"),
        );
    }
}

/// A name that can stand in a header, in a path and in a bill.
fn node_name(cx: &Reading<'_>, at: At<String>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if at.value.len() <= MAX_NODE_BYTES && at.value.chars().all(fits) {
        return Some(at.value);
    }
    let message = format!("`{}` cannot be the name of a node", at.value);
    cx.report(
        Diagnostic::error(&at.place, message, "")
            .help("letters, digits, `-`, `_` and `.`, at most 64"),
    );
    None
}

fn leases(cx: &Reading<'_>, control: &mut Table<'_>, auth: &Auths) -> Option<Leases> {
    let mut table = control.table(cx, "leases")?;
    let call = call(cx, &mut table, auth, 2000);
    let on_error = table.choice(cx, "on_error", ON_ERROR);
    table.finish(cx);
    Some(Leases {
        call: call?,
        on_error: on_error.unwrap_or(OnError::Deny),
    })
}

fn usage(cx: &Reading<'_>, control: &mut Table<'_>, auth: &Auths) -> Option<UsagePush> {
    let mut table = control.table(cx, "usage")?;
    let call = call(cx, &mut table, auth, 5000);
    let batch_wait = table.millis(cx, "batch_ms", 1..=MAX_CALL_MS);
    let batch_max = table.whole(cx, "batch_max", 1..=100_000);
    let lifecycle = table.boolean(cx, "lifecycle");
    table.finish(cx);
    Some(UsagePush {
        call: call?,
        batch_wait: batch_wait.unwrap_or(Duration::from_millis(1000)),
        batch_max: (batch_max.and_then(|n| usize::try_from(n).ok())).unwrap_or(256),
        lifecycle: lifecycle.unwrap_or(true),
    })
}

fn intercept(cx: &Reading<'_>, control: &mut Table<'_>, auth: &Auths) -> Option<Intercept> {
    let mut table = control.table(cx, "intercept")?;
    let call = call(cx, &mut table, auth, 1000);
    let mut strings = |key| {
        let list = table.strings(cx, key).map(|list| list.value);
        list.unwrap_or_default()
    };
    let (phases, keys, models) = (strings("phases"), strings("keys"), strings("models"));
    let phases: Vec<InterceptPhase> = phases
        .iter()
        .filter_map(|at| pick(cx, "phases", at, PHASES))
        .collect();
    if !table.has("on_error") {
        let help = "while the interceptor does not answer, \"deny\" refuses what it should have seen, and \"allow\" lets that pass unseen; \
            which of the two is meant nobody can guess";
        table.missing(cx, "on_error", help);
    }
    let on_error = table.choice(cx, "on_error", ON_ERROR);
    let most = table.whole(cx, "max_body_bytes", 1024..=MAX_SHOWN_BYTES);
    if phases.is_empty() && !table.has("phases") {
        table.missing(
            cx,
            "phases",
            "`[\"request\"]`, `[\"response\"]`, both, or `[]` for none",
        );
    }
    table.finish(cx);
    Some(Intercept {
        call: call?,
        phases,
        keys: keys.into_iter().map(|at| at.value).collect(),
        models: models.into_iter().map(|at| at.value).collect(),
        on_error: on_error?,
        max_body_bytes: (most.and_then(|n| usize::try_from(n).ok())).unwrap_or(SHOWN_BYTES),
    })
}

/// What all capabilities have: where to call, and as whom.
fn call(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    auth: &Auths,
    default_ms: u64,
) -> Option<ControlCall> {
    let url = table
        .required(cx, "url", "the controller's endpoint for this")
        .and_then(|at| url::plain(cx, "url", &at));
    let own = secrets::read(cx, table, "credential");
    let shared = table.string(cx, "auth");
    let timeout = table.millis(cx, "timeout_ms", 1..=MAX_CALL_MS);
    let ca_file = table.string(cx, "ca_file");
    let client_certificate = providers::client_certificate(cx, table);
    if let (Some(own), Some(shared)) = (&own, &shared) {
        let message = "`credential` and `auth` exclude each other";
        cx.report(
            Diagnostic::error(&shared.place, message, "one credential")
                .related(&own.place, "the other"),
        );
    }
    let shared = shared.and_then(|at| auth.find(cx, &at));
    Some(ControlCall {
        url: url?,
        credential: own.map(|s| ControlCredential::Bearer(s.value)).or(shared),
        timeout: timeout.unwrap_or(Duration::from_millis(default_ms)),
        ca_file: ca_file.map(|at| cx.file(&at.value)),
        client_certificate,
    })
}

/// The `[[control.auth]]` tables.
struct Auths {
    good: Vec<ControlAuth>,
    /// Every id that was written, also of tables with other mistakes.
    ids: Vec<String>,
}

impl Auths {
    fn read(cx: &Reading<'_>, control: &mut Table<'_>) -> Self {
        let mut unique = Unique::new("auth id");
        let mut auths = Auths {
            good: Vec::new(),
            ids: Vec::new(),
        };
        for mut table in control.tables(cx, "auth") {
            let id = table.required(cx, "id", "any name; `auth = \"…\"` refers to it");
            let fresh = id.as_ref().is_none_or(|id| unique.check(cx, id));
            let credential = auth_credential(cx, &mut table);
            table.finish(cx);
            let Some(id) = id.filter(|_| fresh) else {
                continue;
            };
            auths.ids.push(id.value.clone());
            if let Some(credential) = credential {
                auths.good.push(ControlAuth {
                    id: id.value,
                    credential,
                });
            }
        }
        auths
    }

    fn find(&self, cx: &Reading<'_>, at: &At<String>) -> Option<ControlCredential> {
        if !self.ids.contains(&at.value) && !cx.incomplete {
            let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
            let help = nearest::suggestion(&at.value, "there are", &ids)
                .unwrap_or_else(|| "add a `[[control.auth]]` table with that `id`".to_owned());
            let message = format!("no `[[control.auth]]` has the id `{}`", at.value);
            cx.report(Diagnostic::error(&at.place, message, "unknown id").help(help));
        }
        let found = self.good.iter().find(|auth| auth.id == at.value)?;
        Some(found.credential.copy())
    }
}

impl ControlCredential {
    fn copy(&self) -> Self {
        match self {
            ControlCredential::Bearer(token) => ControlCredential::Bearer(secrets::copy(token)),
            ControlCredential::Header { name, value } => ControlCredential::Header {
                name: name.clone(),
                value: secrets::copy(value),
            },
        }
    }
}

#[derive(Clone, Copy)]
enum AuthKind {
    Bearer,
    Header,
}

fn auth_credential(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<ControlCredential> {
    let kinds = [("bearer", AuthKind::Bearer), ("header", AuthKind::Header)];
    if !table.has("kind") {
        table.missing(
            cx,
            "kind",
            "`bearer` with `token`, or `header` with `header` and `value`",
        );
    }
    let kind = table.choice(cx, "kind", &kinds);
    let mut secret = |key: &'static str, wanted: bool| {
        let found = secrets::read(cx, table, key);
        if wanted && found.is_none() && !table.has(key) {
            table.missing(cx, key, "the kind of this credential needs it");
        }
        found.map(|s| s.value)
    };
    let token = secret("token", matches!(kind, Some(AuthKind::Bearer)));
    let value = secret("value", matches!(kind, Some(AuthKind::Header)));
    let header = table.string(cx, "header");
    match kind? {
        AuthKind::Bearer => token.map(ControlCredential::Bearer),
        AuthKind::Header => {
            if header.is_none() && !table.has("header") {
                table.missing(cx, "header", "the header's name");
            }
            let name = header.and_then(|at| header_name(cx, &at))?;
            value.map(|value| ControlCredential::Header { name, value })
        }
    }
}

/// A header name, in lower case. Names are RFC 9110 tokens (section 5.6.2).
pub(crate) fn header_name(cx: &Reading<'_>, at: &At<String>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if at.value.chars().all(fits) {
        return Some(at.value.to_ascii_lowercase());
    }
    let message = format!("`{}` is no header name", at.value);
    let place: &Place = &at.place;
    cx.report(
        Diagnostic::error(place, message, "").help("letters, digits and `-`, as in `x-node-token`"),
    );
    None
}
