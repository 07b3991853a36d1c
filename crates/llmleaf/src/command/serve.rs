//! `llmleaf [CONFIG]`: serve until told to stop.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use llmleaf_config::Config;

use super::{Exit, load, refuse};
use crate::{dev, logging, out};

pub(crate) fn run(path: Option<PathBuf>) -> Exit {
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
    let built_in = path.is_none();
    let listen = config.server.listen;
    let ready = move |listen: SocketAddr| announce(listen, built_in);
    let ended = llmleaf_server::run(config, ready);
    logging::flush();
    match ended {
        Ok(()) => Exit::Fine,
        Err(error) => {
            out::error(&format!("llmleaf: {}\n", advise(&error, listen)));
            Exit::Failed
        }
    }
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
    for warning in config.warnings.iter() {
        let line = config.warnings.line_of(warning);
        tracing::warn!(line, "{}", warning.message());
    }
}

fn announce(listen: SocketAddr, built_in: bool) {
    if built_in && out::stderr_is_terminal() {
        out::error(&dev::banner(listen));
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    if built_in {
        tracing::info!(%listen, version, try_it = dev::curl(listen), "listening, with the built-in configuration");
    } else {
        tracing::info!(%listen, version, "listening");
    }
}

/// The failure, with the way out of the usual one.
fn advise(error: &(dyn Error + 'static), listen: SocketAddr) -> String {
    let port = listen.port();
    match io_kind(error) {
        Some(ErrorKind::AddrInUse) => format!(
            "{listen} is taken by another program (`ss -ltnp 'sport = :{port}'` names it).\n\
             Choose another port: LLMLEAF_SERVER__LISTEN={} llmleaf",
            SocketAddr::new(listen.ip(), port.wrapping_add(1).max(1024))
        ),
        Some(ErrorKind::PermissionDenied) => {
            format!("not allowed to listen on {listen}; ports below 1024 need a privilege")
        }
        _ => error.to_string(),
    }
}

/// What the system said, where an error has that at its root.
fn io_kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_comes_with_two_ways_out() {
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let text = advise(&std::io::Error::from(ErrorKind::AddrInUse), listen);
        assert!(text.contains("127.0.0.1:8080 is taken"), "{text}");
        assert!(
            text.contains("LLMLEAF_SERVER__LISTEN=127.0.0.1:8081"),
            "{text}"
        );
    }
}
