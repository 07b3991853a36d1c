use llmleaf_prices::Service;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::pending::PENDING;
use crate::{ChatApi, ControlCredential, Credential, LossPolicy, PromptCache};

const EXAMPLE: &str = include_str!("../../../../llmleaf.example.toml");
const KEY: &str = r#"
[[keys]]
id = "k"
pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
"#;

/// A folder of its own for one test, with one secret file that only the owner can read.
fn folder_with_secret(test: &str, path: &str, secret: &str, mode: u32) -> PathBuf {
    let name = format!("llmleaf-config-{}-{test}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let file = folder.join(path);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("makes the folder");
    std::fs::write(&file, secret).expect("writes the secret");
    let table = r#"{"m": {"litellm_provider": "openai", "input_cost_per_token": 2e-6}}"#;
    std::fs::write(folder.join("model_prices.json"), table).expect("writes the table");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).expect("sets the mode");
    }
    folder
}

/// Every `env:` secret is set; nothing else is.
fn supplied(name: &str) -> Option<String> {
    let overrides = name.contains("__") || name == "PORT";
    (!overrides).then(|| format!("value of {name}"))
}

fn parsed(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Config {
    Config::parse(text, "llmleaf.toml", env).unwrap_or_else(|d| panic!("{d}"))
}

fn example(test: &str) -> (Config, PathBuf) {
    let folder = folder_with_secret(test, "secrets/anthropic", "sk-from-file\n", 0o600);
    let file = folder.join("llmleaf.toml").display().to_string();
    let config = Config::parse(EXAMPLE, &file, &supplied).unwrap_or_else(|d| panic!("{d}"));
    (config, folder)
}

#[test]
fn the_example_is_sound_and_each_pending_row_is_alive() {
    let (config, folder) = example("sound");
    std::fs::remove_dir_all(folder).expect("cleans up");
    let mut warned: Vec<&str> = config.warnings.iter().map(Diagnostic::message).collect();
    let mut expected: Vec<String> = (PENDING.iter())
        .map(|row| format!("`{}` is not in effect yet", row.path))
        .collect();
    warned.sort_unstable();
    warned.dedup();
    expected.sort_unstable();
    assert_eq!(warned, expected);
}

#[test]
fn the_example_shows_every_key() {
    let folder = folder_with_secret("every-key", "secrets/anthropic", "sk", 0o600);
    let cx = Reading::new(&supplied, folder.clone());
    let (document, broken) = DeTable::parse_recoverable(EXAMPLE);
    assert!(broken.is_empty(), "{broken:?}");
    read(&cx, document.get_ref());
    std::fs::remove_dir_all(folder).expect("cleans up");
    let asked: BTreeMap<String, bool> = cx.asked.take();
    assert!(asked.len() > 100, "{}", asked.len());
    // The same shape stands elsewhere in full, or one of the two excludes the other.
    let repeated = |path: &str| {
        let shape = path.contains(".model_limits.")
            || path.starts_with("providers.timeouts.")
            || path.starts_with("routes.timeouts.")
            || (path.starts_with("control.") && path.contains("client_certificate"))
            || (path.starts_with("control.") && path.ends_with(".ca_file"));
        let either = path.starts_with("control.")
            && (path.ends_with(".auth") || path.ends_with(".credential"))
            || path == "oauth.introspection.credential";
        shape || either
    };
    let absent: Vec<&String> = (asked.iter())
        .filter(|(path, shown)| !**shown && !repeated(path))
        .map(|(path, _)| path)
        .collect();
    assert!(absent.is_empty(), "not in the example: {absent:?}");
}

#[test]
fn the_example_reads_as_written() {
    let (config, folder) = example("as-written");
    std::fs::remove_dir_all(&folder).expect("cleans up");
    let anthropic = config.provider("anthropic").expect("the provider");
    let credential = anthropic.credentials.first().expect("a credential");
    assert_eq!(credential.identity(), b"sk-from-file");
    let azure = config.provider("azure").expect("the provider");
    assert!(matches!(
        azure.credentials.as_slice(),
        [Credential::Plain(_), Credential::Minted(_)]
    ));
    let vertex = config.provider("vertex").expect("the provider");
    assert_eq!(
        vertex.base_url(),
        Some(
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/my-project/locations/europe-west4"
        )
    );
    assert_eq!(anthropic.settings.prompt_cache, Some(PromptCache::OneHour));
    let openai = config.provider("openai").expect("the provider");
    assert_eq!(openai.settings.chat_api, ChatApi::Auto);
    assert_eq!(openai.settings.text("organization"), Some("org-example"));
    assert_eq!(openai.settings.voices["gpt-4o-mini-tts"][1].id, "coral");
    assert_eq!(openai.ca_file, Some(folder.join("tls/authority.pem")));
    let smart = &config.routes[0];
    let clocks = config.timeouts(Some(smart), openai);
    assert_eq!(clocks.connect, Duration::from_secs(3), "the server's");
    assert_eq!(
        clocks.first_content,
        Duration::from_secs(600),
        "the provider's"
    );
    assert_eq!(clocks.total, Duration::from_secs(600), "the route's");
    assert_eq!(config.loss_policy(Some(smart)), LossPolicy::Reroute);
    assert_eq!(config.loss_policy(None), LossPolicy::Report);
    let priced = &config.prices.entries[0];
    assert_eq!(priced.sheet.rates.tokens.input, Some(200_000_000));
    assert_eq!(
        priced.sheet.rates.tokens_for(200_001).output,
        Some(1_200_000_000)
    );
    assert_eq!(priced.sheet.rates.units.search, Some(2_000_000));
    assert_eq!(priced.sheet.rates.batch_permille, Some(500));
    let (tier, rates) = &priced.sheet.rates.services[0];
    let long = priced.sheet.rates.tokens_for(200_001);
    assert_eq!((&**tier, *rates), ("priority", Service::Own(long)));
    let table = config.prices.table.get("openai").and_then(|t| t.get("m"));
    assert_eq!(
        table.and_then(|m| m.rates.tokens.input),
        Some(2_000_000_000)
    );
    let control = config.control.as_ref().expect("a controller");
    let limits = control.limits.as_ref().expect("limits");
    assert!(
        matches!(&limits.call.credential, Some(ControlCredential::Header { name, value })
            if name == "x-node-token" && value.expose() == "value of LLMLEAF_CONTROL_TOKEN")
    );
}

#[test]
fn the_example_states_the_defaults() {
    let (config, folder) = example("defaults");
    std::fs::remove_dir_all(folder).expect("cleans up");
    let default = crate::Server::default();
    let stated = &config.server;
    assert_eq!(stated.listen, default.listen);
    assert_eq!(stated.timeouts, default.timeouts);
    assert_eq!(stated.max_body_bytes, default.max_body_bytes);
    assert_eq!(stated.max_upload_bytes, default.max_upload_bytes);
    assert_eq!(stated.keepalive, default.keepalive);
    assert_eq!(stated.hold_headers, default.hold_headers);
    assert_eq!(stated.drain, default.drain);
    assert_eq!(stated.fallback_cooldown, default.fallback_cooldown);
    assert_eq!(stated.rate_limit_max_wait, default.rate_limit_max_wait);
    assert_eq!(stated.event_buffer, default.event_buffer);
    assert_eq!(stated.loss_policy, default.loss_policy);
}

#[test]
fn the_environment_counts_before_the_file_and_port_after_both() {
    let set = |pairs: &'static [(&str, &str)]| {
        move |name: &str| {
            let found = pairs.iter().find(|(var, _)| *var == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    };
    let listen = |text: &str, env: &dyn Fn(&str) -> Option<String>| {
        parsed(&format!("{text}{KEY}"), env)
            .server
            .listen
            .to_string()
    };
    let file = "[server]\nlisten = \"127.0.0.1:1\"\n";
    assert_eq!(listen("", &set(&[])), "127.0.0.1:8080");
    assert_eq!(listen("", &set(&[("PORT", "9")])), "0.0.0.0:9");
    assert_eq!(listen(file, &set(&[("PORT", "9")])), "127.0.0.1:1");
    let both = set(&[("LLMLEAF_SERVER__LISTEN", "[::1]:2"), ("PORT", "9")]);
    assert_eq!(listen(file, &both), "[::1]:2");
    let scalars = set(&[
        ("LLMLEAF_SERVER__DRAIN_SECS", "7"),
        ("LLMLEAF_SERVER__INCLUDE_PAYLOADS", "true"),
        ("LLMLEAF_SERVER__LOSS_POLICY", "error"),
        ("LLMLEAF_SERVER__ADMIN_TOKEN", "env:INNER"),
        ("INNER", "token"),
    ]);
    let server = parsed(KEY, &scalars).server;
    assert_eq!(server.drain, Duration::from_secs(7));
    assert!(server.include_payloads);
    assert_eq!(server.loss_policy, LossPolicy::Error);
    assert_eq!(server.admin_token.expect("a token").expose(), "token");
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_everyone_can_read_is_used_with_a_warning() {
    let folder = folder_with_secret("wide", "token", "abc\r\n", 0o644);
    let lookup = |name: &str| (name == "DIR").then(|| folder.display().to_string());
    let text = format!("[server]\nadmin_token = \"file:$DIR/token\"\n{KEY}");
    let config = parsed(&text, &lookup);
    std::fs::remove_dir_all(&folder).expect("cleans up");
    assert_eq!(config.server.admin_token.expect("a token").expose(), "abc");
    let warnings: Vec<&str> = config.warnings.iter().map(Diagnostic::message).collect();
    assert_eq!(
        warnings,
        ["the secret file for `admin_token` is readable by everyone"]
    );
}

#[test]
fn a_file_that_is_not_there_is_told_without_a_place() {
    let told = Config::load(Path::new("no/such/file.toml")).expect_err("refused");
    let text = told.to_string();
    assert!(
        text.contains("cannot read the configuration file: no such file"),
        "{text}"
    );
    assert!(text.ends_with("no/such/file.toml: 1 error\n"), "{text}");
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
    let text = format!(
        "\u{feff}[server]\r\nlisten = \"127.0.0.1:1\"\r\n{}",
        KEY.replace('\n', "\r\n")
    );
    assert_eq!(parsed(&text, &|_| None).server.listen.port(), 1);
    let wrong = text.replace("127.0.0.1:1\"", "x\"");
    let told = Config::parse(&wrong, "f", &|_| None)
        .expect_err("refused")
        .to_string();
    assert!(told.contains("f:2:10\n"), "{told}");
}

#[test]
fn nothing_a_diagnostic_prints_holds_a_secret() {
    let text = "[server]\nadmin_token = \"hunter2-hunter2\"\nbatch_id_secret = \"hunter2\"\nworkers = 0\n\
                [[providers]]\nname = \"a\"\nkind = \"nope\"\ncredential = 'hunter2\t'\n\
                [[keys]]\nid = \"k\"\npw_hash = \"\"\"\nhunter2\"\"\"\n";
    let told = Config::parse(text, "f", &|_| None).expect_err("refused");
    assert!(told.count(Severity::Error) >= 4, "{told}");
    assert!(!told.to_string().contains("hunter2"), "{told}");
    assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
}

#[test]
fn a_file_cut_anywhere_is_told_and_not_choked_on() {
    // A prime step, so that cuts fall within every kind of token.
    for end in (0..EXAMPLE.len()).step_by(97) {
        let Some(cut) = EXAMPLE.get(..end) else {
            continue;
        };
        let told = match Config::parse(cut, "f", &supplied) {
            Ok(config) => config.warnings,
            Err(diagnostics) => diagnostics,
        };
        assert!(!told.is_empty(), "cut at {end}");
        assert!(told.to_string().ends_with('\n'), "cut at {end}");
    }
}
