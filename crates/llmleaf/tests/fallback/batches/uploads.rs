//! Files of requests: sent to whoever will run them, in its wire; kept here where nobody else does.

use super::here::Directory;
use super::{HASH, ME, Site, YOU, judge, lines, requests, site, site_with};
use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{self, Connection, Response};
use llmleaf_testkit::replay::Replay;

/// Services that keep no files.
const LISTS: [&str; 3] = ["anthropic", "gemini", "xai"];
const BOUNDARY: &str = "----a-form-7d1";

fn line(id: &str, model: &str, text: &str) -> String {
    format!(
        "{{\"custom_id\":\"{id}\", \"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"{model}\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}}}"
    )
}

fn three(model: &str) -> String {
    let each = [("one", "hi"), ("two-x", "refuse"), ("three_y", "late")];
    let each = each.map(|(id, text)| line(id, model, text));
    format!("{}\n\r\n{}\r\n{}", each[0], each[1], each[2])
}

/// A form; the purpose comes before the file, or behind it as some clients have it.
fn form(content: &str, purpose: &str, first: bool) -> String {
    let purpose = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n"
    );
    let file = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"asks.jsonl\"\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n"
    );
    match first {
        true => format!("{purpose}{file}--{BOUNDARY}--\r\n"),
        false => format!("{file}{purpose}--{BOUNDARY}--\r\n"),
    }
}

fn upload(node: &Llmleaf, key: (&str, &str), body: &str) -> Response {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let mut connection = Connection::open(node.addr);
    let headers = [key, ("content-type", &*kind)];
    connection.send(&http::request(
        "POST",
        "/v1/files",
        &headers,
        body.as_bytes(),
    ));
    connection.response()
}

fn make(site: &Site, file: &str) -> Response {
    let body = format!(
        "{{\"input_file_id\":\"{file}\",\"endpoint\":\"/v1/chat/completions\",\"completion_window\":\"24h\",\"metadata\":{{\"mine\":\"1\"}}}}"
    );
    site.ask(1, ME, "POST", "/v1/batches", &body)
}

#[test]
fn a_file_goes_on_line_by_line_and_becomes_a_batch_at_another_node() {
    let site = site();
    for (kind, first) in [
        ("openai", true),
        ("azure-openai", false),
        ("groq", false),
        ("moonshot", true),
        ("together", true),
        ("mistral", false),
    ] {
        let content = three(&format!("{kind}/m-1"));
        let sent = upload(&site.nodes[0], ME, &form(&content, "batch", first));
        assert_eq!(sent.status, 200, "{kind}: {}", sent.text());
        let file = sent.json().text_at(&["id"]).to_owned();
        assert!(
            file.starts_with("file-") && !file.contains("own"),
            "{kind}: {file}"
        );
        let made = make(&site, &file);
        assert_eq!(made.status, 200, "{kind}: {}", made.text());
        let made = made.json();
        assert_eq!(made.text_at(&["input_file_id"]), file, "{kind}");
        let results = site.get(&format!("/v1/batches/{}/results", made.text_at(&["id"])));
        judge(kind, &lines(&results), 3);
        for path in [
            format!("/v1/files/{file}"),
            format!("/v1/files/{file}/content"),
        ] {
            assert_eq!(
                site.ask(1, ME, "GET", &path, "").status,
                200,
                "{kind} {path}"
            );
            assert_eq!(
                site.ask(1, YOU, "GET", &path, "").status,
                404,
                "{kind} {path}"
            );
        }
        let foreign =
            format!("{{\"input_file_id\":\"{file}\",\"endpoint\":\"/v1/chat/completions\"}}");
        assert_eq!(
            site.ask(0, YOU, "POST", "/v1/batches", &foreign).status,
            404
        );
        let other = foreign.replace("chat/completions", "responses");
        assert_eq!(site.ask(0, ME, "POST", "/v1/batches", &other).status, 400);
        let gone = site.ask(0, ME, "DELETE", &format!("/v1/files/{file}"), "");
        assert_eq!(gone.status, 200, "{kind}");
    }
}

