//! Credentials that do not last: the program mints them from what it was given, at a token endpoint that is played here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Response};
use llmleaf_testkit::json;
use llmleaf_testkit::replay::{Gate, Replay, Request, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::LONG;

/// A key made for these tests alone; it opens nothing else.
const CREDENTIAL: &str = "llk_matrix_Vl9DkcwD6qKHX1ZsrErVV0gw0MpE9A";
const KEY: &str = "\n[[keys]]\nid = \"matrix\"\npw_hash = '$llk$sha256$BRAzf4gpbamV6RvI5rndWnZifSt1iT7HGoOeAkePAU0'\n";

const ANSWER: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"two words"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;

/// Begins every token that is played here.
const TOKEN: &str = "tok-canary-Jq58";

/// A cloud: where tokens come from, and a service that wants them.
struct Cloud {
    tokens: Replay,
    service: Replay,
}

impl Cloud {
    /// Each token is another one, by its number from 1.
    fn start() -> Self {
        let (tokens, service) = (Replay::start(), Replay::start());
        let count = AtomicUsize::new(0);
        tokens.on(move |_| token(count.fetch_add(1, Ordering::Relaxed) + 1));
        service.on(|_| Script::json(200, ANSWER));
        Cloud { tokens, service }
    }

    fn leaf(&self, providers: &str, files: &[(&str, &str)], envs: &[(&str, &str)]) -> Llmleaf {
        let config = format!("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n\n{providers}{KEY}");
        let mut setup = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config)
            .env("LLMLEAF_LOG", "trace")
            .env("GOOGLE_APPLICATION_CREDENTIALS", "")
            .env("GOOGLE_CLOUD_PROJECT", "");
        for (name, text) in files {
            setup = setup.file(name, text);
        }
        for (name, value) in envs {
            setup = setup.env(name, value);
        }
        setup.start()
    }

    /// A provider of Vertex' kind with these lines, and a route of its name.
    fn vertex(&self, name: &str, lines: &str) -> String {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"vertex\"\nendpoint = \"{}\"\n{lines}\n\n\
             [[routes]]\nmodel = \"{name}\"\ntargets = [{{ provider = \"{name}\", model = \"gemini-2.5-flash\" }}]\n\n",
            self.service.url()
        )
    }

    /// A service account's key file.
    fn key_file(&self, account: &str) -> String {
        serde_json::json!({
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "key-1",
            "private_key": key_pem(),
            "client_email": format!("{account}@my-project.example"),
            "token_uri": format!("{}/token", self.tokens.url()),
        })
        .to_string()
    }
}

fn token(number: usize) -> Script {
    let body =
        format!(r#"{{"access_token":"{TOKEN}-{number}","expires_in":3599,"token_type":"Bearer"}}"#);
    Script::json(200, body)
}

/// One for all tests: making it is slow.
fn key_pem() -> &'static str {
    static PEM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PEM.get_or_init(|| {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        key.expect("a key").serialize_pem()
    })
}

fn ask(leaf: &Llmleaf, model: &str) -> Response {
    let bearer = format!("Bearer {CREDENTIAL}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    http::post(
        leaf.addr,
        Wire::Chat.path(),
        &headers,
        &Wire::Chat.request(model, false),
    )
}

fn bearer(request: &Request) -> &str {
    request.header("authorization").unwrap_or_default()
}

fn text(response: &Response) -> String {
    Wire::Chat.read(response).text().to_owned()
}

