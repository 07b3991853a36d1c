//! `[[routes]]`: which model name goes where.

use crate::diagnose::Diagnostic;
use crate::nearest;
use crate::read::{At, Reading, Table, Unique};
use crate::server::LOSS_POLICIES;
use crate::{
    LossPolicy, PromptCache, RetryOverrides, TimeoutOverrides, prices, retries, settings, timeouts,
};
use llmleaf_model::Effort;
use llmleaf_route::Strategy;

/// One `[[routes]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The model name that consumers ask for; `*` stands for any run of characters.
    pub model: String,
    /// Where to go, in order of preference; never empty.
    pub targets: Vec<Target>,
    /// How traffic is spread over the targets.
    pub strategy: Strategy,
    /// Follow a prompt to where its beginning may be cached.
    pub affinity: bool,
    /// Ask a second target when the first is slower than it nearly always is.
    pub hedge: bool,
    /// How often and how long to try, where it differs from the server's.
    pub retries: RetryOverrides,
    /// Clocks that differ from the provider's and the server's.
    pub timeouts: TimeoutOverrides,
    /// What to do about losses, where it differs from the server's.
    pub loss_policy: Option<LossPolicy>,
    /// Keep the beginnings of prompts, where it differs from the provider's.
    pub prompt_cache: Option<PromptCache>,
    /// How much models reason where a request says nothing about it, where it differs from the provider's.
    pub reasoning_effort: Option<Effort>,
    /// The models by which realtime sessions over models that only chat hear and speak.
    pub realtime: RealtimeParts,
}

/// The models beside a route's own in a realtime session that the gateway holds, by the names that consumers have for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealtimeParts {
    /// Which writes down what is said.
    pub transcription: Option<String>,
    /// Which says texts.
    pub speech: Option<String>,
    /// The voice in which it does, where a session names none.
    pub voice: Option<String>,
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of a provider of this configuration.
    pub provider: String,
    /// Name of the model there; `None` means the name that the consumer asked for.
    pub model: Option<String>,
    /// Its share under strategy "weighted".
    pub weight: u32,
    /// What it costs.
    pub price: Option<Price>,
}

/// What a target costs, in nano-dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Of input.
    pub input: u64,
    /// Of output.
    pub output: u64,
}

/// What reading `[[routes]]` yields beside the values.
pub(crate) struct RoutesRead {
    pub routes: Vec<Route>,
    /// Every model that was written, also of tables with other mistakes.
    pub models: Vec<String>,
    /// The models of realtime sessions.
    parts: Vec<At<String>>,
}

/// Reads every `[[routes]]` table. Targets must name one of `providers`.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>, providers: &[At<String>]) -> RoutesRead {
    let mut models = Unique::new("route for model");
    let mut out = RoutesRead {
        routes: Vec::new(),
        models: Vec::new(),
        parts: Vec::new(),
    };
    for mut table in root.tables(cx, "routes") {
        let model = table.required(cx, "model", "the name that consumers ask for");
        let fresh = model.as_ref().is_none_or(|model| models.check(cx, model));
        let targets = targets(cx, &mut table, providers);
        let strategy = strategy(cx, &mut table, &targets);
        let affinity = table.boolean(cx, "affinity").unwrap_or(true);
        let hedge = table.boolean(cx, "hedge").unwrap_or_default();
        let retries = retries::read(cx, &mut table);
        let timeouts = timeouts::read(cx, &mut table);
        let loss_policy = table.choice(cx, "loss_policy", LOSS_POLICIES);
        let prompt_cache = settings::prompt_cache(cx, &mut table);
        let reasoning_effort = table.choice(cx, "reasoning_effort", settings::EFFORTS);
        let realtime = realtime(cx, &mut table, &mut out.parts);
        table.finish(cx);
        let Some(model) = model.filter(|_| fresh) else {
            continue;
        };
        out.models.push(model.value.clone());
        out.routes.push(Route {
            model: model.value,
            targets,
            strategy,
            affinity,
            hedge,
            retries,
            timeouts,
            loss_policy,
            prompt_cache,
            reasoning_effort,
            realtime,
        });
    }
    out
}

fn realtime(cx: &Reading<'_>, route: &mut Table<'_>, named: &mut Vec<At<String>>) -> RealtimeParts {
    let Some(mut table) = route.table(cx, "realtime") else {
        return RealtimeParts::default();
    };
    let transcription = table.string(cx, "transcription");
    let speech = table.string(cx, "speech");
    let voice = table.string(cx, "voice");
    table.finish(cx);
    named.extend(transcription.iter().chain(&speech).cloned());
    RealtimeParts {
        transcription: transcription.map(|at| at.value),
        speech: speech.map(|at| at.value),
        voice: voice.map(|at| at.value),
    }
}