/// Somebody is to look at requests for some models. Nobody runs batches here, so those go nowhere; what is for other models does.
#[test]
fn a_batch_out_of_scope_is_nobodys_to_look_at() {
    let site = site_with(
        "[control.intercept]\nurl = \"http://127.0.0.1:9/\"\nphases = [\"request\", \"response\"]\non_error = \"deny\"\nmodels = [\"*/secret\"]\n",
    );
    let sent = |content: &str| upload(&site.nodes[0], ME, &form(content, "batch", true));
    let out = sent(&three("openai/m-1"));
    assert_eq!(out.status, 200, "{}", out.text());
    let made = make(&site, out.json().text_at(&["id"]));
    assert_eq!(made.status, 200, "{}", made.text());
    let results = format!("/v1/batches/{}/results", made.json().text_at(&["id"]));
    judge("openai", &lines(&site.get(&results)), 3);
    let (one, two) = ("openai/m-1", "openai/secret");
    for (content, says) in [
        (line("a", two, "hi"), "looked at before they go on"),
        (
            [line("a", one, "hi"), line("b", two, "hi")].join("\n"),
            "line 2: its provider takes one model",
        ),
    ] {
        let refused = sent(&content);
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains(says), "{}", refused.text());
    }
    let come_along = |model: &str| {
        let body = requests(model, "body");
        site.ask(0, ME, "POST", "/v1/batches", &body)
    };
    assert_eq!(come_along(one).status, 200);
    assert_eq!(come_along(two).status, 400);
    // Nobody takes these: that has nothing to do with who looks at others.
    let nobody = come_along("plain/m").text();
    assert!(nobody.contains("no target of the model"), "{nobody}");
}

#[test]
fn m1_what_is_wrong_with_a_file_is_told_by_line() {
    let site = site();
    let good = line("a", "openai/m-1", "hi");
    for (key, content, purpose, status, says) in [
        (
            ME,
            format!("{good}\n{good}"),
            "batch",
            400,
            "line 2: `custom_id`",
        ),
        (
            ME,
            format!("{good}\n\n{{\"a\":1}}\nno"),
            "batch",
            400,
            "line 3: `custom_id` must be a non-empty string; line 4: not a JSON object",
        ),
        (
            ME,
            format!("{good}\n{}", line("b", "openai/m-2", "hi")),
            "batch",
            400,
            "line 2: its provider takes one model in a batch, and the first line names \"openai/m-1\"",
        ),
        (
            ME,
            format!("\n{}", line("b", "nowhere", "hi")),
            "batch",
            404,
            "line 2: the model",
        ),
        (YOU, line("b", "openai/m-2", "hi"), "batch", 403, "line 1:"),
        (ME, good.clone(), "fine-tune", 400, "`purpose`"),
        (ME, String::new(), "batch", 400, "`file`"),
        (
            ME,
            line("b", "anthropic/m", "hi"),
            "batch",
            400,
            "state_dir",
        ),
    ] {
        for first in [true, false] {
            let refused = upload(&site.nodes[0], key, &form(&content, purpose, first));
            assert_eq!(refused.status, status, "{content}: {}", refused.text());
            let message = refused.json().text_at(&["error", "message"]).to_owned();
            assert!(message.contains(says), "{content}: {message}");
        }
    }
    let plain = site.ask(0, ME, "POST", "/v1/files", "{}");
    assert_eq!(plain.status, 400, "{}", plain.text());
}

