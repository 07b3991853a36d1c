//! From the text of a file to a [`Config`], or to everything that is wrong with it.

mod syntax;

use std::path::Path;

use toml::de::DeTable;

use crate::diagnose::{Diagnostic, Diagnostics, Place, Severity, Span};
use crate::keys::KeysRead;
use crate::providers::ProvidersRead;
use crate::read::{Reading, Table};
use crate::server::ServerRead;
use crate::{
    Config, Oauth, access_log, control, environment, keys, metrics, oauth, prices, providers,
    routes, secrets, server, traces,
};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

impl Config {
    /// Reads the file at `path`, the `file:` secrets it names, and the process environment.
    ///
    /// # Errors
    /// Everything that is wrong with the file, at once.
    pub fn load(path: &Path) -> Result<Config, Diagnostics> {
        let name = path.display().to_string();
        let text = read_file(path).map_err(|why| {
            let message = format!("cannot read the configuration file: {why}");
            let nothing = Diagnostic::error(&Place::Whole, message, "")
                .help("name another file, or none at all to try llmleaf with a built-in one");
            Diagnostics::new(&name, String::new(), vec![nothing])
        })?;
        Config::parse(&text, &name, &environment::var)
    }

    /// Reads a configuration from its text. `file_name` is what diagnostics call it, and its folder is where
    /// relative paths start; `env` looks up environment variables.
    ///
    /// # Errors
    /// Everything that is wrong with the text, at once.
    pub fn parse(
        text: &str,
        file_name: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Diagnostics> {
        let folder = Path::new(file_name).parent().unwrap_or(Path::new(""));
        let mut cx = Reading::new(env, folder.to_owned());
        let (document, broken) = DeTable::parse_recoverable(text);
        cx.incomplete = !broken.is_empty();
        let config = read(&cx, document.get_ref());
        let files = cx.files();
        let (mut found, mut masks) = cx.into_parts();
        masks.extend(syntax::secrets_on_broken_lines(text, &broken));
        let broken = syntax::explain(text, &broken);
        found.retain(|item| !shares_line(text, item, &broken));
        found.extend(broken);
        let diagnostics =
            Diagnostics::new(file_name, masked(text, &masks), found).with_files(files.clone());
        if diagnostics.count(Severity::Error) > 0 {
            return Err(diagnostics);
        }
        Ok(Config {
            warnings: diagnostics,
            files,
            ..config
        })
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let plain = |e: std::io::Error| secrets::plain(&e);
    let meta = std::fs::metadata(path).map_err(plain)?;
    if meta.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if meta.len() > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(plain)
}

fn read(cx: &Reading<'_>, document: &DeTable<'_>) -> Config {
    let mut root = Table::root(document);
    let server = server::read(cx, &mut root);
    let access_log = access_log::read(cx, &mut root);
    let metrics = metrics::read(cx, &mut root);
    let traces = traces::read(cx, &mut root);
    let providers = providers::read(cx, &mut root);
    let routes = routes::read(cx, &mut root, &providers.names);
    let entries = prices::read(cx, &mut root, &providers.names);
    let keys = keys::read(cx, &mut root);
    let oauth = oauth::read(cx, &mut root);
    let control = control::read(cx, &mut root);
    root.finish_with(cx, |key| {
        let found = server.known.contains(&key);
        found.then(|| format!("`{key}` stands under `[server]`"))
    });
    if !cx.incomplete {
        // A controller brings keys of its own.
        if control.as_ref().is_none_or(|c| c.identity.is_none()) {
            check_door(cx, &server, &keys, &oauth);
        }
        oauth::check_names(cx, &oauth, &keys.keys);
        let pulled = control.as_ref().is_some_and(|c| c.topology.is_some());
        // After an error, that something leads nowhere may be no more than an echo of it.
        if !pulled && !cx.has_errors() {
            check_reach(cx, &providers, &routes, &keys);
        }
    }
    Config {
        prices: prices::Prices {
            table: server.prices,
            entries,
        },
        server: server.server,
        access_log,
        metrics,
        traces,
        providers: providers.providers,
        routes: routes.routes,
        keys: keys.keys,
        oauth,
        control,
        warnings: Diagnostics::new("", String::new(), Vec::new()),
        files: Vec::new(),
    }
}

/// A listener that others can reach must be able to tell them apart.
fn check_door(cx: &Reading<'_>, server: &ServerRead, keys: &KeysRead, issuers: &[Oauth]) {
    if keys.any || !issuers.is_empty() {
        return;
    }
    let apart = server.server.tls.as_ref().and_then(|tls| tls.listen);
    let mut all = [Some(server.server.listen), apart].into_iter().flatten();
    let open = all.find(|listen| !listen.ip().is_loopback());
    let diagnostic = match open {
        None => Diagnostic::warning(
            &Place::Whole,
            "there are no `[[keys]]`, so every request will be refused",
            "",
        ),
        Some(listen) => {
            let message =
                format!("`{listen}` is reachable from other machines, and there are no keys");
            Diagnostic::error(&server.listen_place, message, "not only this machine")
        }
    };
    cx.report(diagnostic.help("`llmleaf key new --id ID` prints a `[[keys]]` table to paste"));
}

/// What stands in the file but leads nowhere.
fn check_reach(
    cx: &Reading<'_>,
    providers: &ProvidersRead,
    routes: &routes::RoutesRead,
    keys: &KeysRead,
) {
    let targeted: Vec<&str> = (routes.routes.iter())
        .flat_map(|route| route.targets.iter())
        .map(|target| target.provider.as_str())
        .collect();
    providers::report_idle(cx, providers, &targeted);
    let prefixes: Vec<&str> = (providers.providers.iter())
        .filter_map(|provider| provider.prefix.as_deref())
        .collect();
    routes::report_parts(cx, routes, &prefixes);
    keys::report_unserved(cx, &keys.allowed, &routes.models, &prefixes);
}

/// Whether what the readers found stands on a line that could not even be parsed: then it is only an echo.
fn shares_line(text: &str, item: &Diagnostic, broken: &[Diagnostic]) -> bool {
    let line = |d: &Diagnostic| {
        let before = text.get(..d.span()?.start)?;
        Some(before.matches('\n').count())
    };
    let at = line(item);
    at.is_some() && broken.iter().any(|other| line(other) == at)
}

/// The text with every masked span starred out, quotes and spaces excepted; offsets stay as they are.
fn masked(text: &str, masks: &[Span]) -> String {
    let hidden = |i: usize| masks.iter().any(|span| span.contains(&i));
    let star = |(i, c): (usize, char)| {
        if !hidden(i) || c.is_whitespace() || matches!(c, '"' | '\'') {
            c.to_string()
        } else {
            "*".repeat(c.len_utf8())
        }
    };
    if masks.is_empty() {
        return text.to_owned();
    }
    text.char_indices().map(star).collect()
}

#[cfg(test)]
mod tests;
