use std::collections::BTreeSet;

use super::{Watch, in_config, in_text, sent};

fn names(config: &str) -> Vec<(String, String)> {
    let env = |name: &str| (name == "THERE").then(|| "from-the-environment".to_owned());
    let file = |path: &str| (path == "a/file").then(|| "from-a-file".to_owned());
    in_config(config, env, file)
}

#[test]
fn secrets_are_read_from_wherever_a_configuration_has_them() {
    let config = r#"
admin_token = "the-operators"
credentials = ["sk-one", 'sk-two']
credential = "env:THERE"
token = "file:a/file"
entra = { client_id = "public", client_secret = "of-a-client" }
# token_types = ["JWT"]
credential = "$LATER"
tokens = "all"
{"name":"third","credential":"sk-pulled"}
"#;
    let found: BTreeSet<String> = names(config).into_iter().map(|(_, text)| text).collect();
    let known = [
        "the-operators",
        "sk-one",
        "sk-two",
        "from-the-environment",
        "from-a-file",
        "of-a-client",
        "sk-pulled",
    ];
    assert_eq!(found, known.map(str::to_owned).into());
}

#[test]
fn a_private_key_is_known_by_a_line_that_is_its_own() {
    let first = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj";
    let second = "AgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4";
    let plain =
        format!("-----BEGIN PRIVATE KEY-----\n{first}\n{second}\n-----END PRIVATE KEY-----\n");
    let within = plain.replace('\n', "\\n");
    for text in [plain, within] {
        let own: Vec<String> = in_text(&text).into_iter().map(|(_, line)| line).collect();
        assert_eq!(own, [second]);
    }
    let short = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----";
    let own = &in_text(short)[0].1;
    assert!(
        short.contains(own) && own.len() == 24 && own.ends_with("9qfSnF"),
        "{own}"
    );
}

#[test]
fn credentials_are_read_from_heads() {
    let head = b"GET / HTTP/1.1\r\nhost: x\r\nAuthorization: Bearer abc.def\r\nx-api-key: ghi\r\n\r\nx-api-key: body";
    assert_eq!(
        sent(head),
        [
            ("authorization", "abc.def".to_owned()),
            ("x-api-key", "ghi".to_owned())
        ]
    );
}

#[test]
fn what_got_out_is_told_once_and_by_its_place() {
    let watch = Watch::default();
    watch.add("a credential", "sk-canary-Zx81first");
    watch.add("a key", "llk_stage_Vl9DkcwD6qKHX1ZsrErVV0gw0MpE9A");
    watch.add("a word", "metadata");
    watch.add("too short", "abcdefg");
    for text in [
        "nothing of a key: llk_stage_, metadata, abcdefg, sk-canary-Z",
        "",
        "sk-",
    ] {
        watch.look("the log", text.as_bytes());
        assert_eq!(watch.take(), Vec::<String>::new(), "{text}");
    }
    for text in [
        "x sk-canary-Zx81first y",
        "sk-canary-Zx",
        "key=sk%2Dcanary%2DZx81first",
        "736b2d63616e6172792d5a7838316669727374",
        "eHNrLWNhbmFyeS1aeDgxZmlyc3Q=",
        "Vl9DkcwD6qKH",
    ] {
        watch.look("the log", text.as_bytes());
        let found = watch.take();
        assert!(!found.is_empty(), "{text}");
        assert!(found.iter().all(|one| one.ends_with(" in the log")));
        assert!(found.iter().all(|one| !one.contains("canary")));
    }
    assert_eq!(watch.take(), Vec::<String>::new());
}
