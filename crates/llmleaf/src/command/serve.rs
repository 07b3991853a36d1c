//! `llmleaf [CONFIG]`: serve until told to stop.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use llmleaf_config::{Config, Diagnostics, Severity};
use llmleaf_server::{BuildError, Listening, RunError, Source};

use super::{Exit, load, refuse};
use crate::{dev, logging, out};

pub(crate) fn run(path: Option<PathBuf>) -> Exit {
    llmleaf_memory::settle();
    let unread_filter = logging::install();
    let config = match load(path.as_ref()) {
        Ok(config) => config,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    if path.is_none()
        && let Some(text) = dev::refusal(config.server.listen)
    {
        out::error(&text);
        return Exit::Usage;
    }
    if let Some(text) = unread_filter {
        tracing::warn!(filter = text, "log filter not understood; logging at info");
    }
    warn(&config);
    quiet_panics();
    let built_in = path.is_none();
    let ready = move |listening: &[Listening]| {
        listening.iter().for_each(|at| announce(*at, built_in));
    };
    let ended = llmleaf_server::run(config, path.map(source), ready);
    logging::flush();
    match ended {
        Ok(()) => Exit::Fine,
        Err(error) => {
            out::error(&format!("llmleaf: {}\n", advise(&error)));
            match error {
                // The machine's limits are not the configuration's fault.
                RunError::Build(BuildError::Files(_)) => Exit::Failed,
                RunError::Build(_) => Exit::Usage,
                _ => Exit::Failed,
            }
        }
    }
}

/// Where the configuration is read again.
fn source(path: PathBuf) -> Source {
    let load = {
        let path = path.clone();
        move || Config::load(&path)
    };
    Source {
        path,
        load: Box::new(load),
        show: Box::new(|diagnostics| {
            // Mistakes are shown with their carets wherever it is; what is only unexpected is a line of the log there.
            if out::stderr_is_terminal() || diagnostics.count(Severity::Error) > 0 {
                out::error(&diagnostics.render(out::colour()));
            } else {
                log_warnings(diagnostics);
            }
        }),
    }
}

/// A panic's words may quote what it stumbled over, a prompt or a secret: only its place is logged.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        tracing::error!(place, thread = name, "a fault of this program");
    }));
}

/// What the configuration's author may not expect: as carets for people, as log lines for machines.
fn warn(config: &Config) {
    if config.warnings.is_empty() {
        return;
    }
    if out::stderr_is_terminal() {
        out::error(&config.warnings.render(out::colour()));
        return;
    }
    log_warnings(&config.warnings);
}

fn log_warnings(warnings: &Diagnostics) {
    for warning in warnings.iter() {
        let line = warnings.line_of(warning);
        tracing::warn!(line, "{}", warning.message());
    }
}

fn announce(at: Listening, built_in: bool) {
    let listen = at.addr;
    if at.scrapers {
        tracing::info!(%listen, "scrapers are served there");
        return;
    }
    if built_in && out::stderr_is_terminal() {
        out::error(&dev::banner(listen));
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    if built_in {
        tracing::info!(%listen, version, try_it = dev::curl(listen), "listening, with the built-in configuration");
    } else {
        tracing::info!(%listen, tls = at.tls, version, "listening");
    }
}

/// The failure, with the way out of the usual one.
fn advise(error: &RunError) -> String {
    let RunError::Listen {
        listen,
        error: cause,
    } = error
    else {
        return error.to_string();
    };
    let (listen, port) = (*listen, listen.port());
    match cause.kind() {
        ErrorKind::AddrInUse => format!(
            "{listen} is taken by another program (`ss -ltnp 'sport = :{port}'` names it).\n\
             Choose another port: LLMLEAF_SERVER__LISTEN={} llmleaf",
            SocketAddr::new(listen.ip(), port.wrapping_add(1).max(1024))
        ),
        ErrorKind::PermissionDenied => {
            format!("not allowed to listen on {listen}; ports below 1024 need a privilege")
        }
        ErrorKind::AddrNotAvailable => {
            format!(
                "no interface of this machine has the address {}",
                listen.ip()
            )
        }
        // A machine without the one family of addresses.
        ErrorKind::Unsupported if listen.is_ipv4() => {
            format!("{error}; where there is no IPv4, listen on `[::]:{port}` or `[::1]:{port}`")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_comes_with_two_ways_out() {
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let text = advise(&RunError::Listen {
            listen,
            error: ErrorKind::AddrInUse.into(),
        });
        assert!(text.contains("127.0.0.1:8080 is taken"), "{text}");
        assert!(
            text.contains("LLMLEAF_SERVER__LISTEN=127.0.0.1:8081"),
            "{text}"
        );
    }
}
