//! What runs when there is no configuration file, and what is said about it.

use std::fmt::Write;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmleaf_config::{Config, Diagnostics, environment};

/// Name of the built-in configuration in diagnostics.
pub(crate) const NAME: &str = "built-in configuration";

const TEXT: &str = include_str!("dev.toml");
const ID: &str = "local-dev";
const PASSWORD: &str = "s3cret";

/// Reads the built-in configuration. `LLMLEAF_SERVER__…` counts, `PORT` does not.
pub(crate) fn config() -> Result<Config, Diagnostics> {
    Config::parse(TEXT, NAME, &environment::var)
}

/// Why the built-in configuration may not listen there, if it may not.
pub(crate) fn refusal(listen: SocketAddr) -> Option<String> {
    if listen.ip().is_loopback() {
        return None;
    }
    Some(format!(
        "llmleaf: the built-in configuration does not listen on {listen}: everyone knows its key.\n\
         Make a key for a file of your own:  llmleaf key new --id ID\n\
         then start with that file:          llmleaf llmleaf.toml\n"
    ))
}

/// The request to try first, as a shell takes it.
pub(crate) fn curl(listen: SocketAddr) -> String {
    format!(
        "curl {}/v1/chat/completions -H \"Authorization: Bearer $(printf '{ID}:{PASSWORD}' | base64)\" \
         -d '{{\"model\":\"demo\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'",
        host(listen)
    )
}

/// For a terminal: what runs, and what to type next.
pub(crate) fn banner(listen: SocketAddr) -> String {
    let url = format!("http://{}", host(listen));
    let bearer = STANDARD.encode(format!("{ID}:{PASSWORD}"));
    let version = env!("CARGO_PKG_VERSION");
    let mut text = String::new();
    let _ = write!(
        text,
        "\n  llmleaf {version}  {url}  (built-in configuration: provider echo, models demo and echo)\n\
         \n  Try it:\n\n  {}\n\
         \n  Claude Code   ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={bearer} ANTHROPIC_MODEL=demo claude\
         \n  OpenAI SDK    OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={bearer}\
         \n  Your own      llmleaf llmleaf.toml   (every key is shown in llmleaf.example.toml)\n\n",
        curl(listen)
    );
    text
}

/// `localhost` where that is what it is: shorter, and what people type.
fn host(listen: SocketAddr) -> String {
    if listen.ip() == std::net::Ipv4Addr::LOCALHOST {
        format!("localhost:{}", listen.port())
    } else {
        listen.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_with(env: &dyn Fn(&str) -> Option<String>) -> Config {
        Config::parse(TEXT, NAME, env).unwrap_or_else(|d| panic!("{d}"))
    }

    #[test]
    fn the_built_in_configuration_is_sound_and_local() {
        let config = config_with(&|_| None);
        assert!(config.warnings.is_empty(), "{}", config.warnings);
        assert!(refusal(config.server.listen).is_none());
        let key = config.keys.first().expect("one key");
        assert_eq!(key.id, ID);
        let hash = llmleaf_auth::PasswordHash::parse(key.pw_hash.expose()).expect("a hash");
        assert!(hash.verify(PASSWORD.as_bytes()));
    }

    #[test]
    fn a_platforms_port_does_not_open_it_to_others() {
        let config = config_with(&|name| (name == "PORT").then(|| "9999".to_owned()));
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn it_refuses_to_be_reachable_by_others() {
        let open = |name: &str| (name == "LLMLEAF_SERVER__LISTEN").then(|| "0.0.0.0:1".to_owned());
        let text = refusal(config_with(&open).server.listen).expect("refused");
        assert!(text.contains("llmleaf key new"), "{text}");
    }

    #[test]
    fn the_banner_holds_the_request_as_printed() {
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let expected = r#"curl localhost:8080/v1/chat/completions -H "Authorization: Bearer $(printf 'local-dev:s3cret' | base64)" -d '{"model":"demo","messages":[{"role":"user","content":"hi"}]}'"#;
        assert_eq!(curl(listen), expected);
        assert!(banner(listen).contains(expected));
        assert!(banner(listen).contains("OPENAI_API_KEY=bG9jYWwtZGV2OnMzY3JldA=="));
    }
}