/// Tells of models of realtime sessions that lead nowhere.
pub(crate) fn report_parts(cx: &Reading<'_>, read: &RoutesRead, prefixes: &[&str]) {
    let names: Vec<&str> = read.models.iter().map(String::as_str).collect();
    for at in &read.parts {
        let model = at.value.as_str();
        let prefixed = |prefix: &&str| model.starts_with(&format!("{prefix}/"));
        let routed = |name: &&str| llmleaf_route::table::matches(name, model);
        if prefixes.iter().any(prefixed) || names.iter().any(routed) {
            continue;
        }
        let message = format!("no route serves model `{model}`");
        let help = nearest::suggestion(model, "there are", &names);
        cx.report(Diagnostic::error(&at.place, message, "leads nowhere").maybe_help(help));
    }
}

fn targets(cx: &Reading<'_>, route: &mut Table<'_>, providers: &[At<String>]) -> Vec<Target> {
    const HELP: &str = "`targets = [{ provider = \"…\" }]`, in order of preference";
    if !route.has("targets") {
        route.missing(cx, "targets", HELP);
    }
    let list = route.place_of("targets");
    let empty = route.is_empty_list("targets");
    let mut targets: Vec<(Target, At<String>)> = Vec::new();
    for mut table in route.tables(cx, "targets") {
        let provider = table.required(cx, "provider", "the `name` of a provider");
        let model = target_model(cx, &mut table);
        let weight = table.whole(cx, "weight", 0..=1_000_000);
        let price = price(cx, &mut table);
        table.finish(cx);
        let Some(provider) = provider.filter(|at| is_known(cx, at, providers)) else {
            continue;
        };
        let target = Target {
            provider: provider.value.clone(),
            model,
            weight: weight.and_then(|w| u32::try_from(w).ok()).unwrap_or(1),
            price,
        };
        if let Some((_, first)) = targets
            .iter()
            .find(|(seen, _)| (&seen.provider, &seen.model) == (&target.provider, &target.model))
        {
            cx.report(
                Diagnostic::warning(
                    &provider.place,
                    "this target is already in the list",
                    "again",
                )
                .related(&first.place, "first time"),
            );
        }
        targets.push((target, provider));
    }
    if let (true, Some(place)) = (empty, list) {
        let message = "a route needs at least one target";
        cx.report(Diagnostic::error(&place, message, "empty").help(HELP));
    }
    targets.into_iter().map(|(target, _)| target).collect()
}

fn strategy(cx: &Reading<'_>, route: &mut Table<'_>, targets: &[Target]) -> Strategy {
    let words = Strategy::ALL.map(|strategy| (strategy.as_str(), strategy));
    let place = route.place_of("strategy");
    let strategy = route.choice(cx, "strategy", &words).unwrap_or_default();
    let Some(place) = place else {
        return strategy;
    };
    if strategy == Strategy::Weighted
        && !targets.is_empty()
        && targets.iter().all(|t| t.weight == 0)
    {
        let message = "every target of this route has weight 0";
        cx.report(
            Diagnostic::error(&place, message, "nothing to choose from")
                .help("give at least one target a `weight`"),
        );
    }
    strategy
}

fn price(cx: &Reading<'_>, target: &mut Table<'_>) -> Option<Price> {
    let mut table = target.table(cx, "price")?;
    let input = prices::dollars(cx, &mut table, "input", None);
    let output = prices::dollars(cx, &mut table, "output", None);
    table.finish(cx);
    Some(Price {
        input: input?,
        output: output?,
    })
}

fn target_model(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<String> {
    let at = table.string(cx, "model")?;
    if at.value.contains('*') {
        cx.report(
            Diagnostic::error(
                &at.place,
                "a target names one model",
                "`*` is not filled in",
            )
            .help("leave `model` out to pass on the name that the consumer asked for"),
        );
        return None;
    }
    Some(at.value)
}

fn is_known(cx: &Reading<'_>, at: &At<String>, providers: &[At<String>]) -> bool {
    let known = providers.iter().any(|name| name.value == at.value);
    // Where a line could not be read, it may have held the name.
    if !known && !cx.incomplete {
        let names: Vec<&str> = providers.iter().map(|name| name.value.as_str()).collect();
        let help = nearest::suggestion(&at.value, "there are", &names)
            .unwrap_or_else(|| "add a `[[providers]]` table with that `name`".to_owned());
        let message = format!("no provider is named `{}`", at.value);
        cx.report(Diagnostic::error(&at.place, message, "not among the providers").help(help));
    }
    known
}
