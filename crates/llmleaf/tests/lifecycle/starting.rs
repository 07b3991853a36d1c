//! What keeps the program from starting is said in clear words, with an exit status, and nothing is half started.

use std::net::TcpListener;

use llmleaf_testkit::binary::Llmleaf;

const EXE: &str = env!("CARGO_BIN_EXE_llmleaf");

/// A configuration that answers by itself, with these lines of `[server]` and of its provider.
fn config(server: &str, provider: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[[providers]]\nname = \"echo\"\nkind = \"echo\"\n\
         prefix = \"echo\"\n{provider}\n[[keys]]\nid = \"k\"\n\
         pw_hash = '$llk$sha256$BRAzf4gpbamV6RvI5rndWnZifSt1iT7HGoOeAkePAU0'\n"
    )
}

#[track_caller]
fn refuses(text: &str, status: i32, words: &[&str]) {
    let (ended, out, err) = Llmleaf::with_config(EXE, text).run();
    assert_eq!(ended.code(), Some(status), "{err}");
    assert_eq!(out, "");
    for words in words {
        assert!(err.contains(words), "{words}: {err}");
    }
    assert!(!err.contains("listening"), "half a start: {err}");
}

#[test]
fn i12_a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    let text = config("workers = 2", "").replace("127.0.0.1:0", &at);
    refuses(&text, 1, &[&at, "is taken by another program"]);
    // The second address of the two, too: the first is not listened on then.
    let authority = super::crypto::Authority::new();
    let pair = authority.signs("127.0.0.1");
    let tls = format!("tls = {{ cert = \"cert.pem\", key = \"key.pem\", listen = \"{at}\" }}");
    let (ended, _, err) = Llmleaf::with_config(EXE, &config(&tls, ""))
        .file("cert.pem", &pair.cert)
        .file("key.pem", &pair.key)
        .run();
    assert_eq!(ended.code(), Some(1), "{err}");
    assert!(err.contains(&at), "{err}");
}

#[test]
fn i12_an_address_of_another_machine() {
    // RFC 5737: an address that no machine has.
    let text = config("", "").replace("127.0.0.1:0", "192.0.2.1:8080");
    refuses(
        &text,
        1,
        &["no interface of this machine has the address 192.0.2.1"],
    );
}

#[test]
fn i12_certificates_that_are_absent_or_none() {
    let tls = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
    refuses(&config(tls, ""), 2, &["cannot read", "cert.pem"]);
    refuses(
        &config("", "ca_file = \"ca.pem\""),
        2,
        &["cannot read", "ca.pem"],
    );
    let pair = super::crypto::Authority::new().signs("127.0.0.1");
    for (cert, key, words) in [
        ("", pair.key.as_str(), "holds no certificate"),
        (pair.cert.as_str(), "", "holds no private key"),
        (
            pair.cert.as_str(),
            pair.cert.as_str(),
            "holds no private key",
        ),
    ] {
        let (ended, _, err) = Llmleaf::with_config(EXE, &config(tls, ""))
            .file("cert.pem", cert)
            .file("key.pem", key)
            .run();
        assert_eq!(ended.code(), Some(2), "{err}");
        assert!(err.contains(words), "{words}: {err}");
    }
    let (ended, _, err) = Llmleaf::with_config(EXE, &config("", "ca_file = \"ca.pem\""))
        .file("ca.pem", "no certificate")
        .run();
    assert_eq!(ended.code(), Some(2), "{err}");
    assert!(
        err.contains("provider `echo`: the CA file holds no certificate"),
        "{err}"
    );
}

#[test]
fn i12_a_file_that_is_wrong_or_absent() {
    refuses("[server", 2, &["llmleaf.toml:1"]);
    let (ended, _, err) = Llmleaf::with_config(EXE, "").args(&["absent.toml"]).run();
    assert_eq!(ended.code(), Some(2), "{err}");
    assert!(err.contains("no such file"), "{err}");
    let (ended, _, err) = Llmleaf::with_config(EXE, "").args(&["."]).run();
    assert_eq!(ended.code(), Some(2), "{err}");
    assert!(err.contains("it is a folder"), "{err}");
}

#[test]
fn g9_secrets_that_are_absent_and_keys_that_are_misspelt() {
    let absent = config("admin_token = \"env:LLMLEAF_TEST_ABSENT\"", "");
    refuses(
        &absent,
        2,
        &["`LLMLEAF_TEST_ABSENT` is not set", "llmleaf.toml:3"],
    );
    let absent = config("", "credential = \"file:absent\"");
    refuses(&absent, 2, &["secret file for `credential`: no such file"]);
    let misspelt = config("drain_sec = 1", "");
    refuses(
        &misspelt,
        2,
        &["unknown key `drain_sec`", "did you mean `drain_secs`?"],
    );
    for (text, words) in [("", "is empty"), ("two\nlines", "line break")] {
        let (ended, _, err) =
            Llmleaf::with_config(EXE, &config("", "credential = \"file:secret\""))
                .file("secret", text)
                .run();
        assert_eq!(ended.code(), Some(2), "{err}");
        assert!(err.contains(words), "{words}: {err}");
    }
    let open = config("admin_token = \"file:secret\"", "");
    let (ended, _, err) = Llmleaf::with_config("/bin/sh", &open)
        .file("secret", "canary-Zx81")
        .args(&[
            "-c",
            "chmod 644 secret; exec \"$0\" check \"$1\"",
            EXE,
            "{config}",
        ])
        .run();
    assert!(ended.success(), "{err}");
    assert!(err.contains("readable by everyone"), "{err}");
    assert!(!err.contains("canary"), "{err}");
}

#[test]
fn i12_too_few_open_files() {
    let few = ["-c", "ulimit -n 40; exec \"$0\" \"$1\"", EXE, "{config}"];
    let (ended, _, err) = Llmleaf::with_config("/bin/sh", &config("", ""))
        .args(&few)
        .run();
    assert_eq!(ended.code(), Some(1), "{err}");
    assert!(err.contains("40 files open (`ulimit -n`)"), "{err}");
}
