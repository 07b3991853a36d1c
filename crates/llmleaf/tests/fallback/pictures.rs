//! Images along a chain: forms and JSON reach services that take the one or the other, and answers in other words are told in the form's.

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::{Connection, Response, post, request};
use llmleaf_testkit::replay::{Replay, Script};

const KEY: (&str, &str) = ("authorization", "Bearer bWU6czNjcmV0");
const PHOTO: &[u8] = b"\xff\xd8\xff\xe0 a photograph \r\n--c is no boundary\0";
/// The same in base64.
const CODED: &str = "/9j/4CBhIHBob3RvZ3JhcGggDQotLWMgaXMgbm8gYm91bmRhcnkA";

/// One service, played as one of OpenAI's own and as one that takes forms; and one that makes its pictures here.
fn start(replay: &Replay) -> Llmleaf {
    let mut config = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n".to_owned();
    for kind in ["openai", "openai-compatible"] {
        config += &format!(
            "[[providers]]\nname = \"{kind}\"\nkind = \"{kind}\"\nendpoint = \"{}/v1\"\ncredential = \"CANARY-{kind}\"\nprefix = \"{kind}\"\nhealth = false\n\n",
            replay.url()
        );
    }
    config += "[[providers]]\nname = \"plain\"\nkind = \"echo\"\nprefix = \"plain\"\n\n\
        [[routes]]\nmodel = \"any\"\ntargets = [{ provider = \"openai-compatible\" }, { provider = \"openai\", model = \"theirs\" }]\n\n\
        [[keys]]\nid = \"me\"\npw_hash = \"$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO\"\n";
    Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start()
}

fn form(fields: &[(&str, &str)], image: &str) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        form.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--b\r\nContent-Disposition: form-data; name=\"{image}\"; filename=\"a b.jpg\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(PHOTO);
    form.extend_from_slice(b"\r\n--b--\r\n");
    form
}

fn send(leaf: &Llmleaf, path: &str, form: &[u8]) -> Response {
    let mut connection = Connection::open(leaf.addr);
    let headers = [KEY, ("content-type", "multipart/form-data; boundary=b")];
    connection.send(&request("POST", path, &headers, form));
    connection.response()
}

fn told() -> Script {
    Script::json(200, "{\"created\":1,\"data\":[{\"b64_json\":\"AAAA\"}]}")
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn an_edit_reaches_each_service_in_the_form_that_it_takes() {
    let replay = Replay::start();
    let leaf = start(&replay);
    let json = format!(
        "{{\"model\":\"any\",\"prompt\":\"a hat\",\"images\":[{{\"image_url\":\"data:image/jpeg;base64,{CODED}\"}}]}}"
    );
    let form = form(&[("model", "any"), ("prompt", "a hat")], "image[0]");
    for as_form in [true, false] {
        // The first target fails, and the next takes another form.
        replay.push(Script::json(503, "{\"error\":{\"message\":\"busy\"}}"));
        replay.push(told());
        let answer = match as_form {
            true => send(&leaf, "/v1/images/edits", &form),
            false => post(leaf.addr, "/v1/images/edits", &[KEY], &json),
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = replay.take_requests();
        let [compatible, own] = sent.as_slice() else {
            panic!("{sent:?}");
        };
        let kind = compatible.header("content-type").unwrap_or_default();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=");
        let boundary = boundary.unwrap_or_else(|| panic!("{kind}"));
        let file = "Content-Disposition: form-data; name=\"image\"; filename=\"image.jpeg\"\r\nContent-Type: image/jpeg\r\n\r\n";
        let end = format!("\r\n--{boundary}--\r\n");
        let part = [file.as_bytes(), PHOTO, end.as_bytes()].concat();
        assert!(holds(&compatible.body, &part), "{}", compatible.text());
        let prompt = b"name=\"prompt\"\r\n\r\na hat\r\n";
        assert!(holds(&compatible.body, prompt), "{}", compatible.text());
        assert_eq!(own.header("content-type"), Some("application/json"));
        let own = own.json().expect("JSON");
        assert_eq!(own.text_at(&["model"]), "theirs");
        let images = own.elements_at(&["images"]);
        assert_eq!(
            images[0].text_at(&["image_url"]),
            format!("data:image/jpeg;base64,{CODED}")
        );
    }
}

#[test]
fn variations_are_made_of_a_form_and_by_one() {
    let replay = Replay::start();
    let leaf = start(&replay);
    let form = form(&[("model", "openai/dall-e-2"), ("n", "2")], "image");
    replay.push(told());
    let answer = send(&leaf, "/v1/images/variations", &form);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = replay.take_requests().remove(0);
    assert_eq!(sent.path, "/v1/images/variations");
    for part in [
        &b"name=\"model\"\r\n\r\ndall-e-2\r\n"[..],
        b"name=\"n\"\r\n\r\n2\r\n",
        PHOTO,
    ] {
        assert!(holds(&sent.body, part), "{}", sent.text());
    }
    let answer = post(
        leaf.addr,
        "/v1/images/variations",
        &[KEY],
        "{\"model\":\"openai/dall-e-2\"}",
    );
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn answers_in_other_words_are_told_in_the_forms() {
    let replay = Replay::start();
    let leaf = start(&replay);
    replay.push(Script::json(
        200,
        "{\"images\":[{\"url\":\"https://x/y.png\"}],\"seed\":7}",
    ));
    let body = "{\"model\":\"openai-compatible/m\",\"prompt\":\"a hat\"}";
    let answer = post(leaf.addr, "/v1/images/generations", &[KEY], body);
    assert_eq!(
        answer.text(),
        "{\"data\":[{\"url\":\"https://x/y.png\"}],\"seed\":7}"
    );
}

#[test]
fn nobody_is_asked_for_vectors_of_nothing() {
    let replay = Replay::start();
    let leaf = start(&replay);
    for (path, body, expected) in [
        (
            "/api/embed",
            "{\"model\":\"openai/m\",\"input\":[]}",
            "\"embeddings\":[]",
        ),
        (
            "/api/embeddings",
            "{\"model\":\"openai/m\",\"prompt\":\"\"}",
            "\"embedding\":[]",
        ),
    ] {
        let answer = post(leaf.addr, path, &[KEY], body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    assert!(replay.take_requests().is_empty());
}