/// Nothing that opens a door is in the log, which tells all there is to tell.
fn expect_discreet(leaf: &Llmleaf, secrets: &[&str]) {
    let log = leaf.log().join("\n");
    for secret in secrets {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[test]
fn a_service_accounts_token_is_minted_once_and_used_by_all() {
    let cloud = Cloud::start();
    let gate = Gate::new();
    cloud.tokens.push(token(7).hold_head(&gate));
    let providers = cloud.vertex("v", "credential = \"file:key.json\"");
    let leaf = cloud.leaf(&providers, &[("key.json", &cloud.key_file("one"))], &[]);
    let (leaf, cloud) = (Arc::new(leaf), Arc::new(cloud));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let leaf = Arc::clone(&leaf);
            std::thread::spawn(move || text(&ask(&leaf, "v")))
        })
        .collect();
    assert!(gate.wait_reached(LONG), "no token was asked for");
    gate.release();
    for thread in asking {
        assert_eq!(thread.join().expect("an answer"), "two words");
    }
    assert_eq!(text(&ask(&leaf, "v")), "two words");
    let minted = cloud.tokens.requests();
    assert_eq!(minted.len(), 1, "one flight for all workers");
    let form = minted[0].text();
    assert!(
        form.starts_with(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
        ),
        "{form}"
    );
    assert_eq!(minted[0].path, "/token");
    for request in cloud.service.requests() {
        assert_eq!(bearer(&request), format!("Bearer {TOKEN}-7"));
        assert_eq!(
            request.path,
            "/v1/projects/my-project/locations/global/publishers/google/models/gemini-2.5-flash:generateContent"
        );
    }
    let assertion = form.rsplit('=').next().unwrap_or_default();
    let pem_line = key_pem().lines().nth(1).unwrap_or_default();
    expect_discreet(&leaf, &[TOKEN, assertion, pem_line]);
}

#[test]
fn a_refused_token_is_replaced_once() {
    let cloud = Cloud::start();
    let refusal = || {
        Script::json(
            401,
            r#"{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}"#,
        )
    };
    let providers = cloud.vertex("v", "credential = \"file:key.json\"");
    let leaf = cloud.leaf(&providers, &[("key.json", &cloud.key_file("one"))], &[]);
    cloud.service.push(refusal());
    assert_eq!(text(&ask(&leaf, "v")), "two words");
    let shown: Vec<String> = cloud
        .service
        .take_requests()
        .iter()
        .map(|r| bearer(r).to_owned())
        .collect();
    assert_eq!(
        shown,
        [format!("Bearer {TOKEN}-1"), format!("Bearer {TOKEN}-2")]
    );
    // Its successor is refused as well: then it is not the token.
    cloud.service.on(move |_| refusal());
    let response = ask(&leaf, "v");
    assert_eq!(response.status, 502, "{}", response.text());
    assert_eq!(cloud.service.requests().len(), 1);
    assert_eq!(cloud.tokens.requests().len(), 2);
}

/// What an upload sent is gone where it was much, so that another token would have nothing to go with.
#[test]
fn a_refused_token_stays_refused_where_the_upload_is_gone() {
    let refusal = r#"{"error":{"code":"401","message":"Access denied."}}"#;
    let bearer = format!("Bearer {CREDENTIAL}");
    let headers = [
        ("content-type", "multipart/form-data; boundary=b"),
        ("authorization", bearer.as_str()),
    ];
    for (file, tries) in [(1 << 20, 2), (6 << 20, 1)] {
        let cloud = Cloud::start();
        cloud.service.on(move |_| Script::json(401, refusal));
        let provider = format!(
            "[[providers]]\nname = \"a\"\nkind = \"azure-openai\"\nendpoint = \"{}\"\n\
             entra = {{ tenant = \"my-tenant\", client_id = \"my-id\", client_secret = \"env:SECRET\", authority = \"{}\" }}\n\n\
             [[routes]]\nmodel = \"a\"\ntargets = [{{ provider = \"a\", model = \"whisper\" }}]\n\n",
            cloud.service.url(),
            cloud.tokens.url(),
        );
        let leaf = cloud.leaf(&provider, &[], &[("SECRET", "cs~canary")]);
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{}\r\n--b--\r\n",
            "x".repeat(file)
        );
        let mut connection = http::Connection::open(leaf.addr);
        let path = "/v1/audio/transcriptions";
        connection.send(&http::request("POST", path, &headers, form.as_bytes()));
        let response = connection.response();
        assert_eq!(response.status, 502, "{}", response.text());
        assert_eq!(cloud.service.requests().len(), tries);
        assert_eq!(cloud.tokens.requests().len(), tries);
    }
}