#[test]
fn a_file_that_nobody_keeps_is_kept_here() {
    let directory = Directory::new("files");
    // Those that take a list in the body, and one to which requests are added.
    let listing = super::services::KINDS
        .iter()
        .filter(|(kind, ..)| LISTS.contains(kind));
    let mut replays = Vec::new();
    let mut providers = String::new();
    for (kind, form, path) in listing {
        let replay = Replay::start();
        super::services::serve(&replay, *form);
        providers += &format!(
            "[[providers]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoint = \"{}{path}\"\ncredential = \"CANARY-{kind}\"\nprefix = \"{kind}\"\n\n",
            replay.url()
        );
        replays.push(replay);
    }
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"\n\n{providers}\
         [[providers]]\nname = \"echo\"\nkind = \"echo\"\nprefix = \"echo\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n\n[[keys]]\nid = \"you\"\npw_hash = \"{HASH}\"\n",
        directory.path(),
    );
    let start = || Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    let site = Site {
        nodes: [start(), start()],
        services: std::collections::HashMap::new(),
    };
    for kind in [&LISTS[..], &["echo"]].concat() {
        let model = &format!("{kind}/m-1");
        let by_provider = kind != "echo";
        let content = three(model);
        let sent = upload(&site.nodes[0], ME, &form(&content, "batch", false));
        assert_eq!(sent.status, 200, "{model}: {}", sent.text());
        let sent = sent.json();
        assert_eq!(sent.text_at(&["filename"]), "asks.jsonl");
        let file = sent.text_at(&["id"]).to_owned();
        let path = format!("/v1/files/{file}");
        assert_eq!(site.get(&path).json().text_at(&["id"]), file);
        let back = site.get(&format!("{path}/content")).text();
        assert_eq!(back, content, "as it came");
        assert_eq!(site.ask(1, YOU, "GET", &path, "").status, 404);
        let listed = site.get("/v1/files").json();
        assert_eq!(listed.elements_at(&["data"]).len(), 1);
        let made = make(&site, &file);
        assert_eq!(made.status, 200, "{model}: {}", made.text());
        let id = made.json().text_at(&["id"]).to_owned();
        if by_provider {
            judge(
                kind,
                &lines(&site.get(&format!("/v1/batches/{id}/results"))),
                3,
            );
        } else {
            assert_eq!(made.json().text_at(&["input_file_id"]), file);
        }
        assert_eq!(site.ask(0, ME, "DELETE", &path, "").status, 200);
        assert_eq!(site.ask(1, ME, "GET", &path, "").status, 404);
    }
}

/// Two nodes that keep files here, in one directory.
fn keeping(directory: &Directory, replay: &Replay, server: &str) -> Site {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"\n{server}\n\
         [[providers]]\nname = \"ant\"\nkind = \"anthropic\"\nendpoint = \"{}\"\ncredential = \"CANARY-ant\"\nprefix = \"ant\"\n\n\
         [[providers]]\nname = \"echo\"\nkind = \"echo\"\nprefix = \"echo\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n\n[[keys]]\nid = \"you\"\npw_hash = \"{HASH}\"\n",
        directory.path(),
        replay.url(),
    );
    let start = || Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    Site {
        nodes: [start(), start()],
        services: std::collections::HashMap::new(),
    }
}

/// Fields that no form of files has.
fn fields(count: usize) -> String {
    let each = (0..count).map(|n| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"own-{n}\"\r\n\r\nx\r\n")
    });
    each.collect()
}

#[test]
fn e11_a_form_that_is_broken_or_too_much_is_refused_and_nothing_of_it_is_kept() {
    let directory = Directory::new("forms");
    let replay = Replay::start();
    let server = "max_body_bytes = 65536\nmax_files_per_key = 2\nmax_file_mib_per_key = 1\n";
    let site = keeping(&directory, &replay, server);
    let good = form(&three("echo/x"), "batch", true);
    for (broken, status) in [
        (String::new(), 400),
        ("no form".to_owned(), 400),
        (good.replace("\r\n\r\n", "\r\n"), 400),
        (good[..good.len() / 2].to_owned(), 400),
        (form(&"x".repeat(100_000), "batch", true), 400),
        (format!("{}{good}", fields(40)), 400),
        (good.replace(&format!("--{BOUNDARY}--\r\n"), &good), 400),
    ] {
        let refused = upload(&site.nodes[0], ME, &broken);
        assert_eq!(refused.status, status, "{broken:.60}: {}", refused.text());
        let listed = site.get("/v1/files").json();
        assert!(listed.elements_at(&["data"]).is_empty(), "{listed}");
    }
    // Many that are none of these: a key has its share.
    let sent = [0, 1].map(|_| upload(&site.nodes[0], ME, &good));
    assert!(
        sent.iter().all(|sent| sent.status == 200),
        "{}",
        sent[0].text()
    );
    let refused = upload(&site.nodes[1], ME, &good);
    assert_eq!(refused.status, 400, "{}", refused.text());
    let refused = refused.json();
    assert_eq!(refused.text_at(&["error", "code"]), "file_quota_exceeded");
    let message = refused.text_at(&["error", "message"]);
    assert!(message.contains("2 files"), "{message}");
    assert_eq!(upload(&site.nodes[0], YOU, &good).status, 200);
    let first = sent[0].json().text_at(&["id"]).to_owned();
    let gone = site.ask(1, ME, "DELETE", &format!("/v1/files/{first}"), "");
    assert_eq!(gone.status, 200);
    assert_eq!(upload(&site.nodes[1], ME, &good).status, 200);
}