#[test]
fn a_token_endpoint_that_fails_is_a_failure_of_the_provider() {
    let cloud = Cloud::start();
    cloud.tokens.on(|request| match request.path.as_str() {
        "/token" => Script::json(
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
        ),
        _ => Script::json(500, "{}"),
    });
    let broken = cloud.key_file("two").replace("/token", "/broken");
    let mut providers = cloud.vertex("refused", "credential = \"file:one.json\"");
    providers += &cloud.vertex("broken", "credential = \"file:two.json\"");
    providers += &cloud.vertex(
        "well",
        "credential = \"ya29.static-canary\"\nsettings = { project = \"p\" }",
    );
    providers += "[[routes]]\nmodel = \"chain\"\ntargets = [{ provider = \"refused\", model = \"m\" }, { provider = \"broken\", model = \"m\" }, { provider = \"well\", model = \"m\" }]\n";
    let files = [("one.json", cloud.key_file("one")), ("two.json", broken)];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let leaf = cloud.leaf(&providers, &files, &[]);
    let response = ask(&leaf, "chain");
    assert_eq!(text(&response), "two words");
    assert_eq!(response.header("x-llmleaf-attempts"), Some("3"));
    assert_eq!(cloud.service.requests().len(), 1);
    assert_eq!(
        bearer(&cloud.service.requests()[0]),
        "Bearer ya29.static-canary"
    );
    let response = ask(&leaf, "refused");
    assert_eq!(response.status, 502);
    // The operator reads why; the consumer does not read where the operator's tokens come from.
    assert!(!response.text().contains("JWT"), "{}", response.text());
    assert!(
        leaf.log()
            .iter()
            .any(|line| line.contains("Invalid JWT Signature."))
    );
}