#[test]
fn a_route_that_wants_nothing_lost_refuses_fields_that_nobody_heeds() {
    let directory = Directory::new("losses");
    let replay = Replay::start();
    let mut services = super::services::KINDS.iter();
    let keeps = services.find(|(kind, ..)| *kind == "openai");
    let (kind, service, path) = keeps.expect("it is one of them");
    super::services::serve(&replay, *service);
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nloss_policy = \"error\"\nbatch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"\n\n\
         [[providers]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoint = \"{}{path}\"\ncredential = \"CANARY-{kind}\"\nprefix = \"{kind}\"\n\n\
         [[providers]]\nname = \"echo\"\nkind = \"echo\"\nprefix = \"echo\"\n\n\
         [[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n",
        directory.path(),
        replay.url(),
    );
    let node = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    // More than is read before it is known where it goes.
    let content = |model: &str| {
        let each = (0..64).map(|at| line(&format!("r{at}"), model, &"x".repeat(16 << 10)));
        each.collect::<Vec<_>>().join("\n")
    };
    for model in ["openai/m-1", "echo/m"] {
        let good = form(&content(model), "batch", true);
        let lossy = good.replace(
            &format!("--{BOUNDARY}--"),
            &format!("{}--{BOUNDARY}--", fields(1)),
        );
        let refused = upload(&node, ME, &lossy);
        assert_eq!(refused.status, 400, "{model}: {}", refused.text());
        assert!(
            refused.text().contains("own-0"),
            "{model}: {}",
            refused.text()
        );
        let sent = upload(&node, ME, &good);
        assert_eq!(sent.status, 200, "{model}: {}", sent.text());
    }
}

#[test]
fn a_file_that_is_kept_here_is_judged_by_whoever_of_its_models_wants_nothing_lost() {
    let directory = Directory::new("strict");
    let route = |model: &str, policy: &str| {
        format!(
            "[[routes]]\nmodel = \"{model}\"\ntargets = [{{ provider = \"echo\", model = \"m\" }}]\nloss_policy = \"{policy}\"\n\n"
        )
    };
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nbatch_id_secret = \"a secret of all nodes\"\nstate_dir = \"{}\"\n\n\
         [[providers]]\nname = \"echo\"\nkind = \"echo\"\n\n{}{}[[keys]]\nid = \"me\"\npw_hash = \"{HASH}\"\n",
        directory.path(),
        route("easy", "report"),
        route("strict", "error"),
    );
    let node = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
    for (models, status) in [
        (["easy", "easy"], 200),
        (["easy", "strict"], 400),
        (["strict", "easy"], 400),
    ] {
        let content = [line("a", models[0], "hi"), line("b", models[1], "hi")].join("\n");
        let lossy = form(&content, "batch", true).replace(
            &format!("--{BOUNDARY}--"),
            &format!("{}--{BOUNDARY}--", fields(1)),
        );
        let sent = upload(&node, ME, &lossy);
        assert_eq!(sent.status, status, "{models:?}: {}", sent.text());
    }
}