#[test]
fn another_credential_serves_where_one_mints_nothing() {
    let cloud = Cloud::start();
    cloud
        .tokens
        .push(Script::json(401, r#"{"error":"invalid_client"}"#));
    let providers = cloud.vertex("v", "credentials = [\"file:one.json\", \"file:two.json\"]");
    let files = [
        ("one.json", cloud.key_file("one")),
        ("two.json", cloud.key_file("two")),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let leaf = cloud.leaf(&providers, &files, &[]);
    for _ in 0..3 {
        assert_eq!(text(&ask(&leaf, "v")), "two words");
    }
    // The first is held back, the second has its token.
    assert_eq!(cloud.tokens.requests().len(), 2);
}

#[test]
fn the_machines_account_and_a_persons_consent_mint_too() {
    let cloud = Cloud::start();
    let person = r#"{"type":"authorized_user","client_id":"tool","client_secret":"cs-canary","refresh_token":"rt-canary","token_uri":"TOKENS/person"}"#
        .replace("TOKENS", &cloud.tokens.url());
    let mut providers = cloud.vertex(
        "machine",
        "credential = \"metadata\"\nsettings = { project = \"p\", location = \"europe-west4\" }",
    );
    providers += &cloud.vertex("person", "settings = { project = \"p\" }");
    let host = cloud.tokens.url();
    let envs = [
        ("GCE_METADATA_HOST", host.trim_start_matches("http://")),
        ("PERSON", person.as_str()),
    ];
    let folder = std::env::temp_dir().join(format!("llmleaf-minting-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("application_default_credentials.json"), &person).expect("a file");
    let config = folder.display().to_string();
    let envs = [envs[0], ("CLOUDSDK_CONFIG", config.as_str())];
    let leaf = cloud.leaf(&providers, &[], &envs);
    assert_eq!(text(&ask(&leaf, "machine")), "two words");
    assert_eq!(text(&ask(&leaf, "person")), "two words");
    std::fs::remove_dir_all(&folder).expect("cleans up");
    let minted = cloud.tokens.requests();
    assert_eq!(minted[0].method, "GET");
    assert_eq!(
        minted[0].path,
        "/computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(minted[0].header("metadata-flavor"), Some("Google"));
    assert_eq!(
        minted[1].text(),
        "grant_type=refresh_token&client_id=tool&client_secret=cs-canary&refresh_token=rt-canary"
    );
    let asked = cloud.service.requests();
    assert!(
        asked[0]
            .path
            .starts_with("/v1/projects/p/locations/europe-west4/publishers/"),
        "{}",
        asked[0].path
    );
    expect_discreet(&leaf, &[TOKEN, "cs-canary", "rt-canary"]);
}

#[test]
fn an_api_key_needs_neither_project_nor_token() {
    let cloud = Cloud::start();
    let providers = cloud.vertex("v", "credential = \"AIza-canary-express\"");
    let leaf = cloud.leaf(&providers, &[], &[]);
    assert_eq!(text(&ask(&leaf, "v")), "two words");
    let asked = cloud.service.requests();
    assert_eq!(
        asked[0].header("x-goog-api-key"),
        Some("AIza-canary-express")
    );
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(
        asked[0].path,
        "/v1/publishers/google/models/gemini-2.5-flash:generateContent"
    );
    assert_eq!(cloud.tokens.requests().len(), 0);
}

#[test]
fn an_application_of_a_directory_mints_for_both_surfaces() {
    let cloud = Cloud::start();
    cloud
        .service
        .on(|_| Script::json(200, Wire::Chat.whole("two words")));
    let mut providers = String::new();
    for (name, version) in [("dated", "2024-10-21"), ("undated", "v1")] {
        providers += &format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"azure-openai\"\nendpoint = \"{}\"\n\
             entra = {{ tenant = \"my-tenant\", client_id = \"my-id\", client_secret = \"env:SECRET\", authority = \"{}\" }}\n\
             settings = {{ api_version = \"{version}\" }}\n\n\
             [[routes]]\nmodel = \"{name}\"\ntargets = [{{ provider = \"{name}\", model = \"gpt\" }}]\n\n",
            cloud.service.url(),
            cloud.tokens.url(),
        );
    }
    let leaf = cloud.leaf(&providers, &[], &[("SECRET", "cs~canary")]);
    assert_eq!(text(&ask(&leaf, "dated")), "two words");
    assert_eq!(text(&ask(&leaf, "undated")), "two words");
    let minted = cloud.tokens.requests();
    assert_eq!(minted[0].path, "/my-tenant/oauth2/v2.0/token");
    assert_eq!(
        minted[0].text(),
        "grant_type=client_credentials&client_id=my-id&client_secret=cs%7Ecanary&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"
    );
    let asked = cloud.service.requests();
    assert_eq!(
        asked[0].path,
        "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(asked[1].path, "/openai/v1/chat/completions");
    let body = json::parse(&asked[1].text()).expect("JSON");
    assert_eq!(body.text_at(&["model"]), "gpt");
    for request in &asked {
        assert!(bearer(request).starts_with(&format!("Bearer {TOKEN}-")));
        assert_eq!(request.header("api-key"), None);
    }
    expect_discreet(&leaf, &[TOKEN, "cs~canary", "cs%7Ecanary"]);
}

#[test]
fn a_reload_keeps_the_token() {
    let cloud = Cloud::start();
    let providers = cloud.vertex("v", "credential = \"file:key.json\"");
    let leaf = cloud.leaf(&providers, &[("key.json", &cloud.key_file("one"))], &[]);
    assert_eq!(text(&ask(&leaf, "v")), "two words");
    let changed = std::fs::read_to_string(leaf.config_path()).expect("the config");
    leaf.write_config(&changed.replace("gemini-2.5-flash", "gemini-2.5-pro"));
    leaf.signal("HUP");
    let reloaded = leaf.wait_lines(1, LONG, |line| line.contains("configuration reloaded"));
    assert!(reloaded.is_some(), "no reload");
    assert_eq!(text(&ask(&leaf, "v")), "two words");
    let asked = cloud.service.requests();
    assert!(
        asked[1].path.contains("gemini-2.5-pro"),
        "{}",
        asked[1].path
    );
    assert_eq!(cloud.tokens.requests().len(), 1);
}
